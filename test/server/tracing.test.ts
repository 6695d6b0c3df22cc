import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseConfig } from "../../src/config/index.ts";
import { Tracing } from "../../src/server/tracing.ts";
import type { Endpoint } from "../../src/transaction/index.ts";

const listener = { transport: "udp", address: "0.0.0.0", port: 5060 } as unknown as Endpoint["listener"];
const PEER: Endpoint = { transport: "udp", address: "192.0.2.7", port: 5070, listener };
const OPTIONS = "OPTIONS sip:a@b SIP/2.0\r\nCall-ID: c1\r\nCSeq: 1 OPTIONS\r\n\r\n";

function tracing({ ring = 1, towards = () => "192.0.2.1" }: { ring?: number; towards?: () => string } = {}) {
  const told: string[] = [];
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: (_fields: object, text: string) => void told.push(text) };
  const config = parseConfig(`tracing: { ring_size: ${ring} }`, "h.yaml", {});
  return { told, tracing: new Tracing({ config, locals: { towards }, wallMs: () => 1_000, log }) };
}

describe("copies of messages", () => {
  it("are found by their Call-ID, with the address that the peer sees of a wildcard listener", async () => {
    const { tracing: one } = tracing();
    const received: string[] = [];
    one.watching((text) => void received.push(text))(OPTIONS, PEER);
    one.sent?.(OPTIONS, PEER);
    assert.deepEqual(received, [OPTIONS]);
    const { messages } = await one.management.capture!("c1");
    assert.deepEqual(
      messages.map(({ direction, local, remote }) => [direction, local, remote]),
      [
        ["in", "192.0.2.1:5060", "192.0.2.7:5070"],
        ["out", "192.0.2.1:5060", "192.0.2.7:5070"],
      ],
    );
  });

  it("are not made where nobody wants them: nothing stands in the way of a message then", () => {
    const { tracing: none } = tracing({ ring: 0 });
    const receive = (): void => {};
    assert.equal(none.watching(receive), receive);
    assert.equal(none.sent, undefined);
    assert.equal(none.management.capture, undefined);
  });

  it("cost no message when they cannot be made, and say so once", () => {
    const { tracing: faulty, told } = tracing({
      towards() {
        throw new Error("no interfaces");
      },
    });
    let received = 0;
    const receive = faulty.watching(() => void received++);
    receive(OPTIONS, PEER);
    receive(OPTIONS, PEER);
    faulty.sent?.(OPTIONS, PEER);
    assert.equal(received, 2);
    assert.deepEqual(told, ["cannot copy a message for captures: further failures are not logged"]);
  });
});
