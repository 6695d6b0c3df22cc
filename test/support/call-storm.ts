import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "./net.ts";
import type { Proxy as Balancer } from "./raw-call.ts";
import { routesOf } from "./raw-call.ts";
import { headerOf, request, statusOf } from "./sip-messages.ts";

/** Copies of a request that got no answer (RFC 3261, timers A and E), ms after the first; then one each {@link COPY_EACH_MS}. */
const COPIES_MS = [500, 1_500, 3_500, 7_500];
const COPY_EACH_MS = 4_000;
/** When nobody waits any longer, ms. */
const GIVE_UP_MS = 15_000;

/** A call that was answered. */
export interface StormCall {
  readonly callId: string;
  /** The 200 that answered it. */
  readonly answer: string;
  /** Where its INVITE went. */
  readonly proxy: Balancer;
}

interface Waiting {
  readonly done: (response: string | undefined) => void;
  readonly timers: NodeJS.Timeout[];
}

/** Counts of what became of the calls of a {@link CallStorm}. */
export interface StormCounts {
  begun: number;
  /** Requests that were sent again, as nothing had come for half a second. */
  copies: number;
  answered: number;
  /** Final responses to INVITEs other than 200, by status. */
  readonly refused: Map<number, number>;
  /** Requests that got no final answer at all. */
  silent: number;
  byesAnswered: number;
  /** Final responses to BYEs other than 200, by status. */
  readonly byesRefused: Map<number, number>;
}

/** A caller that makes many calls by hand: it decides when each begins and where its BYE goes, and repeats what is not answered. */
export class CallStorm {
  readonly counts: StormCounts = {
    begun: 0,
    copies: 0,
    answered: 0,
    refused: new Map(),
    silent: 0,
    byesAnswered: 0,
    byesRefused: new Map(),
  };
  /** Is told of each refusal of a call: when it was asked for, and when it was refused. */
  onRefused: ((status: number, askedMs: number, atMs: number) => void) | undefined;
  readonly #socket: Socket;
  readonly #giveUpMs: number;
  readonly #copiesMs: readonly number[];
  readonly #waiting = new Map<string, Waiting>();

  private constructor(socket: Socket, giveUpMs: number) {
    this.#socket = socket;
    this.#giveUpMs = giveUpMs;
    const more = Math.max(0, Math.ceil((giveUpMs - GIVE_UP_MS) / COPY_EACH_MS));
    this.#copiesMs = [...COPIES_MS, ...Array.from({ length: more }, (_, i) => COPIES_MS.at(-1)! + (i + 1) * COPY_EACH_MS)];
    socket.on("message", (bytes) => this.#take(bytes.toString("latin1")));
  }

  /** @param giveUpMs when nobody waits for an answer any longer */
  static async open(address: string, giveUpMs = GIVE_UP_MS): Promise<CallStorm> {
    const socket = createSocket({ type: "udp4", recvBufferSize: 4_194_304 }).unref();
    socket.bind(0, address);
    await once(socket, "listening");
    return new CallStorm(socket, giveUpMs);
  }

  get sentBy(): string {
    const { address, port } = this.#socket.address();
    return `${address}:${port}`;
  }

  /** Makes one call. Undefined when it was refused, or nobody answered. @param user of the Request-URI */
  async call(proxy: Balancer, user = "service"): Promise<StormCall | undefined> {
    this.counts.begun++;
    const invite = request({ uri: `sip:${user}@${proxy.address}:${proxy.port}`, sentBy: this.sentBy });
    const callId = headerOf(invite, "Call-ID");
    const askedMs = performance.now();
    const answer = await this.#ask(invite, proxy);
    if (answer === undefined) {
      this.counts.silent++;
      return undefined;
    }
    const status = statusOf(answer);
    if (status !== 200) {
      this.#count(this.counts.refused, status);
      this.onRefused?.(status, askedMs, performance.now());
      this.#send(ackOf(invite, answer), proxy);
      return undefined;
    }
    this.counts.answered++;
    const call: StormCall = { callId, answer, proxy };
    this.#send(this.#inside(call, "ACK", 1), proxy);
    return call;
  }

  /**
   * Ends a call.
   *
   * @param proxy where its BYE goes; default: where its INVITE went
   * @param isBare the BYE has no Route, as that of a caller that keeps no Record-Route
   * @returns the status of its answer
   */
  async hangUp(call: StormCall, proxy: Balancer = call.proxy, isBare = false): Promise<number | undefined> {
    const answer = await this.#ask(this.#inside(call, "BYE", 2, isBare), proxy);
    if (answer === undefined) this.counts.silent++;
    else if (statusOf(answer) === 200) this.counts.byesAnswered++;
    else this.#count(this.counts.byesRefused, statusOf(answer));
    return answer === undefined ? undefined : statusOf(answer);
  }

  /**
   * Calls at a steady rate, each held and hung up. Resolves when the last has ended.
   *
   * @param holdMs how long a call is held on average
   * @param spread each is held up to this share of it longer or less long, so that calls which began together do not end together
   */
  async storm(proxy: Balancer, callsPerSecond: number, durationMs: number, holdMs: number, spread = 0): Promise<void> {
    const running: Promise<void>[] = [];
    const beganMs = performance.now();
    let made = 0;
    for (;;) {
      const passedMs = performance.now() - beganMs;
      const due = Math.floor((Math.min(passedMs, durationMs) * callsPerSecond) / 1000);
      for (; made < due; made++) running.push(this.#oneCall(proxy, holdMs * (1 + spread * (2 * Math.random() - 1))));
      if (passedMs >= durationMs) break;
      await sleep(2);
    }
    await Promise.all(running);
  }

  /** Waits until every request has its answer. */
  async untilQuiet(timeoutMs = GIVE_UP_MS): Promise<void> {
    await waitFor("every request has its answer", timeoutMs, () => this.#waiting.size === 0);
  }

  async close(): Promise<void> {
    for (const { done } of [...this.#waiting.values()]) done(undefined);
    this.#socket.close();
    await once(this.#socket, "close");
  }

  async #oneCall(proxy: Balancer, holdMs: number): Promise<void> {
    const call = await this.call(proxy);
    if (call === undefined) return;
    await sleep(holdMs);
    await this.hangUp(call);
  }

  /** Sends a request, again and again, until its final response comes; undefined when none does. */
  #ask(text: string, to: Balancer): Promise<string | undefined> {
    const key = keyOf(text);
    return new Promise((resolve) => {
      const repeat = (): void => {
        this.counts.copies++;
        this.#send(text, to);
      };
      const timers = this.#copiesMs.map((ms) => setTimeout(repeat, ms));
      const done = (response: string | undefined): void => {
        for (const timer of timers) clearTimeout(timer);
        this.#waiting.delete(key);
        resolve(response);
      };
      timers.push(setTimeout(() => done(undefined), this.#giveUpMs));
      this.#waiting.set(key, { done, timers });
      this.#send(text, to);
    });
  }

  #take(text: string): void {
    if (!text.startsWith("SIP/2.0 ")) return;
    const status = statusOf(text);
    const waiting = this.#waiting.get(keyOf(text));
    if (waiting === undefined) return;
    if (status >= 200) waiting.done(text);
    else if (headerOf(text, "CSeq").endsWith(" INVITE"))
      for (const timer of waiting.timers.slice(0, this.#copiesMs.length)) clearTimeout(timer);
  }

  #inside({ callId, answer }: StormCall, method: string, cseq: number, isBare = false): string {
    return request({
      method,
      cseq,
      uri: /<([^>]*)>/.exec(headerOf(answer, "Contact"))?.[1] ?? "",
      sentBy: this.sentBy,
      from: headerOf(answer, "From"),
      to: headerOf(answer, "To"),
      callId,
      routes: isBare ? [] : routesOf(answer).reverse(),
    });
  }

  #send(text: string, to: Balancer): void {
    this.#socket.send(Buffer.from(text, "latin1"), to.port, to.address);
  }

  #count(counts: Map<number, number>, status: number): void {
    counts.set(status, (counts.get(status) ?? 0) + 1);
  }
}

function keyOf(message: string): string {
  return `${headerOf(message, "Call-ID")} ${headerOf(message, "CSeq")}`;
}

/** The ACK of a refused call belongs to its transaction: same branch (RFC 3261 §17.1.1.3). */
function ackOf(invite: string, answer: string): string {
  return invite
    .replace(/^INVITE /, "ACK ")
    .replace(/\r\nCSeq: 1 INVITE/, "\r\nCSeq: 1 ACK")
    .replace(/\r\nTo: [^\r]*/, `\r\nTo: ${headerOf(answer, "To")}`)
    .replace(/\r\nContact: [^\r]*/, "");
}
