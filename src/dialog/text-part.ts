import { ownText } from "../balancer/index.ts";

/** A text that stands inside another one, as place times {@link PLACE} plus length: a number costs no object. One that does not stand there, as it is. */
export type TextPart = number | string;

/** Header lines are no longer (sip/limits.ts), and the number still fits into 31 bits. */
const PLACE = 10_000;

export function partOf(text: string, inside: string): TextPart {
  const place = inside.indexOf(text);
  return place === -1 || text.length >= PLACE ? ownText(text) : place * PLACE + text.length;
}

/** @param start where the text that it is a part of begins in `whole` */
export function textOf(part: TextPart, whole: string, start: number): string {
  if (typeof part === "string") return part;
  const from = start + Math.trunc(part / PLACE);
  return whole.slice(from, from + (part % PLACE));
}

/** As JSON: the number, or a text that stands nowhere, such as one without a character. */
export function partAsJson(part: TextPart): string {
  return typeof part === "string" ? JSON.stringify(part) : part % PLACE === 0 ? '""' : `${part}`;
}
