import { type Attributes, quote, readAttributes } from "./attributes.ts";
import { type Names, nameSteps } from "./names.ts";
import { ALL_FLAGS } from "./state.ts";
import { atOnce, STEP_SIZE, type Steps } from "./steps.ts";

/** Sets of one dispatcher. */
export const MAX_SETS = 1_000;
/** Destinations of one set: a pick may look at each. */
export const MAX_SET_SIZE = 1_000;
/** Destinations of all sets. */
export const MAX_RECORDS = 10_000;
/** What the column of the table holds. */
export const MAX_URI_LENGTH = 192;
/** What an `int` of Kamailio holds; set ids are not below 0. */
export const MAX_INT = 2_147_483_647;
/** Schemes that Kamailio knows. Other words before a colon are hosts before a port. */
const SCHEME = /^(?:sips?|tels?|urn):/i;
/** Sentences about records that are kept: those that follow are only counted. */
const MAX_PROBLEMS = 100;

/** A destination as it is written, in a list file, a row of the table or a configuration. */
export interface WrittenRecord {
  readonly setId: number;
  readonly uri: string;
  /** Bits `FLAG_*`. */
  readonly flags: number;
  /** The higher, the earlier in the set. */
  readonly priority: number;
  readonly attrs: string;
  readonly description: string;
  /** Where it stands, for sentences: `line 3`, `row 12`. */
  readonly place: string;
}

/** Where a URI leads, as far as its text says. */
export interface UriTarget {
  /** A name, or an address without brackets. */
  readonly host: string;
  /** 0 when the URI names none. */
  readonly port: number;
  /** `udp`, `tcp`, `tls`, …: what the URI says, or what follows from its scheme; "" for any. */
  readonly transport: string;
  /** The host as an address in the one spelling that addresses of requests have; `undefined` for a name. */
  readonly address: string | undefined;
}

/** Reads a SIP or SIPS URI; `undefined` when it is none. What knows SIP fills this. */
export type ParseUri = (uri: string) => UriTarget | undefined;

/** A destination that can be used. */
export interface DestinationRecord extends WrittenRecord {
  readonly attributes: Attributes;
  readonly target: UriTarget;
}

/** The records that can be used, in their order, and a sentence for each that cannot, and for each attribute that is ignored. */
export interface CheckedRecords {
  readonly records: readonly DestinationRecord[];
  /** By which a reload finds their destinations, in the same order. */
  readonly names: readonly Names[];
  readonly problems: readonly string[];
  /** Records that are left out. */
  readonly refused: number;
}

/** Leaves out the records that cannot be used. A URI without scheme gets `sip:`, as in Kamailio. Never throws. @param before those that were checked before, and stand before them */
export function checkRecords(
  written: readonly WrittenRecord[],
  parseUri: ParseUri,
  before: readonly DestinationRecord[] = [],
): CheckedRecords {
  return atOnce(checkRecordSteps(written, parseUri, before));
}

/** {@link checkRecords} in steps. */
export function* checkRecordSteps(
  written: readonly WrittenRecord[],
  parseUri: ParseUri,
  before: readonly DestinationRecord[] = [],
): Steps<CheckedRecords> {
  const problems = new Problems();
  const records = [...before];
  const sizes = new Map<number, number>();
  for (const { setId } of before) sizes.set(setId, (sizes.get(setId) ?? 0) + 1);
  let refused = 0;
  const refuse = (record: WrittenRecord, fault: string): void => {
    refused++;
    problems.add(`Cannot use the destination ${quote(record.uri)} of ${record.place}: ${fault}`);
  };
  for (const [index, record] of written.entries()) {
    if (index % STEP_SIZE === STEP_SIZE - 1) yield;
    if (records.length === MAX_RECORDS) {
      refused += written.length - index;
      problems.add(`Cannot use ${written.length - index} destinations from ${record.place} on: want at most ${MAX_RECORDS}`);
      break;
    }
    const checked = checkRecord(record, parseUri, problems);
    if (typeof checked === "string") {
      refuse(record, checked);
      continue;
    }
    const size = sizes.get(record.setId);
    if (size === undefined && sizes.size === MAX_SETS) refuse(record, `want at most ${MAX_SETS} sets`);
    else if (size === MAX_SET_SIZE) refuse(record, `want at most ${MAX_SET_SIZE} destinations in set ${record.setId}`);
    else {
      sizes.set(record.setId, (size ?? 0) + 1);
      records.push(checked);
    }
  }
  return { records, names: yield* nameSteps(records), problems: problems.sentences(), refused };
}

function checkRecord(record: WrittenRecord, parseUri: ParseUri, problems: Problems): DestinationRecord | string {
  const { setId, flags, priority, place } = record;
  if (!Number.isInteger(setId) || setId < 0 || setId > MAX_INT) return `want a set id from 0 to ${MAX_INT}`;
  if (!Number.isInteger(flags) || flags < 0 || (flags & ~ALL_FLAGS) !== 0 || flags > ALL_FLAGS) {
    return `want flags from 0 to ${ALL_FLAGS}, not ${flags}`;
  }
  if (!Number.isInteger(priority) || Math.abs(priority) > MAX_INT) return `want a priority of 32 bits, not ${priority}`;
  if (record.uri.length > MAX_URI_LENGTH) return `want a URI of at most ${MAX_URI_LENGTH} characters, not ${record.uri.length}`;
  const uri = SCHEME.test(record.uri) ? record.uri : `sip:${record.uri}`;
  const target = parseUri(uri);
  if (target === undefined) return 'want a SIP URI such as "sip:192.0.2.1:5060"';
  const read = readAttributes(record.attrs);
  if (typeof read === "string") return read;
  for (const problem of read.problems) problems.add(`Cannot use an attribute of ${quote(uri)} (${place}): ${problem}`);
  return { ...record, uri, attributes: read.attributes, target };
}

/** Sentences, no more of them than an operator reads. */
export class Problems {
  readonly #kept: string[] = [];
  #count = 0;

  add(sentence: string): void {
    this.#count++;
    if (this.#kept.length < MAX_PROBLEMS) this.#kept.push(sentence);
  }

  sentences(): readonly string[] {
    const left = this.#count - this.#kept.length;
    return left === 0 ? this.#kept : [...this.#kept, `Cannot use ${left} further things, of which nothing is told`];
  }
}
