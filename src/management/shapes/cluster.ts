import { Type } from "typebox";
import { anything, count, listOf, maybe, members, text, whole, word } from "./kinds.ts";

/** The parameters of `cluster_broadcast_mi` and `cluster_send_mi`. */
export const REMOTE_PARAMETERS = {
  cluster_id: whole("id of the cluster", { minimum: 1 }),
  cmd_name: text("name of the method to run"),
  cmd_params: Type.Union([Type.Array(anything("value")), Type.Unsafe<object>({ type: "object" })], {
    description: "its parameters: a list or named ones",
  }),
};

/** What nodes answered to a method that was run on them. */
export const NodeAnswers = members({
  Nodes: listOf(
    members({
      node_id: count("id of the node"),
      result: maybe(anything("what the method answered")),
      error: maybe(
        members({ code: whole("code"), message: text("message"), data: maybe(anything("reason")) }, "in place of `result` where it failed"),
      ),
    }),
    "one entry a node",
  ),
});

export const NodeList = members({
  Clusters: listOf(
    members({
      cluster_id: count("id of the cluster"),
      Nodes: listOf(
        members({
          node_id: count("id of the node"),
          db_id: count("the same"),
          url: text("its management address"),
          link_state: word("whether it lives", "Up", "Down"),
          next_hop: text("its id, or none"),
          description: text("none"),
          sip: listOf(text("transport:address:port"), "where it takes SIP"),
          version: text("its version"),
          started: count("seconds since 1970"),
          last_seen: count("seconds since 1970"),
          epoch: count("how often a node of this id has joined"),
        }),
        "the other nodes",
      ),
    }),
    "one cluster",
  ),
});

export const CapabilityList = members({
  Clusters: listOf(
    members({
      cluster_id: count("id of the cluster"),
      Capabilities: listOf(
        members({ name: text("what is shared"), state: word("whether this node has all of it", "Ok", "not synced") }),
        "what the nodes share",
      ),
    }),
    "one cluster",
  ),
});
