import { branchOf, requestUriOf, routeValues, uriOf } from "./sim-call.ts";
import { PROXY, type SimNetwork, type SimPeer } from "./sim-network.ts";
import { headerOf, headersOf, request, responseTo, statusOf, unique } from "./sip-messages.ts";

/** 500 ms and 64 times that, in ticks of 10 ms. */
const T1 = 50;
const T64 = 64 * T1;
/** Where a caller that gives up stops to wait: after every timer of the proxy. */
const NEVER = 1_000_000;

/** What a callee does with a call; times in ticks. */
export interface CalleePlan {
  /** Sends 100 at once. */
  readonly trying: boolean;
  /** Sends 180 after this; never without it. */
  readonly ringAfter: number | undefined;
  /** Sends its final answers after this. */
  readonly answerAfter: number;
  /** 200 answers with as many legs as `forks`; 0 never answers. */
  readonly status: number;
  readonly forks: number;
  readonly ignoresCancel: boolean;
  /** Hangs up so long after its answer. */
  readonly byeAfter: number | undefined;
  /** Status that a BYE gets; 0 gets none. */
  readonly byeStatus: number;
  /** Dies without a word at this time after the INVITE. */
  readonly diesAfter: number | undefined;
}

export interface CallerPlan {
  readonly cancelAfter: number | undefined;
  /** Sends BYE in the early dialog so long after the INVITE, if there is one then. */
  readonly earlyByeAfter: number | undefined;
  readonly byeAfter: number | undefined;
  readonly reinviteAfter: number | undefined;
  readonly acks: boolean;
  readonly byeStatus: number;
  readonly diesAfter: number | undefined;
}

/** One side of one leg of a call, as its user agent sees it. */
export interface UaLeg {
  readonly tag: string;
  acked: boolean;
  /** A BYE was sent or received. */
  ended: boolean;
}

/** What callers and callees have in common: transactions on an unreliable wire (RFC 3261 §17), in the shortest form that works. */
abstract class SimUa {
  dead = false;
  protected readonly net: SimNetwork;
  protected readonly peer: SimPeer;
  readonly #answered = new Set<string>();
  readonly #responses = new Map<string, string>();

  constructor(net: SimNetwork, peer: SimPeer) {
    this.net = net;
    this.peer = peer;
  }

  protected later(ticks: number | undefined, action: () => void): void {
    if (ticks !== undefined)
      this.net.after(Math.max(1, ticks), () => {
        if (!this.dead) action();
      });
  }

  /** Sends a request, again and again until an answer comes or Timer F. */
  protected ask(text: string): void {
    this.#repeat(text, `${branchOf(text)} ${methodOf(text)}`);
  }

  /** A response came: its request is repeated no more. */
  protected noteAnswer(response: string): void {
    this.#answered.add(`${branchOf(response)} ${headerOf(response, "CSeq").split(" ")[1]}`);
  }

  /** Sends a 2xx to INVITE, or a negative answer to it, again and again until its ACK. */
  protected insist(text: string, key: string, onGiveUp: () => void = () => undefined): void {
    this.#repeat(text, key, onGiveUp);
  }

  protected acknowledged(key: string): void {
    this.#answered.add(key);
  }

  /** Answers a request; copies of it get the same. */
  protected answer(received: string, status: number, options: Parameters<typeof responseTo>[2] = {}): void {
    if (status === 0) return;
    const text = responseTo(received, status, options);
    this.#responses.set(`${branchOf(received)} ${methodOf(received)}`, text);
    this.peer.send(text);
  }

  /** Whether this is a copy; what was answered to the first one is sent again. */
  protected isCopy(received: string): boolean {
    const key = `${branchOf(received)} ${methodOf(received)}`;
    const before = this.#responses.get(key);
    if (before === undefined) {
      this.#responses.set(key, "");
      return false;
    }
    if (before !== "") this.peer.send(before);
    return true;
  }

  #repeat(text: string, key: string, onGiveUp: () => void = () => undefined, wait = T1, sofar = 0): void {
    if (this.dead || this.#answered.has(key)) return;
    if (sofar > T64) {
      onGiveUp();
      return;
    }
    this.peer.send(text);
    this.net.after(wait, () => this.#repeat(text, key, onGiveUp, Math.min(wait * 2, 8 * T1), sofar + wait));
  }
}

/** Calls once, and does what its plan says. */
export class SimCaller extends SimUa {
  readonly callId = unique("sim");
  readonly finals: number[] = [];
  readonly legs: UaLeg[] = [];
  readonly #plan: CallerPlan;
  readonly #invite: string;
  #early = "";
  #cseq = 1;

  constructor(net: SimNetwork, peer: SimPeer, plan: CallerPlan) {
    super(net, peer);
    this.#plan = plan;
    this.#invite = request({ uri: `sip:service@${PROXY}`, sentBy: peer.sentBy, callId: this.callId });
    peer.onMessage = (text) => this.#receive(text);
  }

  start(): void {
    const plan = this.#plan;
    this.ask(this.#invite);
    this.later(plan.diesAfter, () => {
      this.dead = true;
    });
    this.later(plan.cancelAfter, () => {
      if (this.finals.length === 0) this.ask(this.#same("CANCEL", this.#invite));
    });
    this.later(plan.earlyByeAfter, () => {
      if (this.finals.length === 0 && this.#early !== "") this.#bye(this.#early);
    });
  }

  #receive(text: string): void {
    if (this.dead) return;
    const status = statusOf(text);
    if (status === 0) this.#serve(text);
    else {
      this.noteAnswer(text);
      const [cseq, method] = headerOf(text, "CSeq").split(" ");
      if (method === "INVITE" && cseq === "1") this.#inviteAnswer(text, status);
      else if (method === "INVITE" && status >= 300) this.peer.send(this.#same("ACK", text));
      else if (method === "INVITE" && status >= 200 && this.#plan.acks) this.peer.send(this.#inside("ACK", text, Number(cseq)));
    }
  }

  #inviteAnswer(text: string, status: number): void {
    const tag = toTagOf(text);
    if (status < 200) {
      if (tag !== "") this.#early = text;
      return;
    }
    this.finals.push(status);
    if (status >= 300) {
      this.peer.send(this.#same("ACK", this.#invite, headerOf(text, "To")));
      return;
    }
    let leg = this.legs.find((other) => other.tag === tag);
    const isNew = leg === undefined;
    if (leg === undefined) {
      leg = { tag, acked: false, ended: false };
      this.legs.push(leg);
    }
    if (!this.#plan.acks) return;
    leg.acked = true;
    this.peer.send(this.#inside("ACK", text, 1));
    if (!isNew) return;
    // A fork that is not wanted, and a call that came up although it was cancelled, are hung up at once (RFC 3261 §13.2.2.4, §9.1).
    if (this.legs.length > 1 || (this.#plan.cancelAfter ?? NEVER) < NEVER) this.#bye(text);
    else {
      this.later(this.#plan.reinviteAfter, () => {
        if (!this.legs[0]!.ended) this.ask(this.#inside("INVITE", text, ++this.#cseq));
      });
      this.later(this.#plan.byeAfter, () => {
        if (!this.legs[0]!.ended) this.#bye(text);
      });
    }
  }

  #serve(text: string): void {
    if (this.isCopy(text) || methodOf(text) === "ACK") return;
    if (methodOf(text) === "BYE") {
      const leg = this.legs.find((other) => other.tag === tagOf(headerOf(text, "From")));
      if (leg !== undefined) leg.ended = true;
      this.answer(text, leg === undefined ? 481 : this.#plan.byeStatus);
    } else this.answer(text, 200);
  }

  #bye(answer: string): void {
    const tag = toTagOf(answer);
    const leg = this.legs.find((other) => other.tag === tag);
    if (leg === undefined) this.legs.push({ tag, acked: false, ended: true });
    else leg.ended = true;
    this.ask(this.#inside("BYE", answer, ++this.#cseq));
  }

  /** CANCEL, or the ACK of a negative answer: it has the branch of its INVITE. */
  #same(method: string, of: string, to = headerOf(of, "To")): string {
    return request({
      method,
      uri: requestUriOf(this.#invite),
      sentBy: this.peer.sentBy,
      branch: branchOf(of),
      from: headerOf(this.#invite, "From"),
      to,
      callId: this.callId,
      cseq: Number.parseInt(headerOf(of, "CSeq"), 10),
    });
  }

  #inside(method: string, answer: string, cseq: number): string {
    return request({
      method,
      uri: uriOf(headerOf(answer, "Contact")),
      sentBy: this.peer.sentBy,
      from: headerOf(answer, "From"),
      to: headerOf(answer, "To"),
      callId: this.callId,
      cseq,
      routes: routeValues(headersOf(answer, "Record-Route")).reverse(),
    });
  }
}

/** Takes every call, each with the next plan of its list. */
export class SimCallee extends SimUa {
  readonly legs: UaLeg[] = [];
  readonly #plans: readonly CalleePlan[];
  #taken = 0;
  /** By branch of the INVITE: whether its answer is still open. */
  readonly #open = new Map<string, { invite: string; plan: CalleePlan }>();
  readonly #planOfCall = new Map<string, CalleePlan>();

  constructor(net: SimNetwork, peer: SimPeer, plans: readonly CalleePlan[]) {
    super(net, peer);
    this.#plans = plans;
    peer.onMessage = (text) => this.#receive(text);
  }

  #receive(text: string): void {
    if (this.dead) return;
    if (statusOf(text) !== 0) {
      this.noteAnswer(text);
      return;
    }
    const method = methodOf(text);
    if (method === "ACK") {
      this.#ack(text);
      return;
    }
    if (this.isCopy(text)) return;
    if (method === "INVITE" && toTagOf(text) === "") this.#ring(text);
    else if (method === "CANCEL") this.#cancel(text);
    else if (method === "BYE") {
      const leg = this.legs.find((other) => other.tag === toTagOf(text));
      if (leg !== undefined) leg.ended = true;
      else this.#earlyBye(text);
      this.answer(text, this.#planOfCall.get(headerOf(text, "Call-ID"))?.byeStatus ?? 481);
    } else if (method === "INVITE")
      this.insist(responseTo(text, 200, { headers: [this.#contact()] }), `ACK ${toTagOf(text)} ${cseqOf(text)}`);
    else this.answer(text, 200);
  }

  #ring(invite: string): void {
    const plan = this.#plans[this.#taken++ % this.#plans.length]!;
    const open = { invite, plan };
    this.#open.set(branchOf(invite), open);
    this.#planOfCall.set(headerOf(invite, "Call-ID"), plan);
    this.later(plan.diesAfter, () => {
      this.dead = true;
    });
    const toTag = unique("leg");
    if (plan.trying) this.answer(invite, 100);
    this.later(plan.ringAfter, () => {
      if (this.#open.has(branchOf(invite))) this.answer(invite, 180, { toTag, headers: [this.#contact()] });
    });
    this.later(plan.answerAfter, () => {
      if (plan.status === 0 || !this.#open.delete(branchOf(invite))) return;
      if (plan.status >= 300) {
        this.insist(responseTo(invite, plan.status, { toTag }), `ACK ${branchOf(invite)}`);
        return;
      }
      for (let fork = 0; fork < plan.forks; fork++) this.#answer(invite, fork === 0 ? toTag : `${toTag}f${fork}`, plan);
    });
  }

  #answer(invite: string, toTag: string, plan: CalleePlan): void {
    const leg: UaLeg = { tag: toTag, acked: false, ended: false };
    this.legs.push(leg);
    const ok = responseTo(invite, 200, { toTag, headers: [this.#contact()] });
    const hangUp = (): void => {
      if (leg.ended) return;
      leg.ended = true;
      this.ask(this.#bye(invite, ok));
    };
    // Without an ACK the callee gives up by itself (RFC 3261 §13.3.1.4).
    this.insist(ok, `ACK ${toTag} ${cseqOf(invite)}`, hangUp);
    this.later(plan.byeAfter, hangUp);
  }

  #ack(text: string): void {
    const tag = toTagOf(text);
    this.acknowledged(`ACK ${tag} ${cseqOf(text)}`);
    this.acknowledged(`ACK ${branchOf(text)}`);
    const leg = this.legs.find((other) => other.tag === tag);
    if (leg !== undefined) leg.acked = true;
  }

  #cancel(text: string): void {
    const open = this.#open.get(branchOf(text));
    this.answer(text, open === undefined ? 481 : 200);
    if (open === undefined || open.plan.ignoresCancel) return;
    this.#open.delete(branchOf(text));
    this.insist(responseTo(open.invite, 487, { toTag: unique("cancelled") }), `ACK ${branchOf(text)}`);
  }

  /** A BYE in an early dialog ends the INVITE with 487 (RFC 3261 §15.1.2). */
  #earlyBye(bye: string): void {
    for (const [branch, { invite }] of this.#open) {
      if (headerOf(invite, "Call-ID") !== headerOf(bye, "Call-ID")) continue;
      this.#open.delete(branch);
      this.insist(responseTo(invite, 487, { toTag: toTagOf(bye) }), `ACK ${branch}`);
    }
  }

  #bye(invite: string, ok: string): string {
    return request({
      method: "BYE",
      uri: uriOf(headerOf(invite, "Contact")),
      sentBy: this.peer.sentBy,
      from: headerOf(ok, "To"),
      to: headerOf(ok, "From"),
      callId: headerOf(invite, "Call-ID"),
      cseq: 1,
      routes: routeValues(headersOf(invite, "Record-Route")),
    });
  }

  #contact(): string {
    return `Contact: <sip:callee@${this.peer.sentBy}>`;
  }
}

function methodOf(text: string): string {
  return text.split(" ", 1)[0] ?? "";
}

function cseqOf(text: string): number {
  return Number.parseInt(headerOf(text, "CSeq"), 10);
}

function tagOf(value: string): string {
  return /;tag=([^;\s]+)/.exec(value)?.[1] ?? "";
}

function toTagOf(text: string): string {
  return tagOf(headerOf(text, "To"));
}
