import { type Static, type TSchema, Type } from "typebox";
import type { Wire } from "../wire.ts";
import { isVersion, VERSION_CHARS, type Version } from "./hlc.ts";

/** Longest URI of a destination that is shared, in characters. */
export const MAX_URI_CHARS = 1_024;
/** Latest time that a record may name, ms since 1970: the year 2286. */
const MAX_TIME_MS = 9_999_999_999_999;

/** Whether calls go to a destination. */
const StatusState = Type.Object(
  {
    enabled: Type.Boolean(),
    autoReenable: Type.Boolean(),
    cause: Type.Union([Type.Literal("mi"), Type.Literal("script"), Type.Literal("probe")]),
  },
  { additionalProperties: false },
);

/** A drain: `draining` stays when it has ended on the nodes, until it is undone. `deadlineMs` by Redis's clock, ms since 1970, 0 for none. */
const DrainState = Type.Object(
  { draining: Type.Boolean(), deadlineMs: Type.Number({ minimum: 0, maximum: MAX_TIME_MS }), bye: Type.Boolean() },
  { additionalProperties: false },
);

/** A breaker: until when it is open before trial calls, by Redis's clock, ms since 1970; 0 when it is closed. */
const BreakerState = Type.Object(
  { open: Type.Boolean(), untilMs: Type.Number({ minimum: 0, maximum: MAX_TIME_MS }) },
  { additionalProperties: false },
);

/** What is shared of a destination. Each is decided by itself: the newest version wins. */
export type Aspect = "status" | "drain" | "breaker";

export interface AspectStates {
  readonly status: Readonly<Static<typeof StatusState>>;
  readonly drain: Readonly<Static<typeof DrainState>>;
  readonly breaker: Readonly<Static<typeof BreakerState>>;
}

/** What was decided of one aspect of one destination, which is known by group and URI, exactly as written. */
export interface RecordOf<A extends Aspect> {
  readonly aspect: A;
  readonly group: number;
  readonly uri: string;
  readonly version: Version;
  readonly state: AspectStates[A];
}

export type StatusRecord = { readonly [A in Aspect]: RecordOf<A> }[Aspect];

const Name = {
  group: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  uri: Type.String({ maxLength: MAX_URI_CHARS }),
  version: Type.String({ minLength: VERSION_CHARS, maxLength: VERSION_CHARS, pattern: "^[0-9]{13}-[0-9]{6}-[0-9]{10}$" }),
};

const StatusRecordSchema = Type.Union([
  recordSchema("status", StatusState),
  recordSchema("drain", DrainState),
  recordSchema("breaker", BreakerState),
]);

function recordSchema<A extends Aspect, S extends TSchema>(aspect: A, state: S) {
  return Type.Object({ aspect: Type.Literal(aspect), ...Name, state }, { additionalProperties: false });
}

/** The name of a register, which is also its field in Redis. */
export function fieldOf(aspect: Aspect, group: number, uri: string): string {
  return `${aspect} ${group} ${uri}`;
}

/** A record as text, for messages; in the hash its version and a blank stand before it. */
export function encodeRecord(wire: Wire, record: StatusRecord): string {
  const { aspect, group, uri, version, state } = record;
  return wire.encode({ aspect, group, uri, version, state });
}

/** Undefined, and counted, when it is no record. */
export function decodeRecord(wire: Wire, text: unknown): StatusRecord | undefined {
  return wire.decode(StatusRecordSchema, text)?.body as StatusRecord | undefined;
}

/** A value of the hash. Undefined, and counted, when it is no record of this field. */
export function decodeHeld(wire: Wire, field: string, held: unknown): StatusRecord | undefined {
  const record = decodeRecord(wire, typeof held === "string" ? held.slice(VERSION_CHARS + 1) : held);
  if (record === undefined) return undefined;
  const isRight =
    isVersion(record.version) &&
    (held as string).startsWith(`${record.version} `) &&
    fieldOf(record.aspect, record.group, record.uri) === field;
  if (isRight) return record;
  wire.counters.refused_malformed++;
  return undefined;
}

/** Whether two records say the same of the same aspect. */
export function isSameState(a: StatusRecord, b: StatusRecord): boolean {
  const before = a.state as Readonly<Record<string, unknown>>;
  const after = b.state as Readonly<Record<string, unknown>>;
  return Object.keys(after).every((name) => before[name] === after[name]);
}
