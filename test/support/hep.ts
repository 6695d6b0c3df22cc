import assert from "node:assert/strict";

/** A packet of HEP version 3, taken apart: the value of each chunk by its type. */
export type HepChunks = ReadonlyMap<number, Buffer>;

/** Takes a packet apart, by the words of the specification. It fails at whatever a receiver would stumble over. */
export function decodeHep(packet: Buffer): HepChunks {
  assert.equal(packet.toString("latin1", 0, 4), "HEP3");
  assert.equal(packet.readUInt16BE(4), packet.length, "the length counts the whole packet");
  const chunks = new Map<number, Buffer>();
  let at = 6;
  while (at < packet.length) {
    assert.equal(packet.readUInt16BE(at), 0, "a vendor that everybody knows");
    const type = packet.readUInt16BE(at + 2);
    const length = packet.readUInt16BE(at + 4);
    assert.ok(length >= 6 && at + length <= packet.length, `length ${length} of chunk ${type}`);
    assert.ok(!chunks.has(type), `chunk ${type} is there once`);
    chunks.set(type, packet.subarray(at + 6, at + length));
    at += length;
  }
  return chunks;
}

/** Cuts what came over a stream into packets; the rest is what is not complete. */
export function splitHep(bytes: Buffer): { packets: HepChunks[]; rest: Buffer } {
  const packets: HepChunks[] = [];
  let rest = bytes;
  while (rest.length >= 6 && rest.length >= rest.readUInt16BE(4)) {
    packets.push(decodeHep(rest.subarray(0, rest.readUInt16BE(4))));
    rest = rest.subarray(rest.readUInt16BE(4));
  }
  return { packets, rest };
}

/** Text of a chunk. */
export function hepText(chunks: HepChunks | undefined, type: number): string | undefined {
  return chunks?.get(type)?.toString("latin1");
}
