import { defineMethod } from "../define-method.ts";
import { count, listOf, members, text } from "../shapes/kinds.ts";

/** `pike:list`: the sources that are banned. OpenSIPS lists their addresses alone. */
export const pikeList = defineMethod({
  name: "pike:list",
  aliases: ["pike_list"],
  help: "lists the sources that are banned for too many requests, with the seconds since and left, and the requests refused",
  recipes: [[]],
  parameters: {},
  result: members({
    IPs: listOf(
      members({
        IP: text("the source"),
        since: count("seconds since the ban began"),
        left: count("seconds until it ends"),
        refused: count("requests refused"),
      }),
      "banned sources, oldest first",
    ),
  }),
  details: "See [overload.md](overload.md#sources-that-send-too-much).",
  available: ({ bans }) => bans !== undefined,
  run(_params, { ports }) {
    return {
      IPs: (ports.bans?.list() ?? []).map(({ source, ageMs, leftMs, refused }) => ({
        IP: source,
        since: Math.floor(ageMs / 1000),
        left: Math.ceil(leftMs / 1000),
        refused,
      })),
    };
  },
});
