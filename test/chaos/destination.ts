import { seededRandom } from "../support/random.ts";
import { soakContact, soakHeader, soakRequest, soakResponse, soakRoutes } from "../support/soak-messages.ts";
import type { CallBook } from "./call-book.ts";
import type { CallPlan } from "./call-plan.ts";
import { branchOf, ChaosParty, GIVE_UP_MS, type Place, tagOf } from "./party.ts";

/** A call that lasts this much longer than planned has lost its other side, ms: a server sees that by the media that stay away. */
export const NO_MEDIA_MS = 15_000;

interface Leg {
  readonly callId: string;
  readonly tag: string;
  readonly invite: string;
  readonly branch: string;
  readonly plan: CallPlan;
  readonly from: Place;
  state: "ringing" | "answered" | "up" | "refused";
  response: string;
}

/** A server that takes calls, and knows exactly which ones it has. */
export class ChaosDestination extends ChaosParty {
  readonly #book: CallBook;
  readonly #planOf: (callId: string) => CallPlan | undefined;
  readonly #legs = new Map<string, Leg>();
  /** Branches of INVITEs whose copies may still come, also after the end of the call (RFC 6026 §7.1). */
  readonly #seen = new Set<string>();
  /** Of this life: a server that comes back gives its calls other tags. */
  #life = 0;
  /** Refuses the calls that are to fail over with the numbers of this residue. */
  readonly #residue: number;
  /** Its calls are ended by callers alone. */
  isPatient = false;

  constructor(
    name: string,
    options: { address: string; seed: number; residue: number; book: CallBook; planOf: ChaosDestination["planOf"] },
  ) {
    super(name, options.address, seededRandom(options.seed));
    this.#book = options.book;
    this.#planOf = options.planOf;
    this.#residue = options.residue;
  }

  get planOf(): (callId: string) => CallPlan | undefined {
    return this.#planOf;
  }

  get uri(): string {
    return `sip:${this.sentBy}`;
  }

  /** Calls that are neither up nor over. */
  get unfinished(): number {
    let count = 0;
    for (const { state } of this.#legs.values()) if (state === "ringing" || state === "answered") count++;
    return count;
  }

  override get waiting(): string[] {
    const legs = [...this.#legs.values()].filter(({ state }) => state === "ringing" || state === "answered");
    return [...legs.map(({ callId, state }) => `${callId} is ${state}`), ...super.waiting];
  }

  /** Hangs up all calls that are up. */
  hangUpAll(): void {
    for (const leg of [...this.#legs.values()]) if (leg.state === "up") this.#hangUp(leg, "destination hung up at the end");
  }

  protected override forget(): void {
    this.#life++;
    for (const callId of this.#legs.keys()) this.#book.ends(this.name, callId, "destination died");
    this.#legs.clear();
    this.#seen.clear();
  }

  protected override take(text: string, from: Place): void {
    const callId = soakHeader(text, "Call-ID");
    const method = text.slice(0, text.indexOf(" "));
    if (method === "SIP/2.0") {
      if (Number(text.slice(8, 11)) >= 200) this.settle(`${callId} BYE`);
    } else if (method === "INVITE") this.#invited(text, callId, from);
    else if (method === "ACK") this.#acknowledged(text, callId);
    else if (!this.isCopy(text, from)) this.answer(text, this.#statusOf(method, text, callId), from, this.#tag(callId));
  }

  #statusOf(method: string, text: string, callId: string): number {
    const leg = this.#legs.get(callId);
    if (method === "CANCEL") return this.#cancelled(leg, text) ? 200 : 481;
    const toTag = tagOf(text, "To");
    if (method === "OPTIONS" && toTag === "") return 200;
    if (leg === undefined || leg.state === "refused" || leg.tag !== toTag) return 481; // RFC 3261 §12.2.2
    if (method === "BYE") {
      this.#book.ends(this.name, callId, "BYE came");
      this.#drop(leg);
    }
    return 200;
  }

  #invited(invite: string, callId: string, from: Place): void {
    const known = this.#legs.get(callId);
    const branch = branchOf(invite);
    if (known !== undefined) {
      if (known.branch === branch) this.send(known.response, from);
      else if (tagOf(invite, "To") !== "") this.send(soakResponse(invite, 200, known.tag, this.sentBy), from);
      // The same call has come another way (RFC 3261 §8.2.2.2).
      else this.send(soakResponse(invite, 482, `merged${branch}`, this.sentBy), from);
      return;
    }
    if (this.#seen.has(branch)) return;
    const plan = this.#planOf(callId);
    if (plan === undefined || tagOf(invite, "To") !== "") {
      this.send(soakResponse(invite, plan === undefined ? 404 : 481, "none", this.sentBy), from);
      return;
    }
    const tag = this.#tag(callId);
    const response = soakResponse(invite, 180, tag, this.sentBy);
    const leg: Leg = { callId, tag, invite, branch, plan, from, state: "ringing", response };
    this.#legs.set(callId, leg);
    this.#seen.add(branch);
    this.later(2 * GIVE_UP_MS, () => this.#seen.delete(branch));
    this.#book.begins(this.name, callId);
    if (plan.kind === "refused") this.#refuse(leg, 486);
    else if (plan.kind === "failedover" && plan.number % 3 === this.#residue) this.#refuse(leg, 503);
    else {
      this.send(response, from);
      this.later(plan.ringMs, () => this.#answerCall(leg));
    }
  }

  #answerCall(leg: Leg): void {
    if (leg.state !== "ringing") return;
    leg.state = "answered";
    leg.response = soakResponse(leg.invite, 200, leg.tag, this.sentBy);
    this.#book.note(this.name, leg.callId, "answered");
    // Nobody has acknowledged it for 64 * T1: it is to be hung up (RFC 3261 §13.3.1.4).
    this.repeat(`${leg.callId} 200`, leg.response, leg.from, { over: () => this.#hangUp(leg, "no ACK came") });
  }

  #acknowledged(ack: string, callId: string): void {
    const leg = this.#legs.get(callId);
    if (leg === undefined || tagOf(ack, "To") !== leg.tag) return;
    if (leg.state === "refused") {
      this.settle(`${callId} refusal`);
      return;
    }
    if (leg.state !== "answered") return;
    leg.state = "up";
    this.settle(`${callId} 200`);
    const { plan } = leg;
    const isOurs = plan.kind === "hungup";
    this.later(plan.holdMs + (isOurs ? 0 : NO_MEDIA_MS), () => {
      if (!this.isPatient) this.#hangUp(leg, isOurs ? "destination hung up" : "destination missed the media");
    });
  }

  #cancelled(leg: Leg | undefined, cancel: string): boolean {
    if (leg === undefined || leg.branch !== branchOf(cancel)) return false;
    if (leg.state === "ringing") this.#refuse(leg, 487);
    return true;
  }

  #refuse(leg: Leg, status: number): void {
    leg.state = "refused";
    leg.response = soakResponse(leg.invite, status, leg.tag, this.sentBy);
    this.#book.ends(this.name, leg.callId, `refused with ${status}`);
    this.repeat(`${leg.callId} refusal`, leg.response, leg.from);
    this.later(GIVE_UP_MS, () => this.#legs.delete(leg.callId));
  }

  #hangUp(leg: Leg, why: string): void {
    if (this.#legs.get(leg.callId) !== leg || leg.state === "refused" || leg.state === "ringing") return;
    const { callId, invite, tag } = leg;
    const bye = soakRequest({
      ...{ method: "BYE", uri: soakContact(invite), sentBy: this.sentBy, branch: `z${this.#life}${callId}`, callId, cseq: 1 },
      ...{ from: `${soakHeader(invite, "To")};tag=${tag}`, to: soakHeader(invite, "From"), routes: soakRoutes(invite) },
    });
    this.#book.ends(this.name, callId, why);
    this.#drop(leg);
    this.repeat(`${callId} BYE`, bye, leg.from);
  }

  #drop(leg: Leg): void {
    this.settle(`${leg.callId} 200`);
    this.#legs.delete(leg.callId);
  }

  #tag(callId: string): string {
    return `${this.name}x${this.#life}x${callId}`;
  }
}
