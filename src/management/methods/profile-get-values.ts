import { defineMethod } from "../define-method.ts";
import { profileSize, profileValue, resourceOf } from "../profiles.ts";
import { PROFILE_PARAMETERS } from "../shapes/dialogs.ts";
import { count, listOf, members } from "../shapes/kinds.ts";

/** `dialog:profile_get_values`: calls of a resource by destination, without those that have none. */
export const profileGetValues = defineMethod({
  name: "dialog:profile_get_values",
  aliases: ["profile_get_values"],
  help: "tells how many calls are counted for each value (destination id in hexadecimal) of a profile",
  recipes: [["profile"]],
  parameters: { profile: PROFILE_PARAMETERS.profile },
  result: listOf(members({ value: PROFILE_PARAMETERS.value, count: count("calls") }), "destinations that have such calls"),
  failures: [{ code: 404, message: "Profile not found" }],
  run(params, { ports }) {
    const resource = resourceOf(ports, params.text("profile"));
    return ports.balancer
      .destinations()
      .map(({ id }) => ({ value: profileValue(id), count: profileSize(ports, resource, profileValue(id)) }))
      .filter(({ count }) => count > 0);
  },
});
