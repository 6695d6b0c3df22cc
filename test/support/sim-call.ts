import { PROXY, PROXY6, type SimNetwork, type SimPeer } from "./sim-network.ts";
import { headerOf, headersOf, request, responseTo, unique } from "./sip-messages.ts";

/** A request that a test writes out by hand, with the headers that vary. */
export interface InsideOptions {
  readonly branch?: string;
  readonly uri?: string;
  readonly routes?: readonly string[];
  readonly headers?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly callId?: string;
  readonly maxForwards?: number;
  readonly body?: string;
}

/** One call between a caller and a callee that do everything by hand (RFC 3261 §12, §13). */
export class SimCall {
  readonly caller: SimPeer;
  readonly callee: SimPeer;
  readonly invite: string;
  readonly callId: string;
  /** The INVITE as the callee got it; "" before. */
  delivered = "";
  /** The last response that made a dialog, as the caller got it; "" before. */
  answer = "";
  /** To tag of the callee's answers. */
  readonly toTag = unique("t");

  constructor(caller: SimPeer, callee: SimPeer, invite: string) {
    this.caller = caller;
    this.callee = callee;
    this.invite = invite;
    this.callId = headerOf(invite, "Call-ID");
  }

  /** The callee answers the INVITE. */
  respond(status: number, options: { toTag?: string; headers?: readonly string[]; body?: string; contact?: string } = {}): void {
    const { toTag = this.toTag, headers = [], body = "", contact = `<sip:callee@${this.callee.sentBy}>` } = options;
    this.callee.send(responseTo(this.delivered, status, { toTag, headers: [`Contact: ${contact}`, ...headers], body }));
  }

  /** The callee answers with `status` and the caller takes that answer. */
  answerWith(status: number, options: { toTag?: string; headers?: readonly string[]; contact?: string } = {}): string {
    this.respond(status, options);
    this.answer = this.caller.take(status);
    return this.answer;
  }

  /** A request inside the dialog that `answer` made, from the caller to the callee. */
  fromCaller(method: string, cseq: number, options: InsideOptions = {}): string {
    return request({
      method,
      uri: uriOf(headerOf(this.answer, "Contact")),
      sentBy: this.caller.sentBy,
      from: headerOf(this.answer, "From"),
      to: headerOf(this.answer, "To"),
      callId: this.callId,
      cseq,
      routes: routeValues(headersOf(this.answer, "Record-Route")).reverse(),
      ...options,
    });
  }

  /** The caller hangs up, and the callee answers that. */
  hangUp(): void {
    this.caller.send(this.fromCaller("BYE", 2));
    this.callee.send(responseTo(this.callee.take("BYE"), 200));
    this.caller.take(200);
  }

  /** A request inside the dialog, from the callee to the caller. */
  fromCallee(method: string, cseq: number, options: InsideOptions = {}): string {
    return request({
      method,
      uri: uriOf(headerOf(this.delivered, "Contact")),
      sentBy: this.callee.sentBy,
      from: headerOf(this.answer, "To"),
      to: headerOf(this.answer, "From"),
      callId: this.callId,
      cseq,
      routes: routeValues(headersOf(this.delivered, "Record-Route")),
      ...options,
    });
  }

  /** The CANCEL of the INVITE as the caller sends it (RFC 3261 §9.1). */
  cancel(headers: readonly string[] = []): string {
    return request({
      method: "CANCEL",
      uri: this.invite.split(" ")[1]!,
      sentBy: this.caller.sentBy,
      branch: branchOf(this.invite),
      from: headerOf(this.invite, "From"),
      to: headerOf(this.invite, "To"),
      callId: this.callId,
      cseq: Number.parseInt(headerOf(this.invite, "CSeq"), 10),
      headers,
    });
  }

  /** The ACK of a final response other than 2xx as the caller sends it (RFC 3261 §17.1.1.3). */
  ackOf(response: string): string {
    return this.cancel()
      .replaceAll("CANCEL", "ACK")
      .replace(/^To: .*$/m, `To: ${headerOf(response, "To")}`);
  }
}

/** Sends an INVITE; the call is at the callee when that is the one the balancer chose. */
export function invite(
  net: SimNetwork,
  options: {
    caller?: string;
    callee?: string;
    callId?: string;
    cseq?: number;
    headers?: readonly string[];
    body?: string;
    uri?: string;
    from?: string;
  } = {},
): SimCall {
  const { caller: callerAddress = "198.51.100.1", callee: calleeAddress = "203.0.113.1", ...parts } = options;
  const caller = net.peer(callerAddress);
  const callee = net.peer(calleeAddress);
  const proxy = caller.family === 4 ? PROXY : `[${PROXY6}]`;
  const text = request({ uri: `sip:service@${proxy}`, sentBy: caller.sentBy, ...parts });
  const call = new SimCall(caller, callee, text);
  caller.send(text);
  return call;
}

/** An INVITE that has reached its callee; the caller has its 100. */
export function delivered(net: SimNetwork, options: Parameters<typeof invite>[1] = {}): SimCall {
  const call = invite(net, options);
  call.caller.take(100);
  call.delivered = call.callee.take("INVITE");
  return call;
}

/** A call that is up: INVITE, 180, 200, ACK. */
export function established(
  net: SimNetwork,
  options: Parameters<typeof invite>[1] & { responseHeaders?: readonly string[] } = {},
): SimCall {
  const { responseHeaders, ...parts } = options;
  const call = delivered(net, parts);
  const answer = responseHeaders === undefined ? {} : { headers: responseHeaders };
  call.answerWith(180, answer);
  call.answerWith(200, answer);
  call.caller.send(call.fromCaller("ACK", 1));
  call.callee.take("ACK");
  return call;
}

export function branchOf(message: string): string {
  return /branch=([^;,\s]+)/.exec(headerOf(message, "Via"))?.[1] ?? "";
}

/** URI inside the angle brackets of a name-addr. */
export function uriOf(nameAddr: string): string {
  return /<([^>]*)>/.exec(nameAddr)?.[1] ?? nameAddr;
}

/** The values of header lines that may each hold several. */
export function routeValues(lines: readonly string[]): string[] {
  return lines.flatMap((line) => line.split(/,\s*(?=<)/));
}

/** Request-URI of a request. */
export function requestUriOf(text: string): string {
  return text.split(" ", 2)[1] ?? "";
}
