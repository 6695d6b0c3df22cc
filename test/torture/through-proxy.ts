import assert from "node:assert/strict";
import type { Router } from "../../src/proxy/index.ts";
import { H, parseMessage, type SipRequest } from "../../src/sip/index.ts";
import type { Endpoint, SendOwner } from "../../src/transaction/index.ts";
import { request, response } from "../sip/messages.ts";
import { SimNetwork } from "../support/sim-network.ts";
import type { SimOptions } from "../support/sim-options.ts";
import { headersOf, statusOf } from "../support/sip-messages.ts";

/** Where everything goes that the proxy forwards. */
export const DESTINATION = "203.0.113.1";
export const SOURCE = "198.51.100.1";
export const SOURCE6 = "2001:db8::9:1";

/** The simulated network with a tap on what the proxy sends, wherever it goes. */
export class TappedNetwork extends SimNetwork {
  readonly sent: { readonly text: string; readonly to: Endpoint }[] = [];

  override send(text: string, to: Endpoint, owner?: SendOwner): void {
    this.sent.push({ text, to });
    super.send(text, to, owner);
  }
}

/** Sends every request outside of calls, whatever its method, to {@link DESTINATION}. */
export function everythingRouter(): Router {
  return {
    handles: () => true,
    request(call) {
      call.destinationUri = `sip:${DESTINATION}`;
      call.relay();
    },
    failure() {},
  };
}

/** What the proxy sent when one message had come. */
export interface Passage {
  readonly forwarded: readonly string[];
  readonly answers: readonly { readonly status: number; readonly text: string; readonly to: Endpoint }[];
  readonly net: TappedNetwork;
}

/** Gives one message to a proxy that routes everything. Provisional answers of its own are left out. */
export function passed(text: string, from = SOURCE, options: SimOptions = {}): Passage {
  const net = new TappedNetwork({ router: everythingRouter, ...options });
  net.peer(from).send(text);
  const sent = net.sent.filter((each) => statusOf(each.text) !== 100);
  return {
    forwarded: sent.filter(({ text }) => statusOf(text) === 0).map(({ text }) => text),
    answers: sent.filter(({ text }) => statusOf(text) !== 0).map((each) => ({ status: statusOf(each.text), ...each })),
    net,
  };
}

/** The message went on as it came, but for what a proxy must change (RFC 3261 §16.6). */
export function assertForwardedAsIs(came: string, passage: Passage, uri?: string): void {
  const { forwarded, answers, net } = passage;
  assert.deepEqual(
    answers.map(({ status }) => status),
    [],
    "it is not answered",
  );
  assert.equal(forwarded.length, 1, "it is forwarded once");
  const before = request(came);
  const after = request(forwarded[0]!);
  assert.equal(after.method, before.method);
  assert.equal(after.uri, uri ?? before.uri);
  assert.equal(after.body, before.body, "the body is as it came, byte for byte");
  assert.equal(after.maxForwards, before.maxForwards === undefined ? 70 : before.maxForwards - 1);
  assert.deepEqual(withoutOurs(after), linesOf(before), "each header is as it came, in its place");
  net.finish();
}

/** It was answered once, to whom it came from, and went nowhere else. */
export function assertAnswered(came: string, status: number, { forwarded, answers, net }: Passage, from = SOURCE): string {
  assert.deepEqual(forwarded, [], "it is not forwarded");
  assert.deepEqual(
    answers.map((answer) => answer.status),
    [status],
  );
  const { text, to } = answers[0]!;
  assert.equal(to.address, from);
  assert.equal(headersOf(text, "Call-ID")[0], parsedRequest(came).callId);
  assert.equal(headersOf(text, "CSeq")[0], parsedRequest(came).value(H.CSeq));
  net.finish();
  return text;
}

/** Nothing was sent at all. */
export function assertDropped({ net }: Passage): void {
  assert.deepEqual(net.sent, []);
  net.finish();
}

/** A response passes through a call of its own: with the start line, headers and body of `came`, but Via, From, To, Call-ID and CSeq of that call. */
export function asAnswerTo(invite: string, came: string): string {
  const [start = ""] = came.split("\r\n", 1);
  const own = ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route"].flatMap((name) =>
    headersOf(invite, name).map((value) => `${name}: ${name === "To" ? `${value};tag=torture` : value}`),
  );
  const parsed = response(came);
  const rest = ["Contact", "Content-Type", "Content-Length"].flatMap((name) => parsed.headers(name).map((value) => `${name}: ${value}`));
  return `${[start, ...own, ...rest].join("\r\n")}\r\n\r\n${parsed.body}`;
}

function parsedRequest(text: string): SipRequest {
  const parsed = parseMessage(text);
  if (parsed.kind === "malformed") {
    assert.ok("answerable" in parsed && parsed.answerable !== undefined, "it can be answered");
    return parsed.answerable;
  }
  return request(text);
}

function linesOf(message: SipRequest): string[] {
  return Array.from({ length: message.headerCount }, (_, i) => lineOf(message, i));
}

function lineOf(message: SipRequest, i: number): string {
  const value = message.headerValueAt(i);
  const id = message.headerIdAt(i);
  // A proxy counts the hops, and writes where a request came from over what its sender says of that (RFC 3261 §18.2.1).
  const kept = id === H.MaxForwards ? "(counted)" : id === H.Via ? value.replace(/;received=[^;,\s]*/, "") : value;
  return `${message.headerNameAt(i)}: ${kept}`;
}

/** The lines of a forwarded message that are not ours. */
function withoutOurs(message: SipRequest): string[] {
  const lines = linesOf(message);
  const via = lines.findIndex((line) => line.startsWith("Via: SIP/2.0/UDP "));
  assert.match(lines[via] ?? "", /;branch=z9hG4bK[0-9a-v]{6}\.tok/, "our Via is the first of all");
  assert.equal(via, message.indexOf(H.Via));
  lines.splice(via, 1);
  return lines.filter((line) => !/^Record-Route: .*;did=/.test(line) && line !== "Max-Breadth: 60");
}
