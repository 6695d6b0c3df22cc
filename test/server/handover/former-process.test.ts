import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, it } from "node:test";
import { identityKey, type StatusChange } from "../../../src/balancer/index.ts";
import { FormerProcess, type FormerProcessPorts } from "../../../src/server/handover/former-process.ts";
import { type FromFormer, HANDOVER_VERSION } from "../../../src/server/handover/messages.ts";
import type { Channel } from "../../../src/server/handover/process-link.ts";
import { balancerOf } from "../../balancer/support.ts";

const ROWS = [
  { id: 1, uri: "sip:one", resources: "t=3" },
  { id: 2, uri: "sip:two", resources: "t=3" },
];
const KEYS = ROWS.map(({ id, uri }) => identityKey({ id, group: 1, uri }));

/** The process before, as this one hears it. */
class FakeChannel extends EventEmitter {
  connected = true;

  send(message: { readonly kind: string }): boolean {
    const begin: FromFormer = { kind: "begin", version: HANDOVER_VERSION, listeners: [], management: "" };
    if (message.kind === "hello") queueMicrotask(() => this.tell(begin));
    if (message.kind === "copy") queueMicrotask(() => this.tell({ kind: "copied", capacities: [], statuses: [] }));
    return true;
  }

  tell(message: FromFormer): void {
    this.emit("message", message);
  }

  disconnect(): void {
    this.connected = false;
  }
}

describe("statuses that the process before tells", () => {
  it("are no news at the take-over, and news with their cause when it changes them afterwards", async () => {
    const channel = new FakeChannel();
    const former = await FormerProcess.greet(channel as unknown as Channel, false);
    const seen: [id: number, enabled: boolean, cause: string, isNews: boolean][] = [];
    const onStatus = ({ destination, enabled, cause }: StatusChange): void => {
      seen.push([destination.id, enabled, cause, !former.isApplying]);
    };
    const balancer = balancerOf(ROWS, { onStatus });
    const log = { debug() {}, info() {}, warn() {}, error: (fields: object) => assert.fail(JSON.stringify(fields)) };
    const ports = { balancer, dialogs: { size: 0 }, network: {}, listeners: {}, log } as unknown as FormerProcessPorts;
    await former.copy({ ...ports, names: Promise.resolve() });
    former.tableChanged();
    assert.equal(former.hasSwitched, false);
    channel.tell({
      kind: "switched",
      statuses: [[KEYS[0]!, false, false, 0]],
      fed: [],
      withdrawals: [],
      dispatch: { states: [], pingState: 1 },
    });
    assert.equal(former.hasSwitched, true);
    channel.tell({ kind: "statuses", statuses: [[KEYS[1]!, false, true, 0]], cause: "script" });
    channel.tell({ kind: "statuses", statuses: [[KEYS[1]!, true, true, 0]], cause: "script" });
    assert.deepEqual(seen, [
      [1, false, "cluster", false],
      [2, false, "script", true],
      [2, true, "script", true],
    ]);
    assert.deepEqual(
      balancer.destinations().map((destination) => [balancer.isEnabled(destination), balancer.isAutoReenable(destination)]),
      [
        [false, false],
        [true, true],
      ],
    );
    channel.emit("disconnect");
  });
});
