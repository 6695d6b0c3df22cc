/** Methods with an RFC of their own. Their strings are shared by all messages, so that comparing them is comparing pointers. */
const METHODS = [
  "INVITE",
  "ACK",
  "BYE",
  "CANCEL",
  "OPTIONS",
  "REGISTER",
  "INFO",
  "PRACK",
  "UPDATE",
  "REFER",
  "SUBSCRIBE",
  "NOTIFY",
  "MESSAGE",
  "PUBLISH",
] as const;

const LONGEST = 9;

const byLength: readonly (readonly string[])[] = Array.from({ length: LONGEST + 1 }, (_, length) =>
  METHODS.filter((method) => method.length === length),
);

/** The method of an RFC that is `[start, end)` of `text`, or undefined. "The method is case-sensitive" (RFC 3261 §7.1). */
export function knownMethodAt(text: string, start: number, end: number): string | undefined {
  const length = end - start;
  if (length > LONGEST) return undefined;
  const candidates = byLength[length]!;
  for (let i = 0; i < candidates.length; i++) {
    const method = candidates[i]!;
    if (text.startsWith(method, start)) return method;
  }
  return undefined;
}
