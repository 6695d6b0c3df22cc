import { type Static, Type } from "typebox";
import { MAX_SLOT_NAME_CHARS } from "./slots.ts";

/** Most calls that a node can have in a slot. */
export const MAX_SLOT_CALLS = 1_000_000_000;

/** Most slots in one message; more are told in several. */
export const MAX_CHANGES_IN_MESSAGE = 200;

/** Field of the hash of loads that says how far it is: no slot has this name. */
export const META_FIELD = "#";

const Seq = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/**
 * What a node tells the others of its loads. Each message with changes has the number after the one before; one without changes says that the
 * hash is as of `seq`, and is sent with each beat, so that whoever has missed something notices.
 */
export const LoadMessage = Type.Object(
  {
    seq: Seq,
    /** Slot and the calls that the node has there now. */
    changes: Type.Array(
      Type.Tuple([Type.String({ minLength: 1, maxLength: MAX_SLOT_NAME_CHARS }), Type.Integer({ minimum: 0, maximum: MAX_SLOT_CALLS })]),
      { maxItems: MAX_CHANGES_IN_MESSAGE },
    ),
  },
  { additionalProperties: false },
);
export type LoadMessage = Static<typeof LoadMessage>;

/** {@link META_FIELD} of the hash: the number of the last message that it knows of. */
export const LoadMeta = Type.Object({ seq: Seq }, { additionalProperties: false });

const CALLS = /^[1-9][0-9]{0,9}$/;

/** Calls of a slot as they stand in the hash, where none is no field; `undefined` for anything else. */
export function readCalls(name: string, text: unknown): number | undefined {
  if (name.length > MAX_SLOT_NAME_CHARS || typeof text !== "string" || !CALLS.test(text)) return undefined;
  const calls = Number(text);
  return calls <= MAX_SLOT_CALLS ? calls : undefined;
}
