import { defineMethod } from "../define-method.ts";
import { profileOf } from "../profiles.ts";
import { certain, listOf, members, text } from "../shapes/kinds.ts";

/** `dialog:list_all_profiles`: one profile a resource; its values are destinations. */
export const listAllProfiles = defineMethod({
  name: "dialog:list_all_profiles",
  aliases: ["list_all_profiles"],
  help: "lists the profiles: one for each resource that a destination has",
  recipes: [[]],
  parameters: {},
  result: members({
    Profiles: listOf(members({ name: text("`lbX` and a resource"), "has value": certain("its values are destinations") }), "the profiles"),
  }),
  run(_params, { ports }) {
    return { Profiles: ports.balancer.resourceNames().map((resource) => ({ name: profileOf(resource), "has value": true })) };
  },
});
