import { argv } from "node:process";
import { fileURLToPath } from "node:url";
import { MessageEdit, parseMessage, SipRequest } from "../src/sip/index.ts";

/** How long one measurement runs, and the warm-up before it. */
const MEASURE_MS = 1_000;
const WARM_UP_MS = 300;
/** Messages between two looks at the clock. */
const BATCH = 500;
/** Different messages, so that nothing is measured on one string that is always in the cache. */
const VARIANTS = 64;

interface Result {
  name: string;
  unit: string;
  value: number;
}

/** An INVITE of 500 bytes as a trunk sends it, body included. */
function invite(number: number): Buffer {
  const id = String(number).padStart(4, "0");
  const head = [
    "INVITE sip:15551230001@192.0.2.10:5060 SIP/2.0",
    `Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-52${id}-1-0;rport`,
    "Route: <sip:192.0.2.10:5060;lr>",
    `From: "Alice" <sip:15559870001@198.51.100.7:5060>;tag=52${id}SIPpTag001`,
    "To: <sip:15551230001@192.0.2.10:5060>",
    `Call-ID: 1-52${id}@198.51.100.7`,
    "CSeq: 1 INVITE",
    "Contact: <sip:15559870001@198.51.100.7:5060>",
    "Max-Forwards: 70",
    "Content-Type: application/sdp",
  ].join("\r\n");
  const frame = `${head}\r\nContent-Length: 00\r\n\r\n`;
  const body = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\n".padEnd(500 - frame.length, "x");
  return Buffer.from(`${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`, "latin1");
}

/** Calls `work` on datagrams in turn for {@link MEASURE_MS}: how many of them it does in a second, in the median batch, so that a busy neighbour counts little. */
function perSecond(datagrams: readonly Buffer[], work: (text: string) => number): number {
  let sink = 0;
  let batchMs: number[] = [];
  for (const durationMs of [WARM_UP_MS, MEASURE_MS]) {
    batchMs = [];
    const end = performance.now() + durationMs;
    for (let start = performance.now(); start < end; ) {
      for (let i = 0; i < BATCH; i++) sink += work(datagrams[i % VARIANTS]!.toString("latin1"));
      const now = performance.now();
      batchMs.push(now - start);
      start = now;
    }
  }
  if (sink === 0) throw new Error("Cannot measure: the work did nothing");
  const medianMs = batchMs.sort((a, b) => a - b)[batchMs.length >> 1]!;
  return Math.round((BATCH / medianMs) * 1_000);
}

function parseInvite(text: string): SipRequest {
  const message = parseMessage(text);
  if (!(message instanceof SipRequest)) throw new Error(`Cannot measure: the message was taken as ${message.kind}`);
  return message;
}

function decode(text: string): number {
  const message = parseInvite(text);
  return message.topVia.branch.length + message.cseqNumber + message.from.uri.length + message.to.uri.length + message.fromTag.length;
}

function forward(text: string): string {
  return new MessageEdit(parseInvite(text))
    .removeTopRoutes(1)
    .markTopVia(";received=198.51.100.7;rport=5060")
    .prependVia("SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK3d2f8a91c04b77e6.1")
    .prependRecordRoute("<sip:192.0.2.10:5060;lr;did=3f2.9a81c4>")
    .setMaxForwards(69)
    .toString();
}

/** Messages a second through the parser and the edit list, for a 500-byte INVITE, reading it out of a datagram included. */
export async function run(): Promise<Result[]> {
  const datagrams = Array.from({ length: VARIANTS }, (_, number) => invite(number));
  const out = Buffer.alloc(2_048);
  const unit = "messages/s";
  return [
    { name: "datagram to string only", unit, value: perSecond(datagrams, (text) => text.length) },
    { name: "parse 500-byte INVITE", unit, value: perSecond(datagrams, (text) => parseInvite(text).headerCount) },
    { name: "parse and decode Via, CSeq, From, To", unit, value: perSecond(datagrams, decode) },
    { name: "parse and the edits of a forward", unit, value: perSecond(datagrams, (text) => forward(text).length) },
    { name: "parse, edit and write to a datagram", unit, value: perSecond(datagrams, (text) => out.write(forward(text), "latin1")) },
  ];
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  for (const { name, unit, value } of await run())
    console.log(`${name.padEnd(40)} ${value.toLocaleString("en").padStart(12)} ${unit}  ${(1e6 / value).toFixed(3)} µs each`);
}
