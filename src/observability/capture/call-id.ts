/** As nearly everybody writes it: found without a regular expression. */
const USUAL = "\nCall-ID: ";
/** RFC 3261 §7.3.1 and §7.3.3: any case, the compact form, and a line that goes on in the next one. It looks at each line once. */
const ANY = /\n(?:call-id|i)[ \t]*:[ \t]*(?:\r?\n[ \t]+)?([^\s]+)/i;

/** The Call-ID of a SIP message as it is on the wire; undefined when it has none. Nothing else of the message needs to be right. */
export function callIdOf(text: string): string | undefined {
  const at = text.indexOf(USUAL);
  if (at === -1) return ANY.exec(text)?.[1];
  const from = at + USUAL.length;
  const end = text.indexOf("\r", from);
  const value = end === -1 ? "" : text.slice(from, end);
  return /^\S+$/.test(value) ? value : ANY.exec(text)?.[1];
}
