import { contactUri, type Dialog, type PingOutcome } from "../dialog/index.ts";
import { buildCancel, type MalformedMessage, parseMessage, type SipRequest, type SipResponse } from "../sip/index.ts";
import { type ClientTransaction, type ClientUser, State, type Timer, type TimerOwner } from "../transaction/index.ts";
import type { ProxyCore } from "./core.ts";
import { type Inside, sendInside } from "./inside-request.ts";

/** How long a cancelled re-INVITE may still be answered (RFC 3261 §9.1). */
const CANCEL_WAIT_MS = 32_000;
const WAIT = 0;
const CANCELLED = 1;

const IGNORE: ClientUser = { response() {}, timeout() {}, transportError() {} };

/**
 * One re-INVITE ping: acknowledges each 2xx, copies too (RFC 3261 §13.2.2.4), and says once what became of it. Who only answers provisionally for as long as
 * another request may take is sent CANCEL, so that no re-INVITE of ours stands in the way of those of the parties.
 */
export class PingInvite implements ClientUser, TimerOwner {
  /** As it was sent; "" before. */
  text = "";
  readonly #core: ProxyCore;
  readonly #dialog: Dialog;
  readonly #inside: Inside;
  readonly #settle: (outcome: PingOutcome) => void;
  #transaction: ClientTransaction | undefined;
  #timer: Timer | undefined;
  /** The party itself has said something: 100 may come from any hop. */
  #rang = false;
  #cancelWanted = false;
  #cancelSent = false;
  #isSettled = false;

  constructor(core: ProxyCore, dialog: Dialog, inside: Inside, settle: (outcome: PingOutcome) => void) {
    this.#core = core;
    this.#dialog = dialog;
    this.#inside = inside;
    this.#settle = settle;
  }

  /** Takes it back. Before a provisional response the CANCEL waits for one. */
  cancel(): void {
    if (this.#isSettled) return;
    this.#cancelWanted = true;
    if (this.#transaction?.state === State.Proceeding) this.#sendCancel(this.#transaction);
  }

  response(transaction: ClientTransaction, response: SipResponse): void {
    const { status } = response;
    if (status < 200) {
      this.#provisional(transaction, status);
      return;
    }
    if (status < 300) {
      // It may have moved: who hears no ACK hangs up (RFC 3261 §12.2.1.2, §13.3.1.4).
      const contact = contactUri(response) || this.#inside.contact;
      sendInside(this.#core, this.#dialog, { method: "ACK", inside: { ...this.#inside, contact } });
    }
    this.#done(this.#cancelSent && status === 487 && !this.#rang ? "timeout" : status);
  }

  timeout(): void {
    this.#done("timeout");
  }

  transportError(): void {
    this.#done("transport-error");
  }

  timerFired(kind: number): void {
    this.#timer = undefined;
    if (kind === WAIT) this.cancel();
    else {
      this.#transaction?.abandon();
      this.#done("timeout");
    }
  }

  #provisional(transaction: ClientTransaction, status: number): void {
    this.#transaction = transaction;
    if (status > 100) this.#rang = true;
    if (this.#cancelWanted) this.#sendCancel(transaction);
    else if (this.#timer === undefined) this.#startTimer(this.#core.timeouts.frMs, WAIT);
  }

  #sendCancel({ branch, target }: ClientTransaction): void {
    if (this.#cancelSent) return;
    // Our own headers may have taken it over a limit of what we accept: it was sent all the same.
    const sent = parseMessage(this.text);
    const request = sent.kind === "malformed" ? (sent as MalformedMessage).answerable : (sent as SipRequest);
    if (request === undefined) return;
    this.#cancelSent = true;
    this.#startTimer(CANCEL_WAIT_MS, CANCELLED);
    const { layer, timeouts } = this.#core;
    layer.send({ method: "CANCEL", text: buildCancel(request), branch, target, timeoutMs: timeouts.frMs }, IGNORE);
  }

  #done(outcome: PingOutcome): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#timer = this.#core.wheel.cancel(this.#timer);
    this.#transaction = undefined;
    this.text = "";
    this.#settle(outcome);
  }

  #startTimer(ms: number, kind: number): void {
    this.#timer = this.#core.wheel.cancel(this.#timer);
    this.#timer = this.#core.wheel.schedule(ms, this, kind, this.#core.nowMs());
  }
}
