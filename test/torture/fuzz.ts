import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import {
  H,
  MessageEdit,
  parseMessage,
  parseNameAddr,
  parseVia,
  type SipMessage,
  SipSyntaxError,
  tryParseSipUri,
  uriParam,
} from "../../src/sip/index.ts";
import type { Endpoint, SendOwner } from "../../src/transaction/index.ts";
import { registrarAt } from "../support/register-client.ts";
import { SimCall } from "../support/sim-call.ts";
import { balancingRouter, PROXY, SimNetwork } from "../support/sim-network.ts";
import { request, responseTo } from "../support/sip-messages.ts";
import { messagesOf } from "./fixtures.ts";
import { type Attack, attack, mutated } from "./mutations.ts";
import { processorMs, Slowest } from "./processor-time.ts";

/** Messages in one go. Each go has a call of its own, whose messages are spoiled beside those of the fixtures. */
const CHUNK = 500;
const DESTINATION = "203.0.113.1";
const SENDERS = ["198.51.100.1", DESTINATION, "198.51.100.66", "2001:db8::66"] as const;
const TO_TAG = "to";
/** What the destination says to a request; 0: nothing. */
const ANSWERS = [0, 180, 200, 200, 200, 486, 503] as const;
/** Values of one list that are decoded: an exception costs more than what is looked for here. */
const DECODED_VALUES = 20;

/** What a run found out. */
export interface FuzzReport {
  readonly messages: number;
  /** By what became of them in the parser. */
  readonly requests: number;
  readonly responses: number;
  readonly malformed: number;
  readonly sent: number;
  /** Milliseconds of the processor that the slowest message took the first time, and how many took too long the first time only. */
  readonly slowestMs: number;
  readonly lookedAt: number;
  /** Bytes of the heap after the first tenth and at the end, with nothing under way. */
  readonly heapBefore: number;
  readonly heapAfter: number;
}

export interface FuzzOptions {
  readonly messages: number;
  readonly seed: number;
  /** Told after each go. */
  readonly onProgress?: (done: number) => void;
}

/** The simulated network, which keeps what the proxy sends only while a call is made. */
class FuzzNetwork extends SimNetwork {
  keeps = false;
  sent = 0;

  override send(text: string, to: Endpoint, owner?: SendOwner): void {
    this.sent++;
    assert.ok(text.includes("\r\n\r\n"), "a message has an end of its headers");
    if (this.keeps) super.send(text, to, owner);
    else if (to.address === DESTINATION && !text.startsWith("SIP/") && !text.startsWith("ACK ")) this.#answer(text);
  }

  /** The destination takes most of what it gets, so that spoiled requests become calls, which have to end, too. */
  #answer(text: string): void {
    const status = ANSWERS[Math.floor(this.random() * ANSWERS.length)]!;
    if (status === 0) return;
    const answer = responseTo(text, status, { toTag: "fuzz", headers: [`Contact: <sip:callee@${DESTINATION}>`] });
    this.after(1, () => this.peer(DESTINATION).send(answer));
  }
}

function openNetwork(): FuzzNetwork {
  return new FuzzNetwork({
    destinations: [DESTINATION],
    resources: "pstn=1000000",
    registrar: registrarAt().registrar,
    resolve: () => undefined,
    router: (balancer) => {
      const plain = balancingRouter(balancer);
      return {
        handles: (method) => method !== "FROBNICATE",
        request(call) {
          if (call.request.method === "INVITE") return plain.request(call);
          call.destinationUri = `sip:${DESTINATION}`;
          call.relay();
        },
        failure: plain.failure,
      };
    },
  });
}

/**
 * Sends spoiled messages to one proxy in memory and looks after each that nothing was thrown, that it took no longer than `MAX_MS` and
 * that the loads are true; at the end, that nothing is left of any of them. The same seed does the same again.
 *
 * @throws AssertionError that names the seed, the number of the message, and the message
 */
export function fuzz({ messages, seed, onProgress }: FuzzOptions): FuzzReport {
  const net = openNetwork();
  const before = Object.getOwnPropertyNames(Object.prototype).sort();
  const tally = { request: 0, response: 0, malformed: 0 };
  const slowest = new Slowest();
  let heapBefore = 0;
  let done = 0;
  for (let chunk = 0; done < messages; chunk++) {
    const attacks = fc.sample(attack, { seed: seed + chunk, numRuns: Math.min(CHUNK, messages - done) });
    const originals = originalsOf(callIn(net, chunk), chunk);
    for (const [i, each] of attacks.entries()) {
      const text = textOf(each, originals);
      const where = (): string => `seed ${seed}, message ${done + 1}: ${JSON.stringify(text.slice(0, 2_000))}`;
      tally[parsed(text, where)]++;
      slowest.note(delivered(net, each, text), () => replayed(attacks.slice(0, i + 1), chunk), where);
      assert.deepEqual(net.escaped, [], where());
      done++;
    }
    net.checkLoads();
    net.logged.length = 0;
    assert.deepEqual(
      Object.getOwnPropertyNames(Object.prototype).sort(),
      before,
      `seed ${seed}: a message changed the prototype of all objects`,
    );
    onProgress?.(done);
    if (heapBefore === 0 && done >= messages / 10) heapBefore = emptiedHeap(net);
  }
  const heapAfter = emptiedHeap(net);
  const { request: requests, response: responses, malformed } = tally;
  const { ms: slowestMs, lookedAt } = slowest;
  return { messages: done, requests, responses, malformed, sent: net.sent, slowestMs, lookedAt, heapBefore, heapAfter };
}

/** @returns milliseconds of the processor that the message took; time that passes behind it is not in them */
function delivered(net: FuzzNetwork, each: Attack, text: string): number {
  const ms = processorMs(() => net.peer(SENDERS[each.sender]!).send(text));
  if (each.passMs > 0) net.run(each.passMs);
  return ms;
}

/** Gives a proxy of its own all that another got in this go. @returns milliseconds of the processor that the last message took */
function replayed(attacks: readonly Attack[], chunk: number): number {
  const net = openNetwork();
  const originals = originalsOf(callIn(net, chunk), chunk);
  let ms = 0;
  for (const each of attacks) ms = delivered(net, each, textOf(each, originals));
  return ms;
}

/** The message of an attack. */
export function textOf({ original, mutations }: Attack, originals: readonly string[]): string {
  return mutated(originals[original % originals.length]!, mutations, originals);
}

/** A call that is up, with names that are the same in every run. */
function callIn(net: FuzzNetwork, serial: number): SimCall {
  net.keeps = true;
  for (const address of SENDERS) net.peer(address).clear();
  const [caller, callee] = [net.peer(SENDERS[0]), net.peer(DESTINATION)];
  const names = { branch: `z9hG4bKcall${serial}`, from: `<sip:caller@${caller.sentBy}>;tag=from${serial}`, callId: `call${serial}` };
  const call = new SimCall(caller, callee, request({ uri: `sip:service@${PROXY}`, sentBy: caller.sentBy, ...names }));
  caller.send(call.invite);
  caller.take(100);
  call.delivered = callee.take("INVITE");
  call.answerWith(180, { toTag: TO_TAG });
  call.answerWith(200, { toTag: TO_TAG });
  caller.send(call.fromCaller("ACK", 1, { branch: `z9hG4bKack${serial}` }));
  callee.take("ACK");
  net.keeps = false;
  return call;
}

/** Every message of both RFCs, and those that could be said of a call. */
function originalsOf(call: SimCall, serial: number): string[] {
  const contact = { toTag: TO_TAG, headers: [`Contact: <sip:callee@${call.callee.sentBy}>`] };
  const branch = (method: string, i: number) => ({ branch: `z9hG4bK${method}${i}of${serial}` });
  const outside = (method: string, i: number) => ({
    ...branch(method, i),
    method,
    sentBy: call.caller.sentBy,
    uri: `sip:service@${PROXY}`,
    from: `<sip:x@${call.caller.sentBy}>;tag=f${serial}`,
    callId: `${method}${i}of${serial}`,
  });
  const registering = ["Contact: <sip:gw@198.51.100.66:5060>", 'Authorization: Digest username="fs", realm="x"'];
  const ofCall = [
    call.invite,
    call.cancel(),
    ...[100, 180, 183, 200, 302, 401, 486, 503, 603].map((status) => responseTo(call.delivered, status, contact)),
    ...["ACK", "BYE", "INVITE", "UPDATE", "PRACK", "INFO", "OPTIONS", "REFER"].map((method, i) =>
      call.fromCaller(method, 100 + i, branch(method, i)),
    ),
    ...["BYE", "INVITE", "UPDATE", "NOTIFY", "MESSAGE"].map((method, i) => call.fromCallee(method, 100 + i, branch(method, 10 + i))),
    ...["INVITE", "OPTIONS", "MESSAGE", "SUBSCRIBE", "REGISTER", "FROBNICATE"].map((method, i) => request(outside(method, 20 + i))),
    request({ ...outside("REGISTER", 30), headers: registering }),
  ];
  // Of the fixtures, many are refused as they are.
  return [...messagesOf("rfc4475").values(), ...messagesOf("rfc5118").values(), ...ofCall, ...ofCall, ...ofCall];
}

/** Reads all of a message that can be read. */
function parsed(text: string, where: () => string): "request" | "response" | "malformed" {
  const message = parseMessage(text);
  if (message.kind === "malformed") return "malformed";
  try {
    readAll(message as SipMessage);
  } catch (error) {
    assert.fail(`${where()}: ${String(error)}`);
  }
  return (message as SipMessage).kind;
}

function readAll(message: SipMessage): void {
  assert.equal(new MessageEdit(message).toString(), message.raw, "without edits it is what came");
  for (const id of [H.Via, H.Contact, H.Route, H.RecordRoute]) {
    for (const value of message.list(id).slice(0, DECODED_VALUES)) {
      mayThrow(() => parseNameAddr(value));
      mayThrow(() => parseVia(value));
      uriParam(value, "__proto__");
    }
  }
  tryParseSipUri(message.from.uri);
  tryParseSipUri(message.to.uri);
  for (const name of ["__proto__", "constructor"]) message.headers(name);
}

function mayThrow(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    assert.ok(error instanceof SipSyntaxError, String(error));
  }
}

/** Lets everything end that is under way. @returns bytes of the heap then */
function emptiedHeap(net: FuzzNetwork): number {
  net.finish();
  net.logged.length = 0;
  for (const address of SENDERS) net.peer(address).clear();
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let i = 0; i < 3; i++) collect();
  return process.memoryUsage().heapUsed;
}
