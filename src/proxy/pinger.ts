import {
  type CalleeLeg,
  type Dialog,
  DialogFlag,
  type EndReason,
  firstPingMs,
  MAX_SILENT_PINGS,
  OPTIONS_PINGS,
  type PingOutcome,
  pingVerdict,
  REINVITE_PINGS,
} from "../dialog/index.ts";
import type { ClientTransaction, ClientUser, Timer, TimerOwner } from "../transaction/index.ts";
import type { PingIntervals, ProxyCore } from "./core.ts";
import { hangUpBoth } from "./hangup.ts";
import { type Inside, type InsideRequest, sendInside, towardsCallee, towardsCaller } from "./inside-request.ts";

type Side = "caller" | "callee";
type PingMethod = "OPTIONS" | "INVITE";

const FLAG = {
  OPTIONS: { caller: DialogFlag.OptionsPingCaller, callee: DialogFlag.OptionsPingCallee },
  INVITE: { caller: DialogFlag.ReinvitePingCaller, callee: DialogFlag.ReinvitePingCallee },
} as const;
const END_REASON = { OPTIONS: "Ping Timeout", INVITE: "ReINVITE Ping Timeout" } as const satisfies Record<PingMethod, EndReason>;

/** Asks the parties of calls whether they still have them, where the route has asked for it (OpenSIPS dialog module, `create_dialog`). */
export class Pinger {
  readonly #core: ProxyCore;
  readonly #intervals: PingIntervals;

  constructor(core: ProxyCore, intervals: PingIntervals) {
    this.#core = core;
    this.#intervals = intervals;
  }

  /** The call is up. */
  began(dialog: Dialog): void {
    if ((dialog.flags & (OPTIONS_PINGS | REINVITE_PINGS)) === 0 || dialog.pinged !== undefined) return;
    const { optionsMs, reinviteMs } = this.#intervals;
    const rounds: Round[] = [];
    if ((dialog.flags & OPTIONS_PINGS) !== 0) rounds.push(new Round(this.#core, dialog, "OPTIONS", optionsMs));
    if ((dialog.flags & REINVITE_PINGS) !== 0) rounds.push(new Round(this.#core, dialog, "INVITE", reinviteMs));
    dialog.pinged = {
      stop: () => {
        for (const round of rounds) round.stop();
      },
    };
  }

  /** The call is over, or another node has it: what is still answered says nothing any more. */
  ended(dialog: Dialog): void {
    dialog.pinged?.stop();
    dialog.pinged = undefined;
  }
}

/** The pings of one kind in one call. */
class Round implements TimerOwner {
  readonly #core: ProxyCore;
  readonly #dialog: Dialog;
  readonly #method: PingMethod;
  readonly #intervalMs: number;
  readonly #pings: SidePings[] = [];
  #timer: Timer | undefined;
  #isOver = false;

  constructor(core: ProxyCore, dialog: Dialog, method: PingMethod, intervalMs: number) {
    this.#core = core;
    this.#dialog = dialog;
    this.#method = method;
    this.#intervalMs = intervalMs;
    for (const side of ["caller", "callee"] as const) {
      if ((dialog.flags & FLAG[method][side]) !== 0) this.#pings.push(new SidePings(this, side));
    }
    this.#start(firstPingMs(dialog.did, intervalMs));
  }

  timerFired(): void {
    this.#start(this.#intervalMs);
    for (const pings of this.#pings) if (!this.#isOver) pings.ask();
  }

  stop(): void {
    this.#isOver = true;
    this.#timer = this.#core.wheel.cancel(this.#timer);
    for (const pings of this.#pings) pings.stop();
  }

  /** Sends a ping to one side, in the name of the other. False: it has no callee that could be asked. */
  send(side: Side, user: ClientUser, failed: () => void): boolean {
    const dialog = this.#dialog;
    const { leg } = dialog;
    if (leg === undefined) return false;
    // The number that the other side has used last: its own next one is still new then (RFC 3261 §12.2.2).
    const inside = side === "callee" ? towardsCallee(dialog, leg, dialog.callerCseq) : towardsCaller(dialog, leg, leg.cseq);
    const session = this.#method === "INVITE" ? this.#sessionFor(side, leg) : undefined;
    const request: InsideRequest = { method: session === undefined ? "OPTIONS" : "INVITE", inside, session, user, failed };
    if (request.method === "INVITE") this.#core.dialogs.counters.reinvite_pings++;
    else this.#core.dialogs.counters.options_pings++;
    sendInside(
      this.#core,
      dialog,
      session === undefined ? request : { ...request, user: new Acknowledging(this.#core, dialog, inside, user) },
    );
    return true;
  }

  /** A party is gone: the call ends for both, and its slot is free. */
  end(side: Side, outcome: PingOutcome): void {
    const { dialogs, log } = this.#core;
    const dialog = this.#dialog;
    if (!dialogs.mayEnd(dialog)) return; // another node will ask and end it
    log.info({ callId: dialog.callId, did: dialog.did, side, outcome }, "Call ended: a party did not answer a ping");
    dialogs.counters.ping_timeouts++;
    try {
      hangUpBoth(this.#core, dialog);
    } finally {
      dialogs.end(dialog, END_REASON[this.#method]);
    }
  }

  /**
   * What a re-INVITE has to say so that it changes nothing; undefined when OPTIONS has to do: the session is not known, or the parties keep a timer, which a
   * re-INVITE that does not refresh it would switch off (RFC 4028 §9), and which tells of a lost party anyway.
   */
  #sessionFor(side: Side, leg: CalleeLeg): InsideRequest["session"] {
    const dialog = this.#dialog;
    if (dialog.hasSessionTimer) return undefined;
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
  readonly #round: Round;
  readonly #side: Side;
  #isAsking = false;
  #silent = 0;
  #isOver = false;
  /** A re-INVITE that was answered provisionally: no timer of the transaction ends it (RFC 3261 §17.1.1.2). */
  #unfinished: ClientTransaction | undefined;

  constructor(round: Round, side: Side) {
    this.#round = round;
    this.#side = side;
  }

  /** Nothing is sent while the ping before waits for its answer. */
  ask(): void {
    if (this.#unfinished !== undefined) {
      this.#giveUp();
      this.#settle("timeout"); // which asks again
      return;
    }
    if (this.#isAsking || this.#isOver) return;
    this.#isAsking = true; // before it is sent: that it cannot be may be told at once
    let isSent = false;
    try {
      isSent = this.#round.send(this.#side, this, () => this.#settle("transport-error"));
    } finally {
      if (!isSent) this.#isAsking = false;
    }
  }

  stop(): void {
    this.#isOver = true;
    this.#giveUp();
  }

  response(transaction: ClientTransaction, { status }: { readonly status: number }): void {
    if (status < 200) {
      if (transaction.method === "INVITE" && !this.#isOver) this.#unfinished = transaction;
      return;
    }
    this.#unfinished = undefined;
    this.#settle(status);
  }

  timeout(): void {
    this.#settle("timeout");
  }

  transportError(): void {
    this.#settle("transport-error");
  }

  #giveUp(): void {
    this.#unfinished?.abandon();
    this.#unfinished = undefined;
  }

  #settle(outcome: PingOutcome): void {
    if (this.#isOver || !this.#isAsking) return;
    this.#isAsking = false;
    const verdict = pingVerdict(outcome);
    if (verdict === "alive") this.#silent = 0;
    else if (verdict === "gone" || ++this.#silent >= MAX_SILENT_PINGS) this.#round.end(this.#side, outcome);
    else if (outcome !== "transport-error") this.ask(); // a connection that broke has until the next ping to come up again
  }
}

/** Acknowledges each 2xx to a re-INVITE of ours, copies too (RFC 3261 §13.2.2.4), and passes on what became of it. */
class Acknowledging implements ClientUser {
  readonly #core: ProxyCore;
  readonly #dialog: Dialog;
  readonly #inside: Inside;
  readonly #user: ClientUser;

  constructor(core: ProxyCore, dialog: Dialog, inside: Inside, user: ClientUser) {
    this.#core = core;
    this.#dialog = dialog;
    this.#inside = inside;
    this.#user = user;
  }

  response(...[transaction, response]: Parameters<ClientUser["response"]>): void {
    const { status } = response;
    if (status >= 200 && status < 300) sendInside(this.#core, this.#dialog, { method: "ACK", inside: this.#inside });
    this.#user.response(transaction, response);
  }

  timeout(transaction: ClientTransaction): void {
    this.#user.timeout(transaction);
  }

  transportError(...args: Parameters<ClientUser["transportError"]>): void {
    this.#user.transportError(...args);
  }
}
