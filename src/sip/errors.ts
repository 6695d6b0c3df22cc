import { MAX_QUOTED_CHARACTERS } from "./limits.ts";

/** A piece of a SIP message that the grammar does not allow. Callers answer 400, or drop what cannot be answered. */
export class SipSyntaxError extends Error {
  override readonly name = "SipSyntaxError";
}

/** `text` in double quotes for an error message: control characters escaped, and cut after {@link MAX_QUOTED_CHARACTERS}. */
export function quoted(text: string): string {
  return text.length <= MAX_QUOTED_CHARACTERS ? JSON.stringify(text) : `${JSON.stringify(text.slice(0, MAX_QUOTED_CHARACTERS))}...`;
}
