import { defineMethod } from "../define-method.ts";
import { profileSize, resourceOf } from "../profiles.ts";
import { PROFILE_PARAMETERS, ProfileSize } from "../shapes/dialogs.ts";

/** `dialog:profile_get_size`: calls that a resource counts, everywhere or on one destination. */
export const profileGetSize = defineMethod({
  name: "dialog:profile_get_size",
  aliases: ["profile_get_size"],
  help: "tells how many calls are counted in a profile (lbX and a resource), or for one value (destination id in hexadecimal) of it",
  recipes: [["profile"], ["profile", "value"]],
  parameters: PROFILE_PARAMETERS,
  result: ProfileSize,
  failures: [{ code: 404, message: "Profile not found" }],
  run(params, { ports }) {
    const name = params.text("profile");
    const resource = resourceOf(ports, name);
    const value = params.has("value") ? params.text("value") : undefined;
    return { Profile: { name, value: value ?? null, count: profileSize(ports, resource, value), shared: "no", replicated: "no" } };
  },
});
