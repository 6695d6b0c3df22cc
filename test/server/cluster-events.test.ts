import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { parseConfig } from "../../src/config/index.ts";
import { Announcer } from "../../src/server/announcer.ts";
import { keysForRestart } from "../../src/server/keys-for-restart.ts";
import { FakeLog, makeBalancer } from "../routing/fake-call.ts";
import { FakeClock } from "../support/fake-clock.ts";

const clock = new FakeClock();
const announcer = new Announcer({ config: parseConfig("", "h.yaml", {}), after: (ms, run) => clock.after(ms, run), log: new FakeLog() });

describe("the events of a cluster", () => {
  let server: Server;
  before(async () => {
    const { streams } = announcer.management(makeBalancer("pstn=1"));
    server = createServer((request, response) => streams?.["/events"]?.(request, response));
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  });
  after(async () => {
    announcer.close();
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });

  it("tell of nodes, sharing tags and Redis, with OpenSIPS's parameters first", async () => {
    const names = "E_CLUSTERER_NODE_STATE_CHANGED,E_CLUSTERER_SHARING_TAG_CHANGED,E_CLUSTERER_REDIS";
    const { port } = server.address() as AddressInfo;
    const response = await fetch(`http://127.0.0.1:${port}/events?events=${names}`, { signal: AbortSignal.timeout(5_000) });
    assert.equal(response.status, 200);
    announcer.nodeChanged(1, 2, true);
    announcer.nodeChanged(1, 2, false);
    announcer.tagChanged({ tag: "vip", cluster: 1, state: "active", epoch: 4, reason: "node 2 is gone" });
    announcer.redisChanged("lost");
    const told: string[] = [];
    let text = "";
    for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
      text += part;
      told.splice(
        0,
        told.length,
        ...[...text.matchAll(/^data: .*?"event":"([A-Z_]+)".*?"params":(.*)\}$/gm)].map(([, name, params]) => `${name} ${params}`),
      );
      if (told.length === 4) break;
    }
    assert.deepEqual(told, [
      'E_CLUSTERER_NODE_STATE_CHANGED {"cluster_id":1,"node_id":2,"new_state":1}',
      'E_CLUSTERER_NODE_STATE_CHANGED {"cluster_id":1,"node_id":2,"new_state":0}',
      'E_CLUSTERER_SHARING_TAG_CHANGED {"name":"vip","cluster":1,"state":"active","reason":"node 2 is gone","epoch":4}',
      'E_CLUSTERER_REDIS {"state":"lost"}',
    ]);
  });
});

describe("a change of the cluster in a reload", () => {
  it("wants another start, and the address of Redis is not told", () => {
    const running = parseConfig("cluster: { redis_url: 'redis://u:s3cret@a' }", "h.yaml", {});
    const next = parseConfig(
      "{ cluster: { redis_url: 'redis://u:s3cret@b', node_id: 2 }, load_balancer: { cluster_id: 4 } }",
      "h.yaml",
      {},
    );
    assert.deepEqual(keysForRestart(running, next), ["load_balancer.cluster_id", "cluster.node_id", "cluster.redis_url"]);
  });
});
