import { runDistributor } from "../../distributor/index.ts";
import { defineMethod } from "../define-method.ts";
import { text } from "../shapes/kinds.ts";

/** Exceptions that may be given one by one. More of them stand in one text, with spaces between them. */
const MAX_EXCEPTIONS = 16;
const EXCEPTION_NAMES = ["exceptions", ...Array.from({ length: MAX_EXCEPTIONS - 1 }, (_, i) => `exception${i + 2}`)];

/** `distributor:next`: the next node of a list, as FreeSWITCH's API command `distributor`, with its answers. It uses up a turn. Not in OpenSIPS. */
export const distributorNext = defineMethod({
  name: "distributor:next",
  aliases: ["distributor"],
  help: "answers the next node of a distributor list, passing over the exceptions and what is down; -err when there is none",
  recipes: [[], ["list"], ...EXCEPTION_NAMES.map((_, i) => ["list", ...EXCEPTION_NAMES.slice(0, i + 1)])],
  parameters: {
    list: text("name of the list"),
    ...Object.fromEntries(EXCEPTION_NAMES.map((name) => [name, text("node to pass over, or several with spaces between")])),
  },
  result: text("the node, or `-err`"),
  details: "It uses up a turn. See [distributor.md](distributor.md#management).",
  isForOperators: true,
  available: ({ distributor }) => distributor !== undefined,
  run(params, { ports: { distributor } }) {
    const words = [
      ...(params.has("list") ? [params.text("list")] : []),
      ...EXCEPTION_NAMES.filter((name) => params.has(name)).flatMap((name) => params.texts(name)),
    ];
    return distributor === undefined ? undefined : runDistributor(distributor.lists, words.join(" "));
  },
});
