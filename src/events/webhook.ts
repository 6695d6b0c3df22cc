import { createHmac } from "node:crypto";
import type { BusEvent, EventBus } from "./bus.ts";
import { EventQueue } from "./event-queue.ts";
import { eventObject } from "./event-text.ts";

/** Events in one request. */
export const MAX_BATCH = 100;
/** Time for a receiver to answer, ms. */
export const ANSWER_TIMEOUT_MS = 5_000;
/** Wait before the second try, ms; it doubles with each further one. */
export const FIRST_WAIT_MS = 1_000;
/** Longest wait between two tries, ms. */
export const LONGEST_WAIT_MS = 60_000;
/** Tries of one request; after some 15 minutes its events are given up, so that one that the receiver cannot take does not hold up all others. */
export const MAX_TRIES = 20;

/** What a webhook needs of the log. */
export interface WebhookLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface WebhookOptions {
  readonly bus: EventBus;
  /** What it is called in the log: its address may hold a secret. */
  readonly label: string;
  readonly url: string;
  /** Names of the events that are sent; empty: all. */
  readonly events: readonly string[];
  /** Signs each request and its time; null: not signed. */
  readonly secret: string | null;
  /** Events that wait at most, those being sent included, from 1. */
  readonly queue: number;
  readonly userAgent: string;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** Uniform, from 0 to below 1. */
  readonly random: () => number;
  readonly log: WebhookLog;
}

/** How often each thing happened since the start, in events; `webhook_failures` in requests. */
export interface WebhookCounters {
  webhook_delivered: number;
  webhook_failures: number;
  /** Pushed out of the queue, given up, or refused by the receiver. */
  webhook_lost: number;
}

/**
 * Sends events to one receiver, in order, several in a request: POST with `{"events":[…]}`. A request that fails is tried again with growing waits; what
 * happens meanwhile waits in a bounded queue, which loses changes of calls before anything else, the oldest first. Nobody ever waits for it.
 */
export class Webhook {
  readonly counters: WebhookCounters = { webhook_delivered: 0, webhook_failures: 0, webhook_lost: 0 };
  readonly #options: WebhookOptions;
  readonly #names: ReadonlySet<string>;
  readonly #unsubscribe: () => void;
  #waiting = new EventQueue();
  /** Events of the request that is under way, or waits for its next try. */
  #batch: readonly BusEvent[] = [];
  #tries = 0;
  #stopTimer: (() => void) | undefined;
  #request: AbortController | undefined;
  #closed = false;
  /** The last request failed: said once in the log. */
  #failing = false;
  /** Events lost since the log said so, which it does once until events are delivered again. */
  #lostSince = 0;

  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#names = new Set(options.events);
    this.#unsubscribe = options.bus.subscribe((event) => this.#published(event));
  }

  /** Events that wait, those being sent included. */
  get pending(): number {
    return this.#waiting.length + this.#batch.length;
  }

  /** Gives up what is not delivered. */
  close(): void {
    this.#closed = true;
    this.#unsubscribe();
    this.#stopTimer?.();
    this.#request?.abort();
    if (this.pending > 0) this.#lost(this.pending, "Headroom stops");
    this.#waiting = new EventQueue();
    this.#batch = [];
  }

  #published(event: BusEvent): void {
    if (this.#names.size > 0 && !this.#names.has(event.name)) return;
    if (this.pending >= this.#options.queue) {
      this.#lost(1, `${this.#options.queue} wait for it already`);
      if (!this.#waiting.makeRoomFor(event)) return; // also when all of the queue is being sent
    }
    this.#waiting.add(event);
    if (this.#batch.length === 0 && this.#stopTimer === undefined) this.#later(0, () => this.#next());
  }

  #next(): void {
    this.#batch = this.#waiting.take(MAX_BATCH);
    this.#tries = 0;
    if (this.#batch.length > 0) void this.#send();
  }

  /** Never rejects. */
  async #send(): Promise<void> {
    this.#tries++;
    const answer = await this.#post();
    if (this.#closed) return;
    if (typeof answer === "number" && answer >= 200 && answer < 300) {
      this.counters.webhook_delivered += this.#batch.length;
      this.#delivered();
      this.#next();
      return;
    }
    this.counters.webhook_failures++;
    const reason = typeof answer === "number" ? `status ${answer}` : answer;
    const { label, log } = this.#options;
    if (!this.#failing) log.warn({ webhook: label, reason }, `${label} does not take events: ${reason}`);
    this.#failing = true;
    if (isFinal(answer) || this.#tries >= MAX_TRIES) {
      this.#lost(this.#batch.length, isFinal(answer) ? reason : `${MAX_TRIES} tries, the last one: ${reason}`);
      this.#next();
    } else {
      const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.#tries - 1));
      // Several webhooks of a receiver that comes back do not come all at once.
      this.#later(wait * (0.75 + this.#options.random() / 4), () => void this.#send());
    }
  }

  #delivered(): void {
    const { label, log } = this.#options;
    const lost = this.#lostSince;
    // While more is lost than can be sent, the log has enough with one line.
    const isOver = this.#failing || (lost > 0 && this.#waiting.length === 0);
    if (!isOver) return;
    log.info({ webhook: label, lost }, `${label} takes events again${lost > 0 ? `: ${lost} were lost` : ""}`);
    this.#failing = false;
    this.#lostSince = 0;
  }

  #lost(count: number, why: string): void {
    const { label, log } = this.#options;
    this.counters.webhook_lost += count;
    if (this.#lostSince === 0)
      log.warn({ webhook: label, lost: count }, `${label} loses ${count === 1 ? "an event" : `${count} events`}: ${why}`);
    this.#lostSince += count;
  }

  /** The status of the answer; without one, why there is none. */
  async #post(): Promise<number | string> {
    const { bus, url, secret, userAgent, wallMs, fetch, after } = this.#options;
    const body = JSON.stringify({ events: this.#batch.map((event) => eventObject(bus, event)) });
    const request = new AbortController();
    this.#request = request;
    const stopTimer = after(ANSWER_TIMEOUT_MS, () => request.abort());
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "user-agent": userAgent,
          ...(secret !== null && signatureOf(body, secret, Math.floor(wallMs() / 1000))),
        },
        body,
        redirect: "manual", // another address would get what this one was meant to get
        signal: request.signal,
      });
      await response.body?.cancel();
      return response.status;
    } catch (error) {
      return request.signal.aborted ? "timeout" : failureOf(error);
    } finally {
      stopTimer();
      this.#request = undefined;
    }
  }

  #later(ms: number, run: () => void): void {
    this.#stopTimer = this.#options.after(ms, () => {
      this.#stopTimer = undefined;
      run();
    });
  }
}

/** Headers by which a receiver knows who sent a body, and when: an old request that somebody sends again has an old time, and no other one fits. */
function signatureOf(body: string, secret: string, timestampS: number): Record<string, string> {
  const hmac = createHmac("sha256", secret).update(`${timestampS}.${body}`);
  return { "headroom-timestamp": String(timestampS), "headroom-signature": `sha256=${hmac.digest("hex")}` };
}

/** The code of what broke, such as ECONNREFUSED: messages may hold the address, and in it a secret. */
function failureOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: unknown } };
  const code = cause?.code;
  return typeof code === "string" && /^[A-Z][A-Z0-9_]{0,60}$/.test(code) ? code : "no answer";
}

/** Answers that another try does not change. */
function isFinal(answer: number | string): boolean {
  return typeof answer === "number" && answer < 500 && answer !== 408 && answer !== 429;
}
