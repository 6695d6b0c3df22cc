/** As nearly everybody writes it: found without a regular expression. */
const USUAL = "\nCall-ID: ";
/** RFC 3261 §7.3.1 and §7.3.3: any case, the compact form, and a line that goes on in the next one. It looks at each line once. */
const ANY = /\n(?:call-id|i)[ \t]*:[ \t]*(?:\r?\n[ \t]+)?([^\s]+)/i;
/** What ends the headers. */
const BLANK_LINE = /\n\r?\n/;

/** The Call-ID of a SIP message as it is on the wire; undefined when it has none. Nothing else of the message needs to be right. */
export function callIdOf(text: string): string | undefined {
  const at = text.indexOf(USUAL);
  if (at === -1) return ofAnyForm(text);
  const from = at + USUAL.length;
  const end = text.indexOf("\r", from);
  const value = end === -1 ? "" : text.slice(from, end);
  // A body may hold what looks like the line, and have a sender who wants it to be found.
  const isHeader = text.lastIndexOf("\n\r\n", at) === -1;
  return isHeader && /^\S+$/.test(value) ? value : ofAnyForm(text);
}

function ofAnyForm(text: string): string | undefined {
  const headersEnd = text.search(BLANK_LINE);
  return ANY.exec(headersEnd === -1 ? text : text.slice(0, headersEnd))?.[1];
}
