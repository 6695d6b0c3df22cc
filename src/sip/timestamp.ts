import { quoted, SipSyntaxError } from "./errors.ts";

/** Timestamp (RFC 3261 §20.38): when the request was sent, and how long the UAS held it, both in seconds. */
export interface Timestamp {
  readonly sentSeconds: number;
  readonly delaySeconds: number | undefined;
}

/**
 * Parses a Timestamp value such as `54` or `54.21 0.5`.
 *
 * @throws {SipSyntaxError} when it is not one or two such numbers
 */
export function parseTimestamp(text: string): Timestamp {
  const [, sent, delay] = /^[ \t]*(\d{1,15}(?:\.\d{0,15})?)(?:[ \t]+(\d{0,15}(?:\.\d{0,15})?))?[ \t]*$/.exec(text) ?? [];
  if (sent === undefined || delay === ".")
    throw new SipSyntaxError(`Cannot parse Timestamp ${quoted(text)}: want seconds, such as "54.2" or "54.2 0.1"`);
  return { sentSeconds: Number(sent), delaySeconds: delay ? Number(delay) : undefined };
}
