import { H } from "./headers.ts";
import type { SipMessage } from "./message.ts";

/**
 * The message without its first Via (RFC 3261 §16.7 step 3), if that is alone in its line, as in nearly every response: two slices in place of an edit list.
 *
 * @returns undefined for any other form, which `MessageEdit.removeTopVia` is for; the same text as that otherwise
 */
export function withoutTopVia(message: SipMessage): string | undefined {
  const top = message.indexOf(H.Via);
  if (top === -1 || message.hasBareLf) return undefined;
  const start = message.valueStartAt(top);
  const end = message.valueEndAt(top);
  if (start >= end) return undefined;
  const { raw } = message;
  const comma = raw.indexOf(",", start);
  if (comma !== -1 && comma < end) return undefined;
  return raw.slice(0, message.lineStartAt(top)) + raw.slice(message.lineStartAt(top + 1));
}
