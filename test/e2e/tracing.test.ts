import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { formatCapture } from "../../src/cli/capture.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { decodeHep, type HepChunks, hepText } from "../support/hep.ts";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const HOST = "127.0.92.1";
/** INVITE, 180, 200 and ACK, each in and out, and our 100. */
const MESSAGES = 9;

describe("copies of messages", () => {
  let server: Socket;
  let caller: UdpPeer;
  let callee: UdpPeer;
  let headroom: Headroom;
  const packets: HepChunks[] = [];

  before(async () => {
    server = createSocket("udp4");
    server.bind(0, HOST);
    await once(server, "listening");
    server.on("message", (bytes) => packets.push(decodeHep(bytes)));
    caller = await UdpPeer.open("127.0.92.2");
    callee = await UdpPeer.open("127.0.92.3");
    const config = `
tracing: { hep_url: "udp:${HOST}:${server.address().port}", hep_capture_id: 2001 }
routing: { rules: [{ group: 1, resources: pstn, disable_on: [] }] }`;
    headroom = await startHeadroom(config, [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }], "127.0.92.4");
  });
  after(async () => {
    await headroom?.stop();
    await Promise.all([caller?.close(), callee?.close()]);
    server?.close();
  });

  it("of a call go to the capture server, and are told by the method capture", async () => {
    const headers = ['Authorization: Digest username="u", response="proof"'];
    const { callId } = await establish(headroom, caller, callee, { headers });
    const own = `${headroom.address}:${headroom.port}`;
    const ofCall = (): HepChunks[] => packets.filter((chunks) => hepText(chunks, 0x11) === callId);
    await waitFor("all packets", 8_000, () => ofCall().length >= MESSAGES);
    const [invite] = ofCall();
    assert.match(hepText(invite, 0x0f) ?? "", /^INVITE /);
    assert.deepEqual([...(invite?.get(0x04) ?? [])], headroom.address.split(".").map(Number), "it came to the balancer");
    assert.equal(invite?.get(0x08)?.readUInt16BE(), headroom.port);
    assert.equal(invite?.get(0x0c)?.readUInt32BE(), 2001);
    const stamps = ofCall().map((chunks) => Number(chunks.get(9)?.readUInt32BE()) * 1e6 + Number(chunks.get(10)?.readUInt32BE()));
    assert.deepEqual(
      stamps,
      [...stamps].sort((a, b) => a - b),
      "their times are in order",
    );

    const found = (await headroom.mi("capture", [callId])) as { Messages: { direction: string; local: string; message: string }[] };
    assert.ok(found.Messages.length >= MESSAGES);
    assert.ok(found.Messages.every(({ local }) => local === own));
    assert.match(found.Messages[0]?.message ?? "", /response="\*\*\*"/);
    const drawn = formatCapture(found, false);
    assert.match(drawn, /\|-+ INVITE -+>\|/);
    assert.match(drawn, new RegExp(`${caller.sentBy} +headroom +${callee.sentBy}`.replaceAll(".", "\\.")));
    await assert.rejects(headroom.mi("capture", ["nobody@nowhere"]), /Call-ID not found/);
  });
});
