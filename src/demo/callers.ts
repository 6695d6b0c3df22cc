import { randomUUID } from "node:crypto";
import type { NameAddr, Request, Response, Stack } from "sip";
import { LOOPBACK, startUserAgent } from "./user-agent.ts";

/** What became of the calls so far. */
export interface CallCounts {
  /** Calls that were begun. */
  placed: number;
  /** Calls that are up now. */
  up: number;
  /** Calls that were answered and have ended. */
  ended: number;
  /** Calls that went on to another destination, as the balancer counts them: callers do not see it. */
  failedOver: number;
  /** Calls that were answered 503: every destination is full. */
  refused: number;
  /** Calls that ended in any other way. */
  failed: number;
}

const PACE_MS = 25; // calls are begun in small groups this often

/** What a call needs for its ACK and its BYE. */
interface Dialog {
  readonly target: string;
  readonly from: NameAddr;
  readonly to: NameAddr;
  readonly callId: string;
  readonly routes: NameAddr[];
  hangUpTimer: NodeJS.Timeout;
}

/** Callers: one user agent that makes calls at a steady rate, holds them and hangs up. */
export class Callers {
  readonly counts: CallCounts = { placed: 0, up: 0, ended: 0, failedOver: 0, refused: 0, failed: 0 };
  readonly #stack: Stack;
  readonly #ownUri: string;
  readonly #calledUri: string;
  #calls = new Map<string, Dialog>();
  #callsPerSecond = 0;
  #holdMs = 0;
  #due = 0;
  #paceTimer: NodeJS.Timeout;
  #pacedAtMs = performance.now();

  /** @param calledUri where the calls go: the balancer */
  constructor(port: number, calledUri: string) {
    this.#stack = startUserAgent(port, () => {}); // nobody calls the callers
    this.#ownUri = `sip:caller@${LOOPBACK}:${port}`;
    this.#calledUri = calledUri;
    this.#paceTimer = setInterval(() => this.#pace(), PACE_MS);
  }

  /** From now on: so many calls a second, each held for `holdMs`, give or take a fifth. */
  pace(callsPerSecond: number, holdMs: number): void {
    this.#callsPerSecond = callsPerSecond;
    this.#holdMs = holdMs;
    this.#due = 0;
  }

  /** Ends all calls that are up, and begins none; those that are answered after this end at once. */
  hangUpAll(): void {
    this.#callsPerSecond = 0;
    this.#holdMs = 0;
    for (const callId of [...this.#calls.keys()]) this.#hangUp(callId);
  }

  /** Stops at once; calls that are up are left as they are. */
  async close(): Promise<void> {
    clearInterval(this.#paceTimer);
    for (const { hangUpTimer } of this.#calls.values()) clearTimeout(hangUpTimer);
    this.#calls.clear();
    // The package sends on the next tick; what was begun in this one must not meet a closed socket.
    await new Promise((resolve) => setImmediate(resolve));
    this.#stack.destroy();
  }

  #pace(): void {
    const nowMs = performance.now();
    this.#due += (this.#callsPerSecond * (nowMs - this.#pacedAtMs)) / 1000;
    this.#pacedAtMs = nowMs;
    for (; this.#due >= 1; this.#due -= 1) this.#call();
  }

  #call(): void {
    const callId = randomUUID();
    const from: NameAddr = { uri: this.#ownUri, params: { tag: callId.slice(0, 8) } };
    this.counts.placed += 1;
    this.#stack.send(
      this.#request("INVITE", 1, { target: this.#calledUri, from, to: { uri: this.#calledUri }, callId, routes: [] }),
      (response) => {
        const { status } = response;
        if (status >= 200 && status < 300) this.#answered(response, from);
        else if (status === 503) this.counts.refused += 1;
        else if (status >= 300) this.counts.failed += 1;
      },
    );
  }

  #answered({ headers }: Response, from: NameAddr): void {
    const callId = headers["call-id"];
    const known = this.#calls.get(callId);
    const contact = headers.contact?.[0]?.uri;
    const dialog = known ?? {
      target: typeof contact === "string" ? contact : this.#calledUri,
      from,
      to: headers.to,
      callId,
      routes: [...(headers["record-route"] ?? [])].reverse(),
      hangUpTimer: setTimeout(() => this.#hangUp(callId), this.#holdMs * (0.8 + 0.4 * Math.random())),
    };
    if (known === undefined) {
      this.#calls.set(callId, dialog);
      this.counts.up += 1;
    }
    this.#stack.send(this.#request("ACK", 1, dialog)); // a repeated 200 is acknowledged again
  }

  #hangUp(callId: string): void {
    const dialog = this.#calls.get(callId);
    if (dialog === undefined) return;
    clearTimeout(dialog.hangUpTimer);
    this.#calls.delete(callId);
    this.counts.up -= 1;
    this.counts.ended += 1;
    this.#stack.send(this.#request("BYE", 2, dialog));
  }

  #request(method: string, seq: number, { target, from, to, callId, routes }: Omit<Dialog, "hangUpTimer">): Request {
    const headers = { to, from, "call-id": callId, cseq: { method, seq }, "max-forwards": 70, route: [...routes] };
    return { method, uri: target, headers: method === "INVITE" ? { ...headers, contact: [{ uri: this.#ownUri }] } : headers };
  }
}
