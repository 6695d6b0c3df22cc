import { type TSchema, Type } from "typebox";
import type { TextCheck } from "./checks.ts";

/** Longest text value of the file: no key needs more, and messages quote what they found. */
export const MAX_TEXT_LENGTH = 1024;
/** Longest list of the file, rules included. */
export const MAX_LIST_LENGTH = 1000;
/** One year: a call that lasts longer than this is not one. */
export const MAX_SECONDS = 31_536_000;
export const MAX_INT32 = 2_147_483_647;

/** What a key's schema may hold beside JSON Schema's own words. The loader and the reference read these. */
export interface KeyOptions {
  /** Refuses a text that has the right type but cannot be used; answers what is wanted. */
  check?: TextCheck;
  /** How the unit or form is called in a message: "want a whole number of seconds from 1 to 600". */
  unit?: string;
  /** For a list: one value alone stands for a list of it. */
  single?: boolean;
  /** A number stands for its text: a status code may stand without quotes. */
  numberIsText?: boolean;
  /** For a mapping of free names: refuses a name. */
  nameCheck?: TextCheck;
  /** Set for a secret: a message never quotes what stands there. */
  secret?: boolean;
  /** Set while the feature behind the key does not exist; says so, as the second half of a sentence. */
  unbuilt?: string;
  /** The value that asks for nothing, so that it is no surprise that nothing happens; the default when it is left out. */
  harmless?: unknown;
}

export function text(description: string, value: string, options: KeyOptions = {}) {
  return Type.String({ description, default: value, maxLength: MAX_TEXT_LENGTH, ...options });
}

/** A text, or null for none. */
export function optionalText(description: string, options: KeyOptions = {}) {
  return Type.Union([Type.String({ maxLength: MAX_TEXT_LENGTH, ...options }), Type.Null()], { description, default: null, ...options });
}

export function whole(description: string, value: number, minimum: number, maximum: number, options: KeyOptions = {}) {
  return Type.Integer({ description, default: value, minimum, maximum, ...options });
}

/** A share or a number of seconds that may have a fraction. */
export function fraction(description: string, value: number, minimum: number, maximum: number, options: KeyOptions = {}) {
  return Type.Number({ description, default: value, minimum, maximum, ...options });
}

export function flag(description: string, value: boolean, options: KeyOptions = {}) {
  return Type.Boolean({ description, default: value, ...options });
}

export function list<Item extends TSchema>(description: string, item: Item, value: unknown[], options: KeyOptions = {}) {
  return Type.Array(item, { description, default: value, maxItems: MAX_LIST_LENGTH, ...options });
}

export function item(options: KeyOptions & { description?: string } = {}) {
  return Type.String({ maxLength: MAX_TEXT_LENGTH, ...options });
}

/** A condition that one value or one of several can meet. */
export function several(description: string, options: KeyOptions) {
  return Type.Optional(Type.Array(item(options), { description, minItems: 1, maxItems: MAX_LIST_LENGTH, single: true }));
}
