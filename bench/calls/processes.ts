import { readdirSync, readFileSync } from "node:fs";

/** Of the clock in /proc/PID/stat: `USER_HZ` is 100 on each Linux that Node.js runs on. */
const US_A_TICK = 10_000;

interface Stat {
  readonly parent: number;
  readonly processorUs: number;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return undefined; // it has ended
  }
}

function statOf(pid: number): Stat | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { parent: Number(fields[1]), processorUs: (Number(fields[11]) + Number(fields[12])) * US_A_TICK };
}

function allStats(): Map<number, Stat> {
  const stats = new Map<number, Stat>();
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat !== undefined) stats.set(Number(name), stat);
  }
  return stats;
}

/** A process and all that descend from it. */
export function tree(root: number): Set<number> {
  const stats = allStats();
  const found = new Set([root]);
  for (let size = 0; size !== found.size; ) {
    size = found.size;
    for (const [pid, { parent }] of stats) if (found.has(parent)) found.add(pid);
  }
  return found;
}

/** Processor time, user and system, of a process and its descendants with all their threads, microseconds. */
export function processorUs(root: number): number {
  let sum = 0;
  for (const pid of tree(root)) sum += statOf(pid)?.processorUs ?? 0;
  return sum;
}

/** Time that all processors of the machine have worked, microseconds. What a hypervisor took away from them counts as work of somebody else. */
export function machineUs(): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (read("/proc/stat") ?? "")
    .split("\n", 1)[0]!
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + irq + softirq + steal) * US_A_TICK;
}

/** Memory of a process and its descendants, bytes; what they share is divided among those that share it (PSS). */
export function memoryBytes(root: number): number {
  let sum = 0;
  for (const pid of tree(root)) sum += Number(/^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? "")?.[1] ?? 0) * 1024;
  return sum;
}

/** Datagrams that the UDP sockets of an address have lost because their buffers were full. */
export function droppedAt(address: string): number {
  const hex = address
    .split(".")
    .reverse()
    .map((part) => Number(part).toString(16).padStart(2, "0"))
    .join("")
    .toUpperCase();
  let sum = 0;
  for (const line of (read("/proc/net/udp") ?? "").split("\n")) {
    const fields = line.trim().split(/\s+/);
    if (fields[1]?.startsWith(`${hex}:`)) sum += Number(fields[12]);
  }
  return sum;
}
