import { readFile } from "node:fs/promises";
import { endianness } from "node:os";
import { parseIp } from "../routing/index.ts";
import type { DatagramSocket, DatagramSockets } from "./datagram-socket.ts";

/** Ports that are tried when any will do: another program may be given the same one between two steps. */
const MAX_PORTS = 8;
/** The sockets of one family in this network namespace, bound or connected. */
const TABLES = { 4: "/proc/net/udp", 6: "/proc/net/udp6" } as const;

export interface ListeningSocket {
  readonly socket: DatagramSocket;
  /** Further sockets of this program may be bound to its address and port. */
  readonly isShared: boolean;
}

/**
 * Binds a socket to an address and port that nobody else has, which they shall be for the life of this program: no other may have bound them, not even
 * one that shares. So it is bound alone first, and when it is bound again to be shared, another that did the same at the same time is looked for.
 *
 * @param wantShared bind it so that sockets of peers can be beside it; it is not where the system cannot tell who else is there
 * @throws NodeJS.ErrnoException of the system, `EADDRINUSE` when somebody has the port
 */
export async function openListeningSocket(
  sockets: DatagramSockets,
  address: string,
  port: number,
  wantShared: boolean,
): Promise<ListeningSocket> {
  for (let left = port === 0 ? MAX_PORTS : 1; ; left--) {
    try {
      return await openOn(sockets, address, port, wantShared);
    } catch (error) {
      if (left <= 1 || (error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
}

async function openOn(sockets: DatagramSockets, address: string, port: number, wantShared: boolean): Promise<ListeningSocket> {
  const alone = await sockets.bind(address, port, false);
  if (!wantShared || process.platform !== "linux") return { socket: alone, isShared: false };
  const own = alone.address();
  await alone.close();
  const shared = await sockets.bind(address, own.port, true);
  const count = await socketsOn(own.address, own.port);
  if (count === 1) return { socket: shared, isShared: true };
  await shared.close();
  if (count === undefined) return { socket: await sockets.bind(address, own.port, false), isShared: false };
  throw Object.assign(new Error(`bind EADDRINUSE ${address}:${own.port}`), { code: "EADDRINUSE" });
}

/** How many sockets, ours among them, take what comes to an address and port; undefined when the system does not tell. */
async function socketsOn(address: string, port: number): Promise<number | undefined> {
  const isIpv6 = address.includes(":");
  const table = await readFile(TABLES[isIpv6 ? 6 : 4], "latin1").catch(() => undefined);
  const words = parseIp(address);
  if (table === undefined || words === undefined) return undefined;
  return countSockets(table, isIpv6 ? words : words.slice(3), port);
}

/**
 * Counts the sockets of a table of the kernel (`proc(5)`, `/proc/net/udp`) whose local address overlaps with one: it is the same, or either is the wildcard.
 *
 * @param words the address in 32-bit words, one for IPv4, four for IPv6
 */
export function countSockets(table: string, words: readonly number[], port: number, isLittle = endianness() === "LE"): number {
  const own = words.map((word) => hexOf(isLittle ? swapped(word) : word)).join("");
  const wildcard = "0".repeat(own.length);
  let count = 0;
  for (const [, address, portText] of table.matchAll(/^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) /gm)) {
    if (Number.parseInt(portText!, 16) === port && (address === own || address === wildcard || own === wildcard)) count++;
  }
  return count;
}

function swapped(word: number): number {
  return ((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

function hexOf(word: number): string {
  return (word >>> 0).toString(16).toUpperCase().padStart(8, "0");
}
