import { defineMethod } from "../define-method.ts";
import { MiError } from "../jsonrpc.ts";
import { OK, text } from "../shapes/kinds.ts";

/** Name and cluster, with blanks around the slash as OpenSIPS allows. Those around all of it are taken off before: to look for them here takes quadratic time. */
const TAG = /^([^/\s]*)\s*\/\s*(.*)$/s;
const TAG_NAME = /^[A-Za-z0-9_.-]{1,64}$/;

/**
 * `clusterer:shtag_set_active`: takes a sharing tag, from the node that has it too. Answers once it is active here. Errors as in OpenSIPS
 * (`sharing_tags.c`), with a sentence about a tag that could not be taken.
 */
export const clustererShtagSetActive = defineMethod({
  name: "clusterer:shtag_set_active",
  aliases: ["clusterer_shtag_set_active"],
  help: "makes a sharing tag, given as name/cluster, active on this node and backup on all others",
  recipes: [["tag"]],
  parameters: { tag: text("name and cluster of the tag: `vip/1`") },
  result: OK,
  failures: [
    { code: 400, message: "Bad tag format <name/cluster_id>" },
    { code: 400, message: "Bad cluster ID in tag" },
    { code: 404, message: "Cluster ID not found" },
    { code: 500, message: "Internal failure when activating tag" },
  ],
  offeredWith: "cluster.redis_url",
  details: "Answers once the tag is active on this node and on no other.",
  writes: () => true,
  available: ({ cluster }) => cluster !== undefined,
  async run(params, { ports: { cluster, log } }) {
    const [, name = "", id = ""] = TAG.exec(params.text("tag").trim()) ?? [];
    if (!TAG_NAME.test(name)) throw new MiError(400, "Bad tag format <name/cluster_id>");
    if (!/^\d{1,10}$/.test(id)) throw new MiError(400, "Bad cluster ID in tag");
    if (Number(id) !== cluster?.clusterId) throw new MiError(404, "Cluster ID not found");
    try {
      await cluster.setTagActive(name);
    } catch (error) {
      log.warn({ err: error, tag: name }, `cannot make tag "${name}" active`);
      throw new MiError(500, "Internal failure when activating tag", error instanceof Error ? error.message : String(error));
    }
    return "OK";
  },
});
