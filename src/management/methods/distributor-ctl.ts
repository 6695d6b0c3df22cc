import { runDistributorCtl } from "../../distributor/index.ts";
import { defineMethod } from "../define-method.ts";
import { text } from "../shapes/kinds.ts";

/** Weights that may be given one by one. More of them stand in one text, with spaces between them. */
const MAX_PAIRS = 16;
const PAIR_NAMES = ["weights", ...Array.from({ length: MAX_PAIRS - 1 }, (_, i) => `weight${i + 2}`)];

/** `distributor:ctl`: FreeSWITCH's API command `distributor_ctl`, with its answers. Not in OpenSIPS. */
export const distributorCtl = defineMethod({
  name: "distributor:ctl",
  aliases: ["distributor_ctl"],
  help: "reload reads the distributor lists again; dump LIST shows one; modify LIST NODE=WEIGHT... changes weights until the next reload",
  recipes: [[], ["command"], ["command", "list"], ...PAIR_NAMES.map((_, i) => ["command", "list", ...PAIR_NAMES.slice(0, i + 1)])],
  parameters: {
    command: text("reload, dump or modify"),
    list: text("name of the list"),
    ...Object.fromEntries(PAIR_NAMES.map((name) => [name, text("node and its weight: `node=3`, or several with spaces between")])),
  },
  result: text("what FreeSWITCH answers: `+OK reloaded.`, the list, `-error`"),
  writesWhen: "unless `command` is dump",
  details: "See [distributor.md](distributor.md#management).",
  writes: (params) => params.has("command") && params.text("command").toLowerCase() !== "dump",
  available: ({ distributor }) => distributor !== undefined,
  run(params, { ports: { distributor } }) {
    const words = [
      ...["command", "list"].filter((name) => params.has(name)).map((name) => params.text(name)),
      ...PAIR_NAMES.filter((name) => params.has(name)).flatMap((name) => params.texts(name)),
    ];
    return distributor === undefined ? undefined : runDistributorCtl(distributor.lists, words.join(" "), () => distributor.reload());
  },
});
