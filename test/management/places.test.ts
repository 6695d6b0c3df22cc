import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { Places } from "../../src/management/places.ts";

class FakeConnection extends EventEmitter {
  isOpen = true;
  readonly remoteAddress: string | undefined;
  readonly remotePort: number;
  constructor(remoteAddress: string | undefined, remotePort: number) {
    super();
    this.remoteAddress = remoteAddress;
    this.remotePort = remotePort;
  }
  destroy(): this {
    if (!this.isOpen) return this;
    this.isOpen = false;
    queueMicrotask(() => this.emit("close"));
    return this;
  }
}

/** Connections that have come in this order, such as `192.0.2.1:5000`; those with a star were let in. */
function arrive(max: number, ...clients: string[]): { places: Places; open: () => string[]; all: FakeConnection[] } {
  const places = new Places(max);
  const all = clients.map((client, i) => {
    const connection = new FakeConnection(client.replace("*", ""), 5_000 + i);
    places.take(connection);
    if (client.endsWith("*")) places.keep(connection);
    return connection;
  });
  return { places, all, open: () => clients.filter((_client, i) => all[i]!.isOpen) };
}

describe("when all places are taken", () => {
  it("the oldest stranger makes room, and nobody who was let in", () => {
    const { places, all } = arrive(3, "192.0.2.1*", "192.0.2.1", "192.0.2.1", "192.0.2.1");
    assert.deepEqual(
      all.map(({ isOpen }) => isOpen),
      [true, false, true, true],
    );
    assert.equal(places.taken, 3);
  });

  it("the client with most strangers gives, so that others can come and say who they are", () => {
    const { open } = arrive(4, "192.0.2.9", "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.1");
    assert.deepEqual(open(), ["192.0.2.9", "192.0.2.1", "192.0.2.1", "192.0.2.1"]);
  });

  it("an IPv6 block of 64 bits is one client", () => {
    const { open } = arrive(3, "192.0.2.9", "2001:db8::1", "2001:db8::2", "2001:db8::3");
    assert.deepEqual(open(), ["192.0.2.9", "2001:db8::2", "2001:db8::3"]);
  });

  it("nobody more is taken when all were let in, until one goes", async () => {
    const { places, all, open } = arrive(2, "192.0.2.1*", "192.0.2.2*", "192.0.2.3");
    assert.deepEqual(open(), ["192.0.2.1*", "192.0.2.2*"]);
    all[0]!.destroy();
    await Promise.resolve();
    const next = new FakeConnection("192.0.2.3", 6_000);
    places.take(next);
    assert.deepEqual([next.isOpen, places.taken], [true, 2]);
  });
});

describe("places", () => {
  it("are free again once connections are closed, by either side", async () => {
    const { places, all } = arrive(2, "192.0.2.1", "192.0.2.1*", "192.0.2.2");
    for (const connection of all) connection.destroy();
    await Promise.resolve();
    assert.equal(places.taken, 0);
  });

  it("are not given to a connection that has ended before it was looked at", () => {
    const places = new Places(2);
    const connection = new FakeConnection(undefined, 5_000);
    places.take(connection);
    assert.deepEqual([connection.isOpen, places.taken], [false, 0]);
  });
});
