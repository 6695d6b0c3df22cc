/** Longest text of an IP address: IPv6 with an embedded IPv4 part and brackets. */
const MAX_IP_CHARS = 47;

const IPV4 = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/;
const HEXTET = /^[0-9a-fA-F]{1,4}$/;

/**
 * One spelling for each IP address, so that addresses compare as strings: IPv4 dotted; IPv6 as eight lower-case groups without leading zeros.
 * IPv6 may stand in brackets; an IPv4-mapped address (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2) is the IPv4 address, because a dual-stack
 * socket reports IPv4 peers so. Answers `undefined` for anything that is not an address.
 */
export function canonicalIp(text: string): string | undefined {
  if (text.length > MAX_IP_CHARS) return undefined;
  if (IPV4.test(text)) return text;
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  const groups = ipv6Groups(bare);
  if (groups === undefined) return undefined;
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (mapped) return [groups[6]! >> 8, groups[6]! & 255, groups[7]! >> 8, groups[7]! & 255].join(".");
  return groups.map((group) => group.toString(16)).join(":");
}

function ipv6Groups(text: string): number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  if (halves.length === 1) return head?.length === 8 ? head : undefined;
  const tail = parseGroups(halves[1]!, true);
  // RFC 4291 §2.2: "::" stands for one or more groups of zeros.
  if (head === undefined || tail === undefined || head.length + tail.length > 7) return undefined;
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

function parseGroups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: number[] = [];
  for (const [i, part] of parts.entries()) {
    if (HEXTET.test(part)) {
      groups.push(Number.parseInt(part, 16));
    } else if (last && i === parts.length - 1 && IPV4.test(part)) {
      const [a, b, c, d] = part.split(".").map(Number) as [number, number, number, number];
      groups.push((a << 8) | b, (c << 8) | d);
    } else {
      return undefined;
    }
  }
  return groups;
}
