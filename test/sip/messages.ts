import assert from "node:assert/strict";
import { MessageEdit, parseMessage, SipRequest, SipResponse } from "../../src/sip/index.ts";

/** A message of these lines, each ended by CRLF, an empty line and a body. */
export function message(lines: readonly string[], body = ""): string {
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

/** The lines of an INVITE that everything can be done with. */
export const INVITE_LINES: readonly string[] = [
  "INVITE sip:bob@biloxi.example.com SIP/2.0",
  "Via: SIP/2.0/UDP pc33.atlanta.example.com:5066;branch=z9hG4bK776asdhds;rport",
  "Max-Forwards: 70",
  "To: Bob <sip:bob@biloxi.example.com>",
  'From: "Alice" <sip:alice@atlanta.example.com>;tag=1928301774',
  "Call-ID: a84b4c76e66710@pc33.atlanta.example.com",
  "CSeq: 314159 INVITE",
  "Contact: <sip:alice@pc33.atlanta.example.com>",
  "Content-Type: application/sdp",
  "Content-Length: 4",
];

export const INVITE = message(INVITE_LINES, "v=0\n");

/** {@link INVITE_LINES} without the headers whose line starts with one of `names`, and with `added` behind the Via. */
export function inviteWith(added: readonly string[], names: readonly string[] = []): string {
  const [start = "", via = "", ...rest] = INVITE_LINES;
  const kept = [via, ...added, ...rest].filter((line) => added.includes(line) || !names.some((name) => line.startsWith(`${name}:`)));
  return message([start, ...kept], "v=0\n");
}

export function request(text: string): SipRequest {
  const parsed = parseMessage(text);
  assert.ok(parsed instanceof SipRequest, `want a request, got ${JSON.stringify("code" in parsed ? parsed.code : parsed.kind)}`);
  return parsed;
}

export function response(text: string): SipResponse {
  const parsed = parseMessage(text);
  assert.ok(parsed instanceof SipResponse, `want a response, got ${JSON.stringify("code" in parsed ? parsed.code : parsed.kind)}`);
  return parsed;
}

/** What was wrong with a message, as `code status`, and whether it can be answered. */
export function fault(text: string): string {
  const parsed = parseMessage(text);
  assert.equal(parsed.kind, "malformed");
  if (parsed.kind !== "malformed") return "";
  return `${parsed.code} ${parsed.status}${parsed.answerable === undefined ? "" : " answerable"}`;
}

/** The header lines of `text`, or those with this name. */
export function linesOf(text: string, name = ""): string[] {
  const lines = text.slice(0, text.indexOf("\r\n\r\n")).split("\r\n").slice(1);
  return lines.filter((line) => line.toLowerCase().startsWith(name.toLowerCase()));
}

/** {@link MessageEdit} applied to a request; what it writes must be one, too. */
export function edited(text: string, edit: (edit: MessageEdit) => unknown): string {
  const list = new MessageEdit(request(text));
  edit(list);
  const out = list.toString();
  request(out);
  return out;
}

/** Checks that an edit turned `from` into `to` and left the rest as it was. */
export function assertReplaced(before: string, after: string, from: string, to: string): void {
  assert.ok(before.includes(from), `the message has no ${JSON.stringify(from)}`);
  assert.equal(
    after,
    before.replace(from, () => to),
  );
}
