import {
  type CalleeLeg,
  type Dialog,
  DialogFlag,
  type EndReason,
  MAX_SILENT_PINGS,
  type PingOutages,
  type PingOutcome,
  type Pings,
  pingTimeoutMs,
  pingVerdict,
  type UnansweredPings,
} from "../dialog/index.ts";
import type { ClientTransaction, ClientUser, Timer, TimerOwner } from "../transaction/index.ts";
import type { ProxyCore } from "./core.ts";
import { hangUpBoth, hangUpLeg } from "./hangup.ts";
import { type InsideRequest, sendInside, towardsCallee, towardsCaller } from "./inside-request.ts";
import { PingInvite } from "./ping-invite.ts";

type Side = "caller" | "callee";
type PingMethod = "OPTIONS" | "INVITE";

const SIDES = ["caller", "callee"] as const;
const FLAG = {
  OPTIONS: { caller: DialogFlag.OptionsPingCaller, callee: DialogFlag.OptionsPingCallee },
  INVITE: { caller: DialogFlag.ReinvitePingCaller, callee: DialogFlag.ReinvitePingCallee },
} as const;
const END_REASON = { OPTIONS: "Ping Timeout", INVITE: "ReINVITE Ping Timeout" } as const satisfies Record<PingMethod, EndReason>;

/** Which pings, and when. */
export interface RoundPlan {
  readonly method: PingMethod;
  /** Bits of `DialogFlag`: those of other methods mean nothing. */
  readonly flags: number;
  readonly firstMs: number;
  /** From one to the next. */
  readonly intervalMs: number;
  /** They end with the first answer of a party that has the call. */
  readonly once: boolean;
  /** Silence ends the pings and not the call: only a party that says so no longer has it. */
  readonly sparesSilent?: boolean;
}

/** The pings of one kind in one call, and those of other kinds behind them. */
export class PingRound implements Pings, TimerOwner {
  readonly #core: ProxyCore;
  readonly #dialog: Dialog;
  readonly #outages: PingOutages;
  readonly #method: PingMethod;
  readonly #intervalMs: number;
  readonly #once: boolean;
  readonly #sparesSilent: boolean;
  readonly #pings: readonly SidePings[];
  /** What pinged this call before. */
  readonly #next: Pings | undefined;
  #timer: Timer | undefined;
  #isOver = false;

  constructor(core: ProxyCore, dialog: Dialog, outages: PingOutages, plan: RoundPlan) {
    const { method, flags, firstMs, intervalMs, once, sparesSilent = false } = plan;
    this.#core = core;
    this.#dialog = dialog;
    this.#outages = outages;
    this.#method = method;
    this.#intervalMs = intervalMs;
    this.#once = once;
    this.#sparesSilent = sparesSilent;
    const { pinged } = dialog;
    this.#next = pinged instanceof PingRound ? pinged.#lasting : pinged;
    this.#pings = SIDES.filter((side) => (flags & FLAG[method][side]) !== 0).map((side) => new SidePings(this, side));
    this.#start(firstMs);
  }

  get nowMs(): number {
    return this.#core.nowMs();
  }

  timerFired(): void {
    this.#start(this.#intervalMs);
    for (const pings of this.#pings) if (!this.#isOver) pings.ask();
  }

  stop(): void {
    this.#stop();
    this.#next?.stop();
  }

  askNow(): void {
    if (!this.#isOver) {
      this.#timer = this.#core.wheel.cancel(this.#timer);
      this.#start(0);
    }
    this.#next?.askNow();
  }

  asks(side: Side): boolean {
    const isAsked = !this.#isOver && this.#method === "OPTIONS" && this.#pings.some((pings) => pings.side === side);
    return isAsked || this.#next?.asks(side) === true;
  }

  giveWay(side: Side): boolean {
    let isInTheWay = this.#next?.giveWay(side) === true;
    for (const pings of this.#pings) if (pings.side === side && pings.giveWay()) isInTheWay = true;
    return isInTheWay;
  }

  /** Without those that have done what they were there for. */
  get #lasting(): Pings | undefined {
    return this.#isOver && this.#next instanceof PingRound ? this.#next.#lasting : this.#isOver ? this.#next : this;
  }

  /** They have done what they were there for, and need no room any more. */
  #finish(): void {
    this.#stop();
    if (this.#dialog.pinged === this) this.#dialog.pinged = this.#next;
  }

  #stop(): void {
    this.#isOver = true;
    this.#timer = this.#core.wheel.cancel(this.#timer);
    for (const pings of this.#pings) pings.stop();
  }

  /** Sends a ping to one side, in the name of the other. False: it has no callee that could be asked. */
  send(pings: SidePings): boolean {
    const dialog = this.#dialog;
    const { leg } = dialog;
    if (leg === undefined) return false;
    pings.leg = leg;
    // The number that the other side has used last: its own next one is still new then (RFC 3261 §12.2.2). One that is still under way, and that this ping may
    // overtake, has to be new, too: there are devices that refuse the same number twice.
    const before = dialog.negotiations > 0 ? 1 : 0;
    const inside =
      pings.side === "callee"
        ? towardsCallee(dialog, leg, Math.max(0, dialog.callerCseq - before))
        : towardsCaller(dialog, leg, Math.max(0, leg.cseq - before));
    const session = this.#method === "INVITE" ? this.#sessionFor(pings.side, leg) : undefined;
    const failed = (): void => pings.settle("transport-error");
    const timeoutMs = pingTimeoutMs(this.#intervalMs, this.#core.timeouts.frMs);
    const { counters } = this.#core.dialogs;
    if (session === undefined) {
      counters.options_pings++;
      sendInside(this.#core, dialog, { method: "OPTIONS", inside, user: pings, timeoutMs, failed });
      return true;
    }
    counters.reinvite_pings++;
    const invite = new PingInvite(this.#core, dialog, inside, (outcome) => pings.settle(outcome));
    pings.invite = invite;
    const sent = (text: string): void => {
      invite.text = text;
    };
    sendInside(this.#core, dialog, { method: "INVITE", inside, session, user: invite, timeoutMs, failed, sent });
    return true;
  }

  /** A party has answered. */
  heard(side: Side, isAlive: boolean): void {
    this.#outages.alive(this.#addressOf(side));
    if (isAlive && this.#once) this.#finish();
  }

  /**
   * A party is gone: the call ends for both, and its slot is free. It is kept for want of a proof, or of the right to end it.
   * @param unanswered the pings that say so
   */
  end({ side, leg }: SidePings, outcome: PingOutcome, unanswered: UnansweredPings): void {
    const { dialogs, log } = this.#core;
    const dialog = this.#dialog;
    if (outcome !== 481 && this.#sparesSilent) {
      this.#finish();
      return;
    }
    if (!this.#sparesSilent && !dialogs.mayEnd(dialog)) return; // another node will ask and end it
    if (outcome === 481 && dialog.isRestored && dialogs.isOwn?.(dialog) === false) return;
    if (outcome !== 481 && !this.#outages.mayEnd(this.#addressOf(side), unanswered)) {
      dialogs.counters.ping_holds++;
      return;
    }
    // By their tags: what another process tells of the call meanwhile makes them anew.
    const others = dialog.legs.filter((other) => other.state === "confirmed" && other.tag !== leg?.tag);
    // A caller that answers has given up one callee of several; one that does not is gone.
    const isForkOnly = (side === "callee" || outcome === 481) && leg !== undefined && others.length > 0;
    const text = isForkOnly
      ? "One of several callees of a call hung up: it did not answer a ping, or its caller has given it up"
      : "Call ended: a party did not answer a ping";
    log.info({ callId: dialog.callId, did: dialog.did, side, outcome }, text);
    dialogs.counters.ping_timeouts++;
    if (isForkOnly) {
      hangUpLeg(this.#core, dialog, leg);
      (dialog.findLeg(leg.tag) ?? leg).state = "ended";
      dialogs.changed(dialog);
      return;
    }
    try {
      hangUpBoth(this.#core, dialog);
    } finally {
      dialogs.end(dialog, END_REASON[this.#method]);
    }
  }

  #addressOf(side: Side): string {
    const { callerEndpoint, calleeEndpoint } = this.#dialog;
    return side === "caller" ? callerEndpoint.address : (calleeEndpoint?.address ?? callerEndpoint.address);
  }

  /**
   * What a re-INVITE has to say so that it changes nothing; undefined when OPTIONS has to do: the session is not known, or is being changed at this moment, or
   * the parties keep a timer, which a re-INVITE that does not refresh it would switch off (RFC 4028 §9), and which tells of a lost party anyway.
   */
  #sessionFor(side: Side, leg: CalleeLeg): InsideRequest["session"] {
    const dialog = this.#dialog;
    if (dialog.hasSessionTimer || dialog.negotiations > 0) return undefined;
    const contact = side === "callee" ? dialog.callerContact : leg.contact;
    const body = side === "callee" ? dialog.callerSession : dialog.calleeSession;
    return contact === "" || body === "" ? undefined : { contact, body };
  }

  #start(ms: number): void {
    this.#timer = this.#core.wheel.schedule(ms, this, 0, this.#core.nowMs());
  }
}

/** The pings of one kind to one side: one at a time. */
class SidePings implements ClientUser {
  readonly side: Side;
  /** The callee that was asked last, or in whose name. */
  leg: CalleeLeg | undefined;
  /** A re-INVITE that is under way. */
  invite: PingInvite | undefined;
  readonly #round: PingRound;
  #isAsking = false;
  #silent = 0;
  /** When the first ping was sent that was not answered, since the party was heard last; undefined when it was heard last. */
  #silentMs: number | undefined;
  /** When the first one was sent of those in a row that are left unanswered now, and the last. */
  #firstMs = 0;
  #lastMs = 0;
  #isOver = false;

  constructor(round: PingRound, side: Side) {
    this.#round = round;
    this.side = side;
  }

  /** Nothing is sent while the ping before waits for its answer. */
  ask(): void {
    if (this.#isAsking || this.#isOver) return;
    this.#isAsking = true; // before it is sent: that it cannot be may be told at once
    this.#lastMs = this.#round.nowMs;
    if (this.#silent === 0) this.#firstMs = this.#lastMs;
    let isSent = false;
    try {
      isSent = this.#round.send(this);
    } finally {
      if (!isSent) this.#isAsking = false;
    }
  }

  stop(): void {
    this.#isOver = true;
    this.invite?.cancel();
    this.invite = undefined;
  }

  /** Whether a re-INVITE is under way, which is taken back. */
  giveWay(): boolean {
    this.invite?.cancel();
    return this.invite !== undefined;
  }

  response(_transaction: ClientTransaction, { status }: { readonly status: number }): void {
    if (status >= 200) this.settle(status);
  }

  timeout(): void {
    this.settle("timeout");
  }

  transportError(): void {
    this.settle("transport-error");
  }

  settle(outcome: PingOutcome): void {
    this.invite = undefined;
    if (this.#isOver || !this.#isAsking) return;
    this.#isAsking = false;
    const verdict = pingVerdict(outcome);
    if (typeof outcome === "number") this.#round.heard(this.side, verdict === "alive");
    if (verdict === "alive") {
      this.#silent = 0;
      this.#silentMs = undefined;
      return;
    }
    this.#silentMs ??= this.#firstMs;
    if (verdict === "gone" || ++this.#silent >= MAX_SILENT_PINGS) {
      this.#silent = 0; // when it is kept, it has to be asked as often as before
      // That a connection is gone is no matter of chance, as a lost packet is: one such ping says as much as the next.
      const lastMs = outcome === "transport-error" ? this.#firstMs : this.#lastMs;
      this.#round.end(this, outcome, { firstMs: this.#firstMs, lastMs, silentMs: this.#silentMs });
    } else if (outcome !== "transport-error") this.ask(); // a connection that broke has until the next ping to come up again
  }
}
