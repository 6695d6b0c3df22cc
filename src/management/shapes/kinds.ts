import { type TSchema, Type } from "typebox";

/** Bounds of a number, both included. */
export interface Bounds {
  readonly minimum?: number;
  readonly maximum?: number;
}

/** What a method answers that has nothing to tell. */
export const OK = Type.Literal("OK");

export function whole(description: string, bounds: Bounds = {}) {
  return Type.Integer({ description, ...bounds });
}

/** A number that may have a fraction. */
export function amount(description: string, bounds: Bounds = {}) {
  return Type.Number({ description, ...bounds });
}

/** A number of things or of ms, never below 0. */
export function count(description: string) {
  return whole(description, { minimum: 0 });
}

export function text(description: string) {
  return Type.String({ description });
}

/** One of a few words. */
export function word(description: string, ...words: readonly string[]) {
  return Type.Unsafe<string>({ type: "string", enum: words, description });
}

export function yesOrNo(description: string) {
  return word(description, "yes", "no");
}

export function listOf(item: TSchema, description: string) {
  return Type.Array(item, { description });
}

/** Members that are not there while there is nothing to say are made by {@link maybe}. */
export function members(properties: Record<string, TSchema>, description?: string) {
  return Type.Object(properties, description === undefined ? {} : { description });
}

/** True, or absent. */
export function certain(description: string) {
  return Type.Literal(true, { description });
}

/** A member that may be absent. */
export function maybe<Schema extends TSchema>(schema: Schema) {
  return Type.Optional(schema);
}

/** A value that is null while it is not known. */
export function orNull(schema: TSchema, description: string) {
  return Type.Union([schema, Type.Null()], { description });
}

/** Free names, each with a value of that kind. */
export function named(value: TSchema, description: string) {
  return Type.Unsafe<object>({ type: "object", additionalProperties: value, description });
}

/** Anything, such as what another method answers. */
export function anything(description: string) {
  return Type.Unsafe<unknown>({ description });
}

/** One of the shapes that several methods share: see `shared.ts`. */
export function shared(name: string) {
  return Type.Unsafe<object>({ $ref: `#/components/schemas/${name}` });
}

/** The words that the methods of statistics take. */
export const STATISTICS_PARAMETER = Type.Union([text("one word"), Type.Array(text("word"), { minItems: 1 })], {
  description: "`all`, a group such as `dialog:`, a name, or `group:name`; several in a list",
});
