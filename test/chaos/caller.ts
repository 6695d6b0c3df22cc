import { seededRandom } from "../support/random.ts";
import { soakContact, soakHeader, soakRequest, soakRoutes } from "../support/soak-messages.ts";
import type { CallBook } from "./call-book.ts";
import type { CallPlan } from "./call-plan.ts";
import { ChaosParty, type Place, tagOf } from "./party.ts";

/** How long a call may ring before its caller gives it up, ms. */
const PATIENCE_MS = 8_000;
/** A call that lasts this much longer than planned is ended by its caller, ms: the other side is gone. */
const NO_MEDIA_MS = 8_000;

interface CallerLeg {
  readonly tag: string;
  readonly uri: string;
  readonly to: string;
  readonly routes: readonly string[];
  readonly ack: string;
  /** Whether it was hung up; it is over then. */
  isOver: boolean;
}

interface PlacedCall {
  readonly callId: string;
  readonly plan: CallPlan;
  readonly invite: string;
  readonly from: string;
  readonly legs: CallerLeg[];
  ack: string;
  state: "calling" | "proceeding" | "up" | "over";
}

/** What became of calls and of what was said inside them. */
export interface CallerCounts {
  begun: number;
  up: number;
  refused: number;
  /** INVITEs without a final answer. */
  unanswered: number;
  /** BYEs by their answer; 0 for none. */
  readonly byes: Map<number, number>;
}

/** A client that makes calls as they are planned. */
export class ChaosCaller extends ChaosParty {
  readonly counts: CallerCounts = { begun: 0, up: 0, refused: 0, unanswered: 0, byes: new Map() };
  /** Is told of each final answer to a BYE: its status, 0 when none came. */
  onBye: ((callId: string, status: number, sentMs: number) => void) | undefined;
  readonly #balancer: Place;
  readonly #book: CallBook;
  readonly #calls = new Map<string, PlacedCall>();
  /** When a BYE was sent first, by the tag of its receiver. */
  readonly #byesSent = new Map<string, number>();
  #serial = 0;
  /** It hangs up nothing by itself. */
  isPatient = false;

  constructor(name: string, options: { address: string; seed: number; balancer: Place; book: CallBook }) {
    super(name, options.address, seededRandom(options.seed));
    this.#balancer = options.balancer;
    this.#book = options.book;
  }

  /** Calls that are neither up nor over. */
  get unfinished(): number {
    let count = 0;
    for (const { state } of this.#calls.values()) if (state === "calling" || state === "proceeding") count++;
    return count;
  }

  /** Calls that are up. */
  get ongoing(): number {
    let count = 0;
    for (const { state } of this.#calls.values()) if (state === "up") count++;
    return count;
  }

  override get waiting(): string[] {
    const calls = [...this.#calls.values()].filter(({ state }) => state === "calling" || state === "proceeding");
    return [...calls.map(({ callId, state }) => `${callId} is ${state}`), ...super.waiting];
  }

  call(plan: CallPlan, callId: string): void {
    if (!this.isAlive) return;
    this.counts.begun++;
    const from = `<sip:chaos@${this.sentBy}>;tag=${this.name}x${callId}`;
    const uri = `sip:${plan.user}@${this.#balancer.address}:${this.#balancer.port}`;
    const branch = `i${callId}`;
    const invite = soakRequest({ method: "INVITE", uri, sentBy: this.sentBy, branch, from, to: `<${uri}>`, callId, cseq: 1 });
    const call: PlacedCall = { callId, plan, invite, from, legs: [], ack: "", state: "calling" };
    this.#calls.set(callId, call);
    this.#book.note(this.name, callId, "INVITE sent");
    this.repeat(`${callId} INVITE`, invite, this.#balancer, { isInvite: true, over: () => this.#unanswered(call) });
    this.later(PATIENCE_MS, () => this.#cancel(call));
  }

  hangUpAll(): void {
    for (const call of this.#calls.values()) if (call.state === "up") this.#hangUp(call);
  }

  protected override forget(): void {
    this.#calls.clear();
  }

  protected override take(text: string, from: Place): void {
    const call = this.#calls.get(soakHeader(text, "Call-ID"));
    if (!text.startsWith("SIP/2.0 ")) {
      this.#asked(call, text, from);
      return;
    }
    if (call === undefined) return; // it knew the call in another life
    const status = Number(text.slice(8, 11));
    const [, method = ""] = soakHeader(text, "CSeq").split(" ");
    if (method === "INVITE") this.#answered(call, status, text);
    else if (method === "BYE" && status >= 200) this.#byeAnswered(call, tagOf(text, "To"), status);
    else if (method === "CANCEL" && status >= 200 && this.settle(`${call.callId} CANCEL`))
      this.#book.note(this.name, call.callId, `CANCEL answered with ${status}`);
  }

  #asked(call: PlacedCall | undefined, text: string, from: Place): void {
    if (this.isCopy(text, from)) return;
    const method = text.slice(0, text.indexOf(" "));
    if (method === "ACK") return;
    const leg = call?.legs.find(({ tag }) => tag === tagOf(text, "From"));
    const isKnown = leg !== undefined && (!leg.isOver || method === "BYE");
    if (call !== undefined && leg !== undefined && method === "BYE") {
      leg.isOver = true;
      if (call.legs.every(({ isOver }) => isOver)) call.state = "over";
    }
    this.answer(text, isKnown ? 200 : 481, from, "none");
  }

  #answered(call: PlacedCall, status: number, text: string): void {
    const { callId, plan } = call;
    if (call.state === "calling") call.state = "proceeding";
    this.settle(`${callId} INVITE`);
    if (status < 200) {
      if (status > 100 && plan.kind === "cancelled") this.later(plan.ringMs / 2, () => this.#cancel(call));
    } else if (status >= 300) this.#refused(call, text);
    else this.#cameUp(call, text);
  }

  #refused(call: PlacedCall, text: string): void {
    if (call.ack === "") {
      this.counts.refused++;
      call.ack = asMethod(call.invite, "ACK").replace(/\r\nTo: [^\r]*/, `\r\nTo: ${soakHeader(text, "To")}`);
    }
    if (call.legs.length === 0) call.state = "over";
    this.send(call.ack, this.#balancer);
  }

  /** Each fork of a call is acknowledged; only the first is wanted (RFC 3261 §13.2.2.4). */
  #cameUp(call: PlacedCall, text: string): void {
    const { callId, plan } = call;
    const tag = tagOf(text, "To");
    const known = call.legs.find((leg) => leg.tag === tag);
    if (known !== undefined) {
      this.send(known.ack, this.#balancer);
      return;
    }
    const uri = soakContact(text);
    const to = soakHeader(text, "To");
    const routes = soakRoutes(text).reverse();
    const inside = { uri, sentBy: this.sentBy, from: call.from, to, callId, routes };
    const leg: CallerLeg = {
      tag,
      uri,
      to,
      routes,
      ack: soakRequest({ ...inside, method: "ACK", branch: `a${tag}`, cseq: 1 }),
      isOver: false,
    };
    const isWanted = call.legs.length === 0 && call.state !== "over" && plan.kind !== "cancelled";
    call.legs.push(leg);
    this.send(leg.ack, this.#balancer);
    if (!isWanted) {
      if (call.state !== "up") call.state = "over";
      this.#endLeg(call, leg);
      return;
    }
    call.state = "up";
    this.counts.up++;
    this.later(plan.holdMs + (plan.kind === "hungup" ? NO_MEDIA_MS : 0), () => {
      if (!this.isPatient) this.#hangUp(call);
    });
  }

  #hangUp(call: PlacedCall): void {
    if (call.state !== "up") return;
    call.state = "over";
    for (const leg of call.legs) this.#endLeg(call, leg);
  }

  #endLeg({ callId, from }: PlacedCall, leg: CallerLeg): void {
    if (leg.isOver) return;
    leg.isOver = true;
    const { tag, uri, to, routes } = leg;
    const bye = soakRequest({
      method: "BYE",
      uri,
      sentBy: this.sentBy,
      branch: `b${this.#serial++}${tag}`,
      from,
      to,
      callId,
      routes,
      cseq: 2,
    });
    this.#book.note(this.name, callId, "BYE sent");
    this.#byesSent.set(tag, performance.now());
    this.repeat(`BYE ${tag}`, bye, this.#balancer, { over: () => this.#count(callId, 0, tag) });
  }

  #byeAnswered({ callId }: PlacedCall, tag: string, status: number): void {
    if (this.settle(`BYE ${tag}`)) this.#count(callId, status, tag);
  }

  #count(callId: string, status: number, tag: string): void {
    this.counts.byes.set(status, (this.counts.byes.get(status) ?? 0) + 1);
    this.#book.note(this.name, callId, `BYE answered with ${status}`);
    this.onBye?.(callId, status, this.#byesSent.get(tag) ?? 0);
  }

  #cancel(call: PlacedCall): void {
    if (call.state !== "proceeding" || call.legs.length > 0) return;
    const { callId } = call;
    this.#book.note(this.name, callId, "CANCEL sent");
    this.repeat(`${callId} CANCEL`, asMethod(call.invite, "CANCEL"), this.#balancer);
    // No answer to the INVITE is waited for any longer (RFC 3261 §9.1), but one that comes is acknowledged and hung up.
    this.later(PATIENCE_MS, () => this.#unanswered(call));
  }

  #unanswered(call: PlacedCall): void {
    if (call.state === "up" || call.state === "over") return;
    call.state = "over";
    this.counts.unanswered++;
    this.#book.note(this.name, call.callId, "INVITE never answered");
  }
}

/** CANCEL and the ACK of a refusal belong to the INVITE's transaction: same branch, same number (RFC 3261 §9.1, §17.1.1.3). */
function asMethod(invite: string, method: string): string {
  const head = invite.slice(0, invite.indexOf("\r\nContact: "));
  return `${head.replace(/^INVITE /, `${method} `).replace("CSeq: 1 INVITE", `CSeq: 1 ${method}`)}\r\nContent-Length: 0\r\n\r\n`;
}
