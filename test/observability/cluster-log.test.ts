import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type LoggedNode, logDuplicate, logNode, logRedis, logTag } from "../../src/observability/cluster-log.ts";
import { FakeLog } from "../routing/fake-call.ts";

const node: LoggedNode = { nodeId: 2, version: "0.1.0", sip: ["udp:192.0.2.2:5060"] };

describe("the log of a cluster", () => {
  const rows: readonly (readonly [what: string, write: (log: FakeLog) => void, level: string, message: string])[] = [
    ["a node that joins", (log) => logNode(node, true, log), "info", "node 2 is in the cluster"],
    ["a node that goes", (log) => logNode(node, false, log), "warn", "node 2 is gone from the cluster: its lease has ended"],
    [
      "a tag that comes",
      (log) => logTag({ tag: "vip", cluster: 1, state: "active", epoch: 4, reason: "node 2 is gone" }, log),
      "info",
      'sharing tag "vip" is active on this node: node 2 is gone',
    ],
    [
      "a tag that goes",
      (log) => logTag({ tag: "vip", cluster: 1, state: "backup", epoch: 5, reason: "node 3 has taken it" }, log),
      "info",
      'sharing tag "vip" is backup on this node: node 3 has taken it',
    ],
    ["Redis", (log) => logRedis("connected", 0.4, log), "info", "Redis is reached: what the nodes know is compared again"],
    ["Redis that is slow", (log) => logRedis("slow", 71.6, log), "warn", "Redis is slow: 72 ms for an answer"],
    ["Redis that is slow, one knows not how much", (log) => logRedis("slow", undefined, log), "warn", "Redis is slow"],
    ["Redis that is lost", (log) => logRedis("lost", undefined, log), "warn", "Redis is lost: calls go on by what is known"],
    [
      "a second node of one id",
      (log) => logDuplicate(2, "http://192.0.2.7:8888/mi", log),
      "error",
      "another node with id 2 is alive, http://192.0.2.7:8888/mi: want another cluster.node_id for each node",
    ],
    [
      "a second node that nobody knows",
      (log) => logDuplicate(2, "", log),
      "error",
      "another node with id 2 is alive: want another cluster.node_id for each node",
    ],
  ];
  for (const [what, write, level, message] of rows) {
    it(`tells of ${what}`, () => {
      const log = new FakeLog();
      write(log);
      assert.deepEqual(
        log.lines.map((line) => [line.level, line.message]),
        [[level, message]],
      );
    });
  }
});
