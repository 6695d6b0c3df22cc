import { RoutingError } from "./errors.ts";

/** An IP address as four unsigned 32-bit words; an IPv4 address stands in its IPv4-mapped form (RFC 4291 §2.5.5.2). */
export type IpWords = readonly [number, number, number, number];

/** Longest text of an IPv6 address (RFC 4291 §2.2: 39, with an embedded IPv4 address 45) and some room for a zone. */
const MAX_ADDRESS_LENGTH = 64;
const MAPPED_PREFIX_WORD = 0xffff;
/** How many bits of an IPv4-mapped address come before the IPv4 address. */
const MAPPED_PREFIX_BITS = 96;

/** Parses an IPv4 or IPv6 address, brackets and zone allowed; `undefined` when it is neither. */
export function parseIp(text: string): IpWords | undefined {
  if (text.length > MAX_ADDRESS_LENGTH) return undefined;
  let address = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  if (!address.includes(":")) {
    const v4 = parseIpv4(address);
    return v4 === undefined ? undefined : [0, 0, MAPPED_PREFIX_WORD, v4];
  }
  const zone = address.indexOf("%");
  if (zone !== -1) address = address.slice(0, zone);
  return parseIpv6(address);
}

/**
 * Compiles a block such as `10.0.0.0/8`, `2001:db8::/32` or a single address into a test of an address.
 *
 * An IPv4 block also matches IPv4-mapped IPv6 addresses, which a socket for both families reports.
 * Bits behind the prefix are ignored.
 *
 * @throws {RoutingError} when the text is no such block
 */
export function compileCidr(text: string): (address: IpWords) => boolean {
  const slash = text.indexOf("/");
  const network = parseIp(slash === -1 ? text : text.slice(0, slash));
  const isV4 = !text.includes(":");
  const widest = isV4 ? 32 : 128;
  const prefixText = slash === -1 ? String(widest) : text.slice(slash + 1);
  const prefix = /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : Number.NaN;
  if (!network || !(prefix >= 0 && prefix <= widest)) {
    throw new RoutingError(`Cannot use source "${text}": want an address or a CIDR block, such as "10.0.0.0/8" or "2001:db8::/32"`);
  }
  const bits = isV4 ? prefix + MAPPED_PREFIX_BITS : prefix;
  const masks = [0, 1, 2, 3].map((word) => wordMask(bits - 32 * word));
  const wanted = masks.map((mask, word) => ((network[word] ?? 0) & mask) >>> 0);
  return function matches(address) {
    for (let word = 0; word < 4; word++) {
      if (((address[word] ?? 0) & (masks[word] ?? 0)) >>> 0 !== wanted[word]) return false;
    }
    return true;
  };
}

/** The mask of one 32-bit word of which the first `bits` count; any number of bits. */
function wordMask(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? 0xffffffff : (0xffffffff << (32 - bits)) >>> 0;
}

function parseIpv4(text: string): number | undefined {
  const octets = text.split(".", 5);
  if (octets.length !== 4) return undefined;
  let value = 0;
  for (const octet of octets) {
    if (!/^\d{1,3}$/.test(octet) || Number(octet) > 255) return undefined;
    value = value * 256 + Number(octet);
  }
  return value;
}

function parseIpv6(text: string): IpWords | undefined {
  const gap = text.indexOf("::");
  if (gap !== text.lastIndexOf("::")) return undefined;
  const head = parseGroups(gap === -1 ? text : text.slice(0, gap), gap === -1);
  const tail = gap === -1 ? [] : parseGroups(text.slice(gap + 2), true);
  if (!head || !tail) return undefined;
  const missing = 8 - head.length - tail.length;
  if (gap === -1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array<number>(missing).fill(0), ...tail];
  const word = (i: number) => (groups[2 * i] ?? 0) * 65_536 + (groups[2 * i + 1] ?? 0);
  return [word(0), word(1), word(2), word(3)];
}

/** The 16-bit groups of one side of `::`; an IPv4 address may stand last in the whole address. */
function parseGroups(text: string, isLast: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":", 9);
  for (const [i, part] of parts.entries()) {
    if (isLast && i === parts.length - 1 && part.includes(".")) {
      const v4 = parseIpv4(part);
      if (v4 === undefined) return undefined;
      groups.push(v4 >>> 16, v4 & 0xffff);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else {
      return undefined;
    }
  }
  return groups;
}
