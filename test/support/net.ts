import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { freeUdpPorts } from "../../src/demo/free-ports.ts";

const POLL_MS = 20;
/** How long a peer waits for a message that must come: the machine may be busy with other things. */
export const MESSAGE_TIMEOUT_MS = 10_000;

/** A UDP port of `address` that nobody uses. */
export async function freeUdpPort(address: string): Promise<number> {
  const [port = 0] = await freeUdpPorts(address, 1);
  return port;
}

/** Waits until `fact` gives something other than undefined or false. @throws Error naming `what` after `timeoutMs` */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  fact: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await fact();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain: ${what}`);
    await sleep(POLL_MS);
  }
}

/** True when some process listens on, or is connected from, the IPv4 address over TCP. Linux only. */
export function isTcpUsed(address: string): boolean {
  return readFileSync("/proc/net/tcp", "latin1").includes(` ${hexOf(address)}:`);
}

/** True when some process has bound the IPv4 UDP `address:port`. Linux only, as sipp's package is. */
export function isUdpBound(address: string, port: number): boolean {
  const local = `${hexOf(address)}:${port.toString(16).padStart(4, "0").toUpperCase()}`;
  return readFileSync("/proc/net/udp", "latin1").includes(` ${local} `);
}

/** As the kernel prints it: in the byte order of the machine. */
function hexOf(address: string): string {
  return address
    .split(".")
    .reverse()
    .map((part) => Number(part).toString(16).padStart(2, "0"))
    .join("")
    .toUpperCase();
}
