import { defineMethod } from "../define-method.ts";

/** `pike:list`: the sources that are banned. OpenSIPS lists their addresses alone. */
export const pikeList = defineMethod({
  name: "pike:list",
  aliases: ["pike_list"],
  help: "lists the sources that are banned for too many requests, with the seconds since and left, and the requests refused",
  recipes: [[]],
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
