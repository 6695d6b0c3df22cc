import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import type { DialogChanges, SavedCapacity } from "./dialog-file.ts";

/*
 * Logs of calls, `FILE.calls-log-N`: what was written since it was last put into the file of calls, in lines. A line is a sum in eight hexadecimal digits and
 * a JSON text. The first text says to which file the log belongs; each other one is a batch of changes. Sums go on from those of the lines before, so
 * neither a line of another log nor what is left of a longer one behind the last line can be taken for the next line.
 */

const NEWLINE = 0x0a;
const SUM_CHARS = 8;

/** The first line of a log. */
interface LogHead {
  /** `identity` of the file of calls that it belongs to. */
  readonly calls: string;
  readonly log: number;
}

/** One log of a file of calls. Higher numbers are younger. */
export interface CallLog {
  readonly path: string;
  readonly number: number;
}

/** What can be read of a log. */
export interface LogContent {
  readonly changes: readonly DialogChanges[];
  /** Bytes of whole lines that are not what was written; what is behind the first of them is lost. */
  readonly damagedBytes: number;
  /** Bytes of a log that belongs to another file. */
  readonly foreignBytes: number;
}

/** The log of this number. */
export function logOf(file: string, number: number): CallLog {
  return { path: `${file}-log-${number}`, number };
}

/** The logs of a file of calls, the oldest first. @throws Error of the file system */
export function logsOf(file: string): CallLog[] {
  const start = `${basename(file)}-log-`;
  const folder = dirname(file);
  const logs: CallLog[] = [];
  for (const name of namesIn(folder)) {
    const digits = name.startsWith(start) ? name.slice(start.length) : "";
    if (/^[1-9]\d{0,14}$/.test(digits)) logs.push({ path: join(folder, name), number: Number(digits) });
  }
  return logs.sort((a, b) => a.number - b.number);
}

/** A line of a log, and the sum that the next one goes on from. */
export function lineOf(value: DialogChanges | LogHead, sumBefore: number): { readonly bytes: Buffer; readonly sum: number } {
  const json = JSON.stringify(value); // has no line end, whatever is in it
  const text = Buffer.from(`${"0".repeat(SUM_CHARS)} ${json}\n`);
  const sum = crc32(text.subarray(SUM_CHARS), sumBefore);
  text.write(sum.toString(16).padStart(SUM_CHARS, "0"), 0, "latin1");
  return { bytes: text, sum };
}

/**
 * Reads a log up to the first line that is not whole: the program may have been killed within it, or the power have gone. Nothing of one that belongs
 * to another file of calls.
 *
 * @throws Error of the file system
 */
export function readLog(path: string, identity: string): LogContent {
  const bytes = readFileSync(path);
  const changes: DialogChanges[] = [];
  const content = (damagedBytes: number, foreignBytes = 0): LogContent => ({ changes, damagedBytes, foreignBytes });
  let sum = 0;
  let from = 0;
  for (let isHead = true; ; isHead = false) {
    const end = bytes.indexOf(NEWLINE, from);
    if (end === -1) return content(bytes.includes(0, from) ? bytes.length - from : 0); // no line has a zero
    const text = bytes.subarray(from + SUM_CHARS, end + 1);
    sum = crc32(text, sum);
    if (bytes.toString("latin1", from, from + SUM_CHARS) !== sum.toString(16).padStart(SUM_CHARS, "0")) return content(bytes.length - from);
    const value: unknown = JSON.parse(text.toString());
    if (!isHead) changes.push(value as DialogChanges);
    else if ((value as LogHead).calls !== identity) return content(0, bytes.length);
    from = end + 1;
  }
}

/** What batches of changes come to, one after the other. */
export class MergedChanges {
  readonly saved = new Map<string, string>();
  readonly removed = new Set<string>();
  capacities: readonly SavedCapacity[] | undefined;
  aliveAtMs: number | undefined;

  add({ saved, removed, capacities, aliveAtMs }: DialogChanges): void {
    for (const [did, record] of saved) {
      this.removed.delete(did);
      this.saved.set(did, record);
    }
    for (const did of removed) {
      this.saved.delete(did);
      this.removed.add(did);
    }
    this.capacities = capacities ?? this.capacities;
    this.aliveAtMs = aliveAtMs ?? this.aliveAtMs;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error; // logs that cannot be seen are calls that would be forgotten
  }
}
