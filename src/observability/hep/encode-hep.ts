import { canonicalIp } from "../../balancer/index.ts";

/** A SIP message as a capture server wants it. */
export interface HepPacket {
  readonly source: HepPlace;
  readonly target: HepPlace;
  /** Over UDP, or over anything that is a stream. */
  readonly isDatagram: boolean;
  /** Seconds since 1970, and microseconds beyond. */
  readonly seconds: number;
  readonly microseconds: number;
  /** What belongs together: the Call-ID. */
  readonly correlationId: string | undefined;
  /** One character a byte. */
  readonly text: string;
}

/** @param address without brackets, IPv4 or IPv6 */
export interface HepPlace {
  readonly address: string;
  readonly port: number;
}

/** The same in each packet of a sender. */
export interface HepAgent {
  /** 0 to 2**32-1: which of several agents has seen a message. */
  readonly captureId: number;
  /** What the capture server knows the agent by; undefined: nothing. */
  readonly authKey: string | undefined;
}

/** A packet tells its length in 16 bits. */
export const MAX_HEP_BYTES = 0xffff;
/** "HEP3" and the length of all. */
const PREFIX_BYTES = 6;
/** Vendor, type, and length of the chunk: 16 bits each. */
const CHUNK_BYTES = 6;
/** Vendor 0: chunks that everybody knows (HEP3 specification, "Generic chunk types"). */
const GENERIC = 0x0000;
const Chunk = {
  family: 0x0001,
  protocol: 0x0002,
  source4: 0x0003,
  target4: 0x0004,
  source6: 0x0005,
  target6: 0x0006,
  sourcePort: 0x0007,
  targetPort: 0x0008,
  seconds: 0x0009,
  microseconds: 0x000a,
  kind: 0x000b,
  captureId: 0x000c,
  authKey: 0x000e,
  payload: 0x000f,
  correlationId: 0x0011,
} as const;
/** AF_INET and AF_INET6 as the specification numbers them. */
const FAMILY = { 4: 2, 6: 10 } as const;
/** IANA protocol numbers. */
const UDP = 17;
const TCP = 6;
const KIND_SIP = 0x01;

/**
 * A message in HEP version 3, the "EEP" encapsulation of Homer.
 *
 * @returns undefined when it is too long for a packet, or an address is none
 */
export function encodeHep(packet: HepPacket, { captureId, authKey }: HepAgent): Buffer | undefined {
  const { source, target, correlationId, text } = packet;
  const from = addressBytes(source.address);
  const to = addressBytes(target.address);
  if (from === undefined || to === undefined) return undefined;
  const isIpv6 = from.length === 16 || to.length === 16;
  const length = isIpv6 ? 16 : 4;
  let size = PREFIX_BYTES + 3 * (CHUNK_BYTES + 1) + 2 * (CHUNK_BYTES + length) + 2 * (CHUNK_BYTES + 2) + 3 * (CHUNK_BYTES + 4);
  size += CHUNK_BYTES + text.length;
  if (authKey !== undefined) size += CHUNK_BYTES + Buffer.byteLength(authKey);
  if (correlationId !== undefined) size += CHUNK_BYTES + correlationId.length;
  if (size > MAX_HEP_BYTES) return undefined;

  const bytes = Buffer.allocUnsafe(size);
  bytes.write("HEP3", 0, "latin1");
  bytes.writeUInt16BE(size, 4);
  let at = PREFIX_BYTES;
  /** @returns where the value of the chunk goes */
  const begin = (type: number, valueLength: number): number => {
    bytes.writeUInt16BE(GENERIC, at);
    bytes.writeUInt16BE(type, at + 2);
    bytes.writeUInt16BE(CHUNK_BYTES + valueLength, at + 4);
    const value = at + CHUNK_BYTES;
    at = value + valueLength;
    return value;
  };
  bytes.writeUInt8(isIpv6 ? FAMILY[6] : FAMILY[4], begin(Chunk.family, 1));
  bytes.writeUInt8(packet.isDatagram ? UDP : TCP, begin(Chunk.protocol, 1));
  bytes.set(widened(from, length), begin(isIpv6 ? Chunk.source6 : Chunk.source4, length));
  bytes.set(widened(to, length), begin(isIpv6 ? Chunk.target6 : Chunk.target4, length));
  bytes.writeUInt16BE(source.port, begin(Chunk.sourcePort, 2));
  bytes.writeUInt16BE(target.port, begin(Chunk.targetPort, 2));
  bytes.writeUInt32BE(packet.seconds, begin(Chunk.seconds, 4));
  bytes.writeUInt32BE(packet.microseconds, begin(Chunk.microseconds, 4));
  bytes.writeUInt8(KIND_SIP, begin(Chunk.kind, 1));
  bytes.writeUInt32BE(captureId, begin(Chunk.captureId, 4));
  if (authKey !== undefined) bytes.write(authKey, begin(Chunk.authKey, Buffer.byteLength(authKey)));
  if (correlationId !== undefined) bytes.write(correlationId, begin(Chunk.correlationId, correlationId.length), "latin1");
  bytes.write(text, begin(Chunk.payload, text.length), "latin1");
  return bytes;
}

/** Bytes of addresses that were seen lately: there are few, and each is in many packets. */
const known = new Map<string, Uint8Array>();
const MAX_KNOWN = 4_096;

/** The bytes of an address in network order; undefined when the text is none. */
function addressBytes(address: string): Uint8Array | undefined {
  const found = known.get(address);
  if (found !== undefined) return found;
  const bytes = parseAddress(address);
  if (bytes === undefined) return undefined;
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(address, bytes);
  return bytes;
}

function parseAddress(address: string): Uint8Array | undefined {
  const zone = address.indexOf("%");
  const canonical = canonicalIp(zone === -1 ? address : address.slice(0, zone));
  if (canonical === undefined) return undefined;
  if (!canonical.includes(":")) return Uint8Array.from(canonical.split("."), Number);
  const words = canonical.split(":").map((word) => Number.parseInt(word, 16));
  return Uint8Array.from(words.flatMap((word) => [word >> 8, word & 0xff]));
}

/** An IPv4 address beside an IPv6 one: mapped into IPv6 (RFC 4291 §2.5.5.2). */
function widened(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length === length) return bytes;
  const mapped = new Uint8Array(16);
  mapped.set([0xff, 0xff], 10);
  mapped.set(bytes, 12);
  return mapped;
}
