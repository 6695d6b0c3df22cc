/** As nearly everybody writes it: found without a regular expression. */
const USUAL = "\nCSeq: ";
/** RFC 3261 §7.3.1: any case, and a line that goes on in the next one. It looks at each line once. */
const ANY = /\ncseq[ \t]*:[ \t]*(?:\r?\n[ \t]+)?\d+[ \t]+(\S+)/i;
const NUMBER_AND_METHOD = /\d+ (\S+)/y;

/** The method of a SIP message as it is on the wire, of a response that of its CSeq; "" when it has none. Nothing else of the message needs to be right. */
export function methodOf(text: string): string {
  if (!text.startsWith("SIP/")) return text.slice(0, Math.max(0, text.indexOf(" ")));
  const at = text.indexOf(USUAL);
  if (at !== -1) {
    NUMBER_AND_METHOD.lastIndex = at + USUAL.length;
    const found = NUMBER_AND_METHOD.exec(text)?.[1];
    if (found !== undefined) return found;
  }
  return ANY.exec(text)?.[1] ?? "";
}
