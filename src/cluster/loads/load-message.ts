import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import type { Received, Wire } from "../wire.ts";
import { MAX_SLOT_NAME_CHARS } from "./slots.ts";

/** Most calls that a node can have in a slot. */
export const MAX_SLOT_CALLS = 1_000_000_000;

/** Most slots in one message; more are told in several. */
export const MAX_CHANGES_IN_MESSAGE = 200;

/** Most nodes whose calls, taken over, are told for one slot. */
export const MAX_TAKEN_NODES = 8;

/** Field of the hash of loads that says how far it is: no slot has this name. */
export const META_FIELD = "#";

const Seq = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const Name = Type.String({ minLength: 1, maxLength: MAX_SLOT_NAME_CHARS });
const Calls = Type.Integer({ minimum: 0, maximum: MAX_SLOT_CALLS });

/** {@link Taken}: node, incarnation, seq, calls. */
const TakenTuple = Type.Tuple([
  Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 }),
  Type.String({ pattern: "^[A-Za-z0-9]{1,64}$" }),
  Seq,
  Type.Integer({ minimum: 1, maximum: MAX_SLOT_CALLS }),
]);
const TakenList = Type.Array(TakenTuple, { minItems: 1, maxItems: MAX_TAKEN_NODES });

/**
 * What a node tells the others of its loads. Each message with changes has the number after the one before; one without changes says that the
 * hash is as of `seq`, and is sent with each beat, so that whoever has missed something notices.
 */
const LoadMessage = Type.Object(
  {
    seq: Seq,
    /** Slot, the calls that the node has there now, and how many it has taken over there: both in one message, as these are told by their former node too. */
    changes: Type.Array(Type.Union([Type.Tuple([Name, Calls]), Type.Tuple([Name, Calls, TakenList])]), {
      maxItems: MAX_CHANGES_IN_MESSAGE,
    }),
  },
  { additionalProperties: false },
);
export type LoadMessage = Static<typeof LoadMessage>;
export type LoadChange = LoadMessage["changes"][number];

/** Compiled, as a message of {@link MAX_CHANGES_IN_MESSAGE} takes 2 ms in the plain form, and each node may send 40 a second. */
const MESSAGE = Compile(LoadMessage);
const TAKEN_LIST = Compile(TakenList);
const Any = Type.Unknown();

/** Reads a message. Never throws. @returns undefined, and counted, when it is not what the schema says and nothing else */
export function readMessage(wire: Wire, text: unknown): Received<LoadMessage> | undefined {
  const received = wire.decode(Any, text);
  if (received === undefined) return undefined;
  const { body } = received;
  if (MESSAGE.Check(body)) return { ...received, body };
  wire.counters.refused_malformed++;
  return undefined;
}

/** {@link META_FIELD} of the hash: the number of the last message that it knows of. */
export const LoadMeta = Type.Object({ seq: Seq }, { additionalProperties: false });

/** How many calls of a slot a node has taken over from another one, be they still there or not: nobody counts them with that one any more. */
export interface Taken {
  readonly nodeId: number;
  readonly incarnation: string;
  /** Of the last message of that node when they were taken. What it tells after it, it tells without them. */
  readonly seq: number;
  readonly calls: number;
}

/** What a node tells of a slot. */
export interface NodeLoad {
  readonly calls: number;
  readonly taken: readonly Taken[];
}

export const NONE_TAKEN: readonly Taken[] = [];

/** As a message tells it. */
export function changeOf(name: string, { calls, taken }: NodeLoad): LoadChange {
  if (taken.length === 0) return [name, calls];
  return [name, calls, taken.map(({ nodeId, incarnation, seq, calls: some }) => [nodeId, incarnation, seq, some])];
}

/** What a message tells was taken over. */
export function takenIn([, , told]: LoadChange): readonly Taken[] {
  return told === undefined ? NONE_TAKEN : told.map(([nodeId, incarnation, seq, calls]) => ({ nodeId, incarnation, seq, calls }));
}

/** What a field of the hash can be: calls, then node, incarnation, seq and calls of each that calls were taken from. No calls and none taken is no field. */
const FIELD = /^(?:[1-9][0-9]{0,9}|0(?= ))(?: [0-9]{1,10}:[A-Za-z0-9]{1,64}:[0-9]{1,16}:[0-9]{1,10}){0,8}$/;

/** As it stands in the hash. */
export function fieldOf({ calls, taken }: NodeLoad): string {
  return [calls, ...taken.map(({ nodeId, incarnation, seq, calls: some }) => `${nodeId}:${incarnation}:${seq}:${some}`)].join(" ");
}

/** Reads {@link fieldOf}; `undefined` for anything else. */
export function readField(name: string, text: unknown): NodeLoad | undefined {
  if (name.length > MAX_SLOT_NAME_CHARS || typeof text !== "string" || !FIELD.test(text)) return undefined;
  const [first, ...rest] = text.split(" ");
  const calls = Number(first);
  if (calls > MAX_SLOT_CALLS) return undefined;
  if (rest.length === 0) return { calls, taken: NONE_TAKEN };
  const told = rest.map((part) => {
    const [nodeId, incarnation, seq, some] = part.split(":");
    return [Number(nodeId), incarnation, Number(seq), Number(some)];
  });
  return TAKEN_LIST.Check(told) ? { calls, taken: takenIn([name, calls, told]) } : undefined;
}
