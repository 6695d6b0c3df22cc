const COLON = 58;
const DOT = 46;
const PERCENT = 37;
const ZERO = 48;
const NINE = 57;
const A = 97;
const F = 102;
const LOWER = 0x20;
const MAPPED = 0xffff;

/**
 * Who sends, as two unsigned 32-bit words: an IPv4 address is (0, address); of an IPv6 address its first 64 bits, as a host has as many addresses as it likes
 * within them (RFC 4291 §2.5.4, RFC 6177). An IPv4-mapped address is the IPv4 address. No IPv6 host is within 0::/32, so none has the key of an IPv4 one.
 */
export interface SourceKey {
  hi: number;
  lo: number;
}

const groups = new Uint16Array(8);

/**
 * Reads the key of an address as the system writes it, zone allowed, without brackets. It is on the path of every message, so it makes nothing new.
 *
 * @returns false, and `key` is left as it is, when the text is no address
 */
export function readSourceKey(address: string, key: SourceKey): boolean {
  const v4 = ipv4(address, 0);
  if (v4 !== -1) {
    key.hi = 0;
    key.lo = v4;
    return true;
  }
  let count = 0;
  let gap = -1;
  let at = 0;
  let end = address.length;
  for (let i = 0; i < end; i++) if (address.charCodeAt(i) === PERCENT) end = i;
  while (at < end) {
    if (address.charCodeAt(at) === COLON) {
      if (address.charCodeAt(at + 1) === COLON) {
        if (gap !== -1) return false;
        gap = count;
        at += 2;
        continue;
      }
      at++;
      if (count === 0 || at >= end) return false;
    }
    let value = 0;
    const from = at;
    for (; at < end && at - from < 5; at++) {
      const digit = hex(address.charCodeAt(at));
      if (digit === -1) break;
      value = value * 16 + digit;
    }
    if (at === from || at - from > 4 || count === 8) return false;
    if (address.charCodeAt(at) === DOT && at < end) {
      const tail = ipv4(address.slice(0, end), from);
      if (tail === -1 || count > 6) return false;
      groups[count++] = tail >>> 16;
      groups[count++] = tail & 0xffff;
      at = end;
    } else {
      groups[count++] = value;
      if (at < end && address.charCodeAt(at) !== COLON) return false;
    }
  }
  if (gap === -1 ? count !== 8 : count > 7) return false;
  if (gap !== -1) {
    groups.copyWithin(8 - (count - gap), gap, count);
    groups.fill(0, gap, 8 - (count - gap));
  }
  key.hi = ((groups[0]! << 16) | groups[1]!) >>> 0;
  key.lo = ((groups[2]! << 16) | groups[3]!) >>> 0;
  if (key.hi === 0 && key.lo === 0 && groups[4] === 0 && groups[5] === MAPPED) key.lo = ((groups[6]! << 16) | groups[7]!) >>> 0;
  return true;
}

/** How people write a source: an IPv4 address, or an IPv6 block such as `2001:db8:0:1::/64`. */
export function sourceText({ hi, lo }: Readonly<SourceKey>): string {
  if (hi === 0) return `${lo >>> 24}.${(lo >>> 16) & 255}.${(lo >>> 8) & 255}.${lo & 255}`;
  const parts = [hi >>> 16, hi & 0xffff, lo >>> 16, lo & 0xffff];
  while (parts.at(-1) === 0) parts.pop();
  return `${parts.map((part) => part.toString(16)).join(":")}::/64`;
}

const read: SourceKey = { hi: 0, lo: 0 };

/** Who an address belongs to, as {@link sourceText} writes it; the text itself when it is no address. */
export function sourceOf(address: string): string {
  return readSourceKey(address, read) ? sourceText(read) : address;
}

/** The IPv4 address that the text from `from` on is, as an unsigned number; -1 when it is none. */
function ipv4(text: string, from: number): number {
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let i = from; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code >= ZERO && code <= NINE) {
      octet = octet === -1 ? code - ZERO : octet * 10 + code - ZERO;
      if (octet > 255) return -1;
    } else if (code === DOT && octet !== -1) {
      value = value * 256 + octet;
      octet = -1;
      dots++;
    } else return -1;
  }
  return dots === 3 && octet !== -1 ? value * 256 + octet : -1;
}

function hex(code: number): number {
  if (code >= ZERO && code <= NINE) return code - ZERO;
  const lower = code | LOWER;
  return lower >= A && lower <= F ? lower - A + 10 : -1;
}
