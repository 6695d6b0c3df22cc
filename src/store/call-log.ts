import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import type { DialogChanges, SavedCapacity } from "./dialog-file.ts";

/*
 * Logs of calls, `FILE.calls-log-N`: what was written since it was last put into the file of calls, in lines. A line is a sum in eight hexadecimal digits and
 * a text. The first text is JSON and says to which file the log belongs; each other one is a batch of changes: a 2, JSON of all but the calls that are saved, and then
 * name and record of each of these, a tab before each. A record is JSON already, so there is no tab and no line end in it, and as a part of another
 * JSON text it would have each of its quotes escaped, by the thread that handles calls. Logs of before, and batches with a record that is something else, are JSON as
 * a whole. Sums go on from those of the lines before, so
 * neither a line of another log nor what is left of a longer one behind the last line can be taken for the next line.
 */

const NEWLINE = 0x0a;
const SUM_CHARS = 8;
const NO_SUM = "0".repeat(SUM_CHARS);
const BATCH_MARK = "2";
const SEPARATOR = "\t";

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
  const text = Buffer.from(`${NO_SUM} ${("saved" in value && batchOf(value)) || JSON.stringify(value)}\n`); // JSON has no line end, whatever is in it
  const sum = crc32(text.subarray(SUM_CHARS), sumBefore);
  text.write(sum.toString(16).padStart(SUM_CHARS, "0"), 0, "latin1");
  return { bytes: text, sum };
}

/** A batch as a line has it; undefined when a record is not JSON. */
function batchOf({ saved, removed, capacities, aliveAtMs }: DialogChanges): string | undefined {
  let text = BATCH_MARK + JSON.stringify({ removed, capacities, aliveAtMs });
  for (const [did, record] of saved) {
    if (record.includes(SEPARATOR) || record.includes("\n") || !record.isWellFormed()) return undefined;
    text += SEPARATOR + did + SEPARATOR + record;
  }
  return text;
}

/** What a line of a batch says. */
function changesOf(text: string): DialogChanges {
  if (!text.startsWith(BATCH_MARK)) return JSON.parse(text) as DialogChanges;
  const parts = text.split(SEPARATOR);
  const saved: [string, string][] = [];
  for (let i = 1; i < parts.length; i += 2) saved.push([parts[i]!, parts[i + 1]!]);
  return { saved, ...(JSON.parse(parts[0]!.slice(BATCH_MARK.length)) as Omit<DialogChanges, "saved">) };
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
    const line = text.toString("utf8", 1, text.length - 1);
    if (!isHead) changes.push(changesOf(line));
    else if ((JSON.parse(line) as LogHead).calls !== identity) return content(0, bytes.length);
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
