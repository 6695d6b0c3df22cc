import { createHmac } from "node:crypto";
import type { BusEvent, EventBus } from "./bus.ts";
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
  readonly secret: string | null;
  /** Events that wait at most, those being sent included, from 1. */
  readonly queue: number;
  readonly userAgent: string;
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
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
 * happens meanwhile waits in a bounded queue that loses its oldest. Nobody ever waits for it.
 */
export class Webhook {
  readonly counters: WebhookCounters = { webhook_delivered: 0, webhook_failures: 0, webhook_lost: 0 };
  readonly #options: WebhookOptions;
  readonly #names: ReadonlySet<string>;
  readonly #unsubscribe: () => void;
  /** Oldest at `#first`; what stands before has gone. */
  #waiting: BusEvent[] = [];
  #first = 0;
  /** Events of the request that is under way, or waits for its next try. */
  #batch: readonly BusEvent[] = [];
  #tries = 0;
  #stopTimer: (() => void) | undefined;
  #request: AbortController | undefined;
  #closed = false;
  /** The last request failed: said once in the log. */
  #failing = false;

  constructor(options: WebhookOptions) {
    this.#options = options;
    this.#names = new Set(options.events);
    this.#unsubscribe = options.bus.subscribe((event) => this.#published(event));
  }

  /** Events that wait, those being sent included. */
  get pending(): number {
    return this.#waiting.length - this.#first + this.#batch.length;
  }

  /** Gives up what is not delivered. */
  close(): void {
    this.#closed = true;
    this.#unsubscribe();
    this.#stopTimer?.();
    this.#request?.abort();
    this.counters.webhook_lost += this.pending;
    this.#waiting = [];
    this.#first = 0;
    this.#batch = [];
  }

  #published(event: BusEvent): void {
    if (this.#names.size > 0 && !this.#names.has(event.name)) return;
    if (this.pending >= this.#options.queue) {
      this.counters.webhook_lost++;
      if (this.#first === this.#waiting.length) return; // all of the queue is being sent
      this.#take(1);
    }
    this.#waiting.push(event);
    if (this.#batch.length === 0 && this.#stopTimer === undefined) this.#later(0, () => this.#next());
  }

  #take(count: number): BusEvent[] {
    const taken = this.#waiting.slice(this.#first, this.#first + count);
    this.#first += taken.length;
    if (this.#first * 2 >= this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#first);
      this.#first = 0;
    }
    return taken;
  }

  #next(): void {
    this.#batch = this.#take(MAX_BATCH);
    this.#tries = 0;
    if (this.#batch.length > 0) void this.#send();
  }

  /** Never rejects. */
  async #send(): Promise<void> {
    this.#tries++;
    const status = await this.#post();
    if (this.#closed) return;
    if (status !== undefined && status >= 200 && status < 300) {
      this.counters.webhook_delivered += this.#batch.length;
      if (this.#failing) this.#options.log.info({ webhook: this.#options.label }, `${this.#options.label} takes events again`);
      this.#failing = false;
      this.#next();
      return;
    }
    this.counters.webhook_failures++;
    const reason = status === undefined ? "no answer" : `status ${status}`;
    if (!this.#failing) {
      this.#options.log.warn({ webhook: this.#options.label, status }, `${this.#options.label} does not take events: ${reason}`);
    }
    this.#failing = true;
    if (isFinal(status) || this.#tries >= MAX_TRIES) {
      this.counters.webhook_lost += this.#batch.length;
      this.#next();
    } else {
      const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.#tries - 1));
      // Several webhooks of a receiver that comes back do not come all at once.
      this.#later(wait * (0.75 + this.#options.random() / 4), () => void this.#send());
    }
  }

  /** The status of the answer; `undefined` without one. */
  async #post(): Promise<number | undefined> {
    const { bus, url, secret, userAgent, fetch, after } = this.#options;
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
          ...(secret !== null && { "headroom-signature": `sha256=${createHmac("sha256", secret).update(body).digest("hex")}` }),
        },
        body,
        redirect: "manual", // another address would get what this one was meant to get
        signal: request.signal,
      });
      await response.body?.cancel();
      return response.status;
    } catch {
      return undefined;
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

/** Statuses that another try does not change. */
function isFinal(status: number | undefined): boolean {
  return status !== undefined && status < 500 && status !== 408 && status !== 429;
}
