/** Characters of a record's attributes: the column of the table holds 128, extra columns are added to them. */
export const MAX_ATTRIBUTES_LENGTH = 1024;
/** Attributes of one record. */
const MAX_ATTRIBUTES = 64;
/** Kamailio wants 1 to 100, which is too coarse for more than 100 destinations. Sums of a set stay below 2**31. */
export const MAX_WEIGHT = 1_000_000;
/** Largest `maxload` and `latency`, in calls and ms. */
const MAX_NUMBER = 1_000_000_000;
const MAX_PERCENT = 100;
/** How much of a bad value a sentence quotes. */
const MAX_QUOTED_LENGTH = 60;

/** What the attributes of a record say. Absent texts are "". */
export interface Attributes {
  /** As they stand, without a semicolon at the end. */
  readonly body: string;
  /** Unique id of the destination within its set. */
  readonly duid: string;
  /** Most calls at a time, for the algorithms that count them; 0: no limit. */
  readonly maxLoad: number;
  /** Percent of the calls for algorithm 9, and share of those of its priority for 15; 0: none. */
  readonly weight: number;
  /** Share of the calls for algorithm 11; 0: none. */
  readonly relativeWeight: number;
  /** `cc=1`: congestion counts instead of latency, and lowers the relative weight. */
  readonly congestionControl: boolean;
  /** What the destination is taken to need for an answer before it is measured, in ms. */
  readonly latencyMs: number | undefined;
  /** Where requests to the destination are sent from: `proto:address:port`, or the name of a socket, which goes first. */
  readonly socket: string;
  readonly socketName: string;
  /** Where probes are sent from, when it is elsewhere. */
  readonly pingSocket: string;
  /** From URI of probes. */
  readonly pingFrom: string;
  /** SIP URI that probes go through. */
  readonly outboundProxy: string;
  /** Percent of the requests that overload control keeps away: bounds, and the value before a report; {@link ocMin} ≤ {@link ocRate} ≤ {@link ocMax}. */
  readonly ocMin: number;
  readonly ocMax: number;
  readonly ocRate: number;
  /** All of them by name in lower case; of two with one name the first. */
  readonly all: ReadonlyMap<string, string>;
}

/** Attributes, and a sentence's end for each that cannot be used. */
export interface ReadAttributes {
  readonly attributes: Attributes;
  readonly problems: readonly string[];
}

/**
 * Reads the attributes of a record, such as `duid=abc;weight=20;socket=udp:192.0.2.1:5060`. A value may stand in double or single quotes, which
 * are no part of it and hide semicolons; nothing escapes a quote. Names are the same in any case. Seen on Kamailio 5.6.3.
 *
 * A number that cannot be used counts as not given, as there. Weights may be above 100.
 *
 * @returns a sentence's end when the record cannot be used at all: it is too long, or a quoted value does not end where it should
 */
export function readAttributes(text: string): ReadAttributes | string {
  const body = text.endsWith(";") ? text.slice(0, -1) : text;
  if (body.length > MAX_ATTRIBUTES_LENGTH) return `want attributes of at most ${MAX_ATTRIBUTES_LENGTH} characters, not ${body.length}`;
  const all = split(body);
  if (typeof all === "string") return all;
  const problems: string[] = [];
  const textOf = (name: string): string => all.get(name) ?? "";
  const numberOf = (name: string, min: number, max: number): number | undefined => {
    const value = all.get(name);
    if (value === undefined) return undefined;
    const number = /^[+-]?\d{1,10}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= min && number <= max) return number;
    problems.push(`${name} ${quote(value)} must be a whole number from ${min} to ${max}, it is ignored`);
    return undefined;
  };
  const ocMax = numberOf("ocmax", 0, MAX_PERCENT) || MAX_PERCENT;
  const wantedOcMin = numberOf("ocmin", 0, MAX_PERCENT) ?? 0;
  const ocMin = wantedOcMin > ocMax ? 0 : wantedOcMin;
  const attributes: Attributes = {
    body,
    duid: textOf("duid"),
    maxLoad: numberOf("maxload", 0, MAX_NUMBER) ?? 0,
    weight: numberOf("weight", 1, MAX_WEIGHT) ?? 0,
    relativeWeight: numberOf("rweight", 1, MAX_WEIGHT) ?? 0,
    congestionControl: (numberOf("cc", 0, MAX_NUMBER) ?? 0) !== 0,
    latencyMs: numberOf("latency", 0, MAX_NUMBER),
    socket: textOf("socket"),
    socketName: textOf("sockname"),
    pingSocket: textOf("ping_socket"),
    pingFrom: textOf("ping_from"),
    outboundProxy: textOf("obproxy"),
    ocMin,
    ocMax,
    ocRate: Math.min(Math.max(numberOf("ocrate", 0, MAX_PERCENT) ?? 0, ocMin), ocMax),
    all,
  };
  return { attributes, problems };
}

/** Writes attributes as {@link readAttributes} reads them; `undefined` when a name or value cannot be written. */
export function writeAttributes(values: Readonly<Record<string, string | number | boolean>>): string | undefined {
  const items: string[] = [];
  for (const [name, value] of Object.entries(values)) {
    const text = typeof value === "boolean" ? (value ? "1" : "0") : String(value);
    const plain = !/[;"'\s]/.test(text);
    const quoteMark = plain ? "" : text.includes('"') ? "'" : '"';
    if (!/^[^;="'\s]+$/.test(name) || (quoteMark !== "" && text.includes(quoteMark))) return undefined;
    items.push(`${name}=${quoteMark}${text}${quoteMark}`);
  }
  return items.join(";");
}

/** Attributes by name, in their order. */
function split(body: string): Map<string, string> | string {
  const all = new Map<string, string>();
  let at = 0;
  while (at < body.length) {
    const nameEnd = endOfName(body, at);
    const name = body.slice(at, nameEnd).trim().toLowerCase();
    let value = "";
    at = nameEnd;
    if (body[at] === "=") {
      const start = skipBlanks(body, at + 1);
      const quoteMark = body[start];
      const isQuoted = quoteMark === '"' || quoteMark === "'";
      const end = isQuoted ? body.indexOf(quoteMark, start + 1) : endOfItem(body, start);
      if (end === -1) return `want a closing quote for the value of ${quote(name)}`;
      value = isQuoted ? body.slice(start + 1, end) : body.slice(start, end).trim();
      at = isQuoted ? skipBlanks(body, end + 1) : end;
      if (at < body.length && body[at] !== ";") return `want a semicolon behind the quoted value of ${quote(name)}`;
    }
    at++;
    if (name === "" || all.has(name)) continue;
    if (all.size === MAX_ATTRIBUTES) return `want at most ${MAX_ATTRIBUTES} attributes`;
    all.set(name, value);
  }
  return all;
}

function endOfName(body: string, start: number): number {
  let at = start;
  while (at < body.length && body[at] !== ";" && body[at] !== "=") at++;
  return at;
}

function endOfItem(body: string, start: number): number {
  const end = body.indexOf(";", start);
  return end === -1 ? body.length : end;
}

function skipBlanks(body: string, start: number): number {
  let at = start;
  while (body[at] === " " || body[at] === "\t") at++;
  return at;
}

/** A value in a sentence, no longer than a reader needs. */
export function quote(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}…` : text);
}
