import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { it } from "node:test";
import { Balancer } from "../../src/balancer/index.ts";
import { parseConfig } from "../../src/config/load.ts";
import { Announcer } from "../../src/server/announcer.ts";
import { EventListener } from "../support/event-listener.ts";
import type { Headroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";

const LOG = { debug() {}, info() {}, warn() {}, error() {} };

it("E_LOAD_BALANCER_AUDIT tells of a load, of the calls of a destination, of a pool, and of a FreeSWITCH", async () => {
  const announcer = new Announcer({ config: parseConfig("", "headroom.yaml", {}), after: () => () => undefined, log: LOG });
  const { streams } = announcer.management(new Balancer({ below: () => 0 }));
  const server = createServer((request, response) => streams?.["/events"]?.(request, response)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const node = { miUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mi` } as Headroom;
  const listener = await EventListener.open(node);
  try {
    const destination = { id: 1, group: 2, uri: "sip:192.0.2.1" };
    announcer.loadDiffered({ ...destination, resource: "pstn", counted: 3, actual: 2 });
    announcer.loadDiffered({ ...destination, resource: undefined, counted: 3, actual: 2 });
    announcer.loadDiffered({ pool: "a", resource: "pstn", counted: 5, actual: 4 });
    announcer.sessionsMissing({ state: "raised", url: "fs://a", destinations: [1], calls: 4, sessions: 3 });
    await waitFor("four events", 3_000, () => listener.events.length === 4);
    assert.ok(listener.events.every(({ name }) => name === "E_LOAD_BALANCER_AUDIT"));
    assert.deepEqual(
      listener.events.map(({ params }) => params),
      [
        { ...destination, resource: "pstn", counted: 3, true: 2, healed: true },
        { ...destination, resource: "", counted: 3, true: 2, healed: true },
        { pool: "a", resource: "pstn", counted: 5, true: 4, healed: true },
        { freeswitch: "fs://a", state: "raised", calls: 4, sessions: 3, healed: false },
      ],
    );
  } finally {
    listener.close();
    announcer.close();
    server.closeAllConnections();
    server.close();
  }
});
