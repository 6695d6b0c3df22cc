import Type, { type Static } from "typebox";
import { Compile } from "typebox/compile";
import type { HeldLease } from "../../balancer/index.ts";
import { type DialogSnapshot, type DialogState, MAX_LEGS, MAX_ROUTE_SET, DialogState as States } from "../../dialog/index.ts";
import type { Wire } from "../wire.ts";

/** Longest text of a record: a header line is no longer (sip/limits.ts). */
const MAX_TEXT_CHARS = 8_192;
/** Leases of one call that are told: a pick with all resources that a row can have, and what countCall has added. */
export const MAX_HELD = 256;
/** A call keeps its record this much longer than it lasts: whoever ends it has to find it. */
const GRACE_MS = 60_000;
/** Life of the record of a call that is not up: each 1xx writes it again. */
const EARLY_LIFE_MS = 300_000;
/** Longest life of a record: timers of calls go no further. */
const MAX_LIFE_MS = 2 ** 32 * 10;
/** A text that stands inside another one is told as place times this, plus length. */
const PLACE = 10_000;

export const LEG_STATES = ["early", "confirmed", "ended"] as const;
export const EARLY_BYES = [undefined, "downstream", "upstream"] as const;
export const TRANSPORTS = ["udp", "tcp", "tls", "ws", "wss"] as const;

/** Names of dialogs, as DialogTable makes them: they are part of keys. */
export const DidSchema = Type.String({ pattern: "^[A-Za-z0-9._~-]{1,64}$" });
const DID = /^[A-Za-z0-9._~-]{1,64}$/;

const TextSchema = Type.String({ maxLength: MAX_TEXT_CHARS });
const CountSchema = Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 });
const TimeSchema = Type.Integer({ minimum: 0, maximum: 2 ** 46 });
const PartSchema = Type.Union([TextSchema, Type.Integer({ minimum: 0, maximum: MAX_TEXT_CHARS * PLACE })]);
const RoutesSchema = Type.Array(TextSchema, { maxItems: MAX_ROUTE_SET });
const EndpointSchema = Type.Tuple([
  Type.Integer({ minimum: 0, maximum: TRANSPORTS.length - 1 }),
  Type.String({ minLength: 2, maxLength: 64, pattern: "^[0-9A-Za-z.:%_-]+$" }),
  Type.Integer({ minimum: 1, maximum: 65_535 }),
  Type.String({ maxLength: 64 }),
  Type.Integer({ minimum: 0, maximum: 65_535 }),
]);
const LegSchema = Type.Tuple([
  TextSchema,
  TextSchema,
  RoutesSchema,
  CountSchema,
  Type.Integer({ minimum: 0, maximum: LEG_STATES.length - 1 }),
  Type.Integer({ minimum: 0, maximum: EARLY_BYES.length - 1 }),
]);
const BitSchema = Type.Integer({ minimum: 0, maximum: 1 });

/** A record as it stands in Redis, inside what Wire puts around it. The two first belong to its head (dialog-head.ts). Fields by place: names would double it. */
const DialogRecordSchema = Type.Tuple([
  /* taken */ CountSchema,
  /* isAdopted */ BitSchema,
  /* did */ DidSchema,
  /* state */ Type.Integer({ minimum: States.Unconfirmed, maximum: States.Deleted }),
  /* flags */ Type.Integer({ minimum: -(2 ** 31), maximum: 2 ** 32 - 1 }),
  /* isGuarded */ BitSchema,
  /* callId */ TextSchema,
  /* fromValue */ TextSchema,
  /* toValue */ TextSchema,
  /* fromUri, fromTag: part of fromValue */ PartSchema,
  PartSchema,
  /* toUri: part of toValue */ PartSchema,
  /* caller, callee */ EndpointSchema,
  Type.Union([EndpointSchema, Type.Literal(0)]),
  /* callerContact, callerRouteSet, callerCseq */ TextSchema,
  RoutesSchema,
  CountSchema,
  /* inviteBranch */ TextSchema,
  /* legs */ Type.Array(LegSchema, { maxItems: MAX_LEGS }),
  /* startedAtMs by the clock of the cluster, lifetime in ms */ TimeSchema,
  TimeSchema,
  /* held: key, resource, picked */ Type.Array(Type.Tuple([TextSchema, TextSchema, BitSchema]), { maxItems: MAX_HELD }),
  /* inviteCseq, inviteUri; left out once the call is up */ Type.Tuple([CountSchema, TextSchema]),
]);
const FIELDS = 23;
const NO_INVITE: readonly [number, string] = [0, ""];

type Body = Static<typeof DialogRecordSchema>;
/** A record without its head. */
export type DialogBody = readonly unknown[];

/** What is known of a dialog of the cluster. Times are those of this node's wall clock. */
export interface DialogRecord {
  readonly snapshot: DialogSnapshot;
  readonly held: readonly HeldLease[];
}

/** Whether a text can be the name of a dialog. */
export function isDid(text: unknown): text is string {
  return typeof text === "string" && DID.test(text);
}

/** What a record says of a dialog. @param aheadMs how far the clock of the cluster is ahead of this node's wall clock */
export function bodyOf({ snapshot, held }: DialogRecord, aheadMs: number): DialogBody {
  const { fromValue, toValue, callee, startedAtMs, expiresAtMs, inviteCseq, inviteUri } = snapshot;
  return [
    snapshot.did,
    snapshot.state,
    snapshot.flags,
    snapshot.isGuarded ? 1 : 0,
    snapshot.callId,
    fromValue,
    toValue,
    partOf(snapshot.fromUri, fromValue),
    partOf(snapshot.fromTag, fromValue),
    partOf(snapshot.toUri, toValue),
    endpoint(snapshot.caller),
    callee === null ? 0 : endpoint(callee),
    snapshot.callerContact,
    snapshot.callerRouteSet,
    snapshot.callerCseq,
    snapshot.inviteBranch,
    snapshot.legs.map((leg) => [
      leg.tag,
      leg.contact,
      leg.routeSet,
      leg.cseq,
      LEG_STATES.indexOf(leg.state),
      EARLY_BYES.indexOf(leg.earlyBye),
    ]),
    startedAtMs === 0 ? 0 : Math.max(1, Math.round(startedAtMs + aheadMs)),
    Math.max(0, Math.round(expiresAtMs - startedAtMs)),
    held.slice(0, MAX_HELD).map(({ key, resource, picked }) => [key, resource, picked ? 1 : 0]),
    ...(inviteUri === "" ? [] : [[inviteCseq, inviteUri]]),
  ];
}

/** How long the record lives, in milliseconds. @param nowMs wall clock of this node */
export function lifeMsOf({ expiresAtMs }: Pick<DialogSnapshot, "expiresAtMs">, nowMs: number): number {
  if (expiresAtMs === 0) return EARLY_LIFE_MS;
  return Math.ceil(Math.min(Math.max(0, expiresAtMs - nowMs) + GRACE_MS, MAX_LIFE_MS));
}

/** Compiled, as a node that adopts reads ten thousand of them: in the plain form that takes 90 µs for each. */
const RECORD = Compile(DialogRecordSchema);
const ArraySchema = Type.Array(Type.Unknown());

/**
 * Reads a record. Never throws.
 * @param aheadMs as for {@link bodyOf}
 * @returns undefined, and counted, when it is not what the schema says, its parts do not fit together, or it is the record of another dialog
 */
export function readRecord(wire: Wire, text: string, did: string, aheadMs: number): DialogRecord | undefined {
  const body = wire.decode(ArraySchema, text)?.body;
  if (body === undefined) return undefined;
  const whole: unknown = filled(body);
  const record = RECORD.Check(whole) ? recordOf(whole, did, aheadMs) : undefined;
  if (record === undefined || record.snapshot.state === States.Deleted) wire.counters.refused_malformed++; // those that are over have no record there
  return record?.snapshot.state === States.Deleted ? undefined : record;
}

/**
 * Reads what {@link bodyOf} made, without what Redis needs around it. Never throws.
 * @returns undefined when it is not what the schema says, or its parts do not fit together
 */
export function recordOfBody(body: unknown, did: string): DialogRecord | undefined {
  if (!Array.isArray(body)) return undefined;
  const whole: unknown = filled([0, 0, ...body]);
  return RECORD.Check(whole) ? recordOf(whole, did, 0) : undefined;
}

/** The same of what another thread of this program has made, which needs no look at each field: they are two thirds of the time. */
export function recordOfOwnBody(body: DialogBody, did: string): DialogRecord | undefined {
  return recordOf(filled([0, 0, ...body]) as Body, did, 0);
}

/** With its last field, which may be left out. */
function filled(body: readonly unknown[]): readonly unknown[] {
  return body.length === FIELDS - 1 ? [...body, NO_INVITE] : body;
}

function recordOf(body: Body, did: string, aheadMs: number): DialogRecord | undefined {
  const [, , name, state, flags, guarded, callId, fromValue, toValue, fromUriPart, fromTagPart, toUriPart] = body;
  const [caller, callee, callerContact, callerRouteSet, callerCseq, inviteBranch, legs, startedAtMs, lifeMs, held] = body.slice(12) as Tail;
  const [inviteCseq, inviteUri] = body[22];
  const fromUri = whole(fromUriPart, fromValue);
  const fromTag = whole(fromTagPart, fromValue);
  const toUri = whole(toUriPart, toValue);
  if (name !== did || fromUri === undefined || fromTag === undefined || toUri === undefined) return undefined;
  if (state >= States.ConfirmedNoAck && startedAtMs === 0) return undefined;
  const startMs = startedAtMs === 0 ? 0 : Math.max(1, Math.round(startedAtMs - aheadMs));
  return {
    snapshot: {
      did,
      callId,
      fromTag,
      fromUri,
      toUri,
      fromValue,
      toValue,
      caller: readEndpoint(caller),
      callee: callee === 0 ? null : readEndpoint(callee),
      callerContact,
      callerRouteSet,
      callerCseq,
      inviteBranch,
      inviteCseq,
      inviteUri,
      legs: legs.map(([tag, contact, routeSet, cseq, legState, bye]) => {
        const earlyBye = EARLY_BYES[bye];
        return { tag, contact, routeSet, cseq, state: LEG_STATES[legState]!, ...(earlyBye && { earlyBye }) };
      }),
      state: state as DialogState,
      startedAtMs: startMs,
      expiresAtMs: startMs === 0 ? 0 : startMs + lifeMs,
      flags,
      isGuarded: guarded === 1,
    },
    held: held.map(([key, resource, picked]) => ({ key, resource, picked: picked === 1 })),
  };
}

type PlainEndpoint = DialogSnapshot["caller"];
type EndpointBody = Static<typeof EndpointSchema>;
type Tail = [
  EndpointBody,
  EndpointBody | 0,
  string,
  string[],
  number,
  string,
  Static<typeof LegSchema>[],
  number,
  number,
  [string, string, 0 | 1][],
];

function endpoint({ transport, address, port, listener }: PlainEndpoint): EndpointBody {
  return [TRANSPORTS.indexOf(transport), address, port, listener[0], listener[1]];
}

function readEndpoint([transport, address, port, boundTo, boundPort]: EndpointBody): PlainEndpoint {
  return { transport: TRANSPORTS[transport]!, address, port, listener: [boundTo, boundPort] };
}

function partOf(text: string, inside: string): string | number {
  const place = text === "" ? -1 : inside.indexOf(text);
  return place === -1 ? text : place * PLACE + text.length;
}

function whole(part: string | number, inside: string): string | undefined {
  if (typeof part === "string") return part;
  const place = Math.floor(part / PLACE);
  const length = part % PLACE;
  return length === 0 || place + length > inside.length ? undefined : inside.slice(place, place + length);
}
