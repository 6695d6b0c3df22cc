import { SseParser } from "./sse.js";

/** Totals come every second, so a connection on which nothing comes is none. */
const SILENCE_MS = 10_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;
/** A connection that lasted this long was a good one: the next wait is short again. */
const GOOD_AFTER_MS = 5_000;

/**
 * How the connection is. `waiting`: it is tried again at `untilMs` (wall clock). `unauthorized`: it is not, until somebody gives another token.
 *
 * @typedef {{ kind: "connecting" | "live" | "stopped" } | { kind: "waiting", untilMs: number, why: string } | { kind: "unauthorized", why: string }} FeedState
 */

/** Reads the live feed, and comes back by itself. By fetch(), as EventSource cannot send a token. */
export class Feed {
  #url;
  #token;
  #onFrame;
  #onState;
  /** @type {AbortController | undefined} */
  #running;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #waitMs = FIRST_WAIT_MS;

  /**
   * @param {object} options
   * @param {URL} options.url
   * @param {() => string | null} options.token
   * @param {(name: string, data: string) => void} options.onFrame
   * @param {(state: FeedState) => void} options.onState
   */
  constructor({ url, token, onFrame, onState }) {
    this.#url = url;
    this.#token = token;
    this.#onFrame = onFrame;
    this.#onState = onState;
  }

  /** Connects now, whatever it did before. */
  start() {
    this.stop();
    const running = new AbortController();
    this.#running = running;
    this.#onState({ kind: "connecting" });
    const begunAt = Date.now();
    this.#read(running).then(
      (why) => this.#ended(running, why, begunAt),
      (error) => this.#ended(running, running.signal.aborted ? String(running.signal.reason) : sentenceOf(error), begunAt),
    );
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const running = this.#running;
    this.#running = undefined;
    running?.abort();
  }

  /** Whether it waits for its next try. */
  get isWaiting() {
    return this.#timer !== undefined;
  }

  /**
   * @param {AbortController} running
   * @returns {Promise<Refusal | string>} why it has ended
   */
  async #read(running) {
    let silence = setTimeout(() => running.abort("nothing has come for a while"), SILENCE_MS);
    try {
      const token = this.#token();
      /** @type {Record<string, string>} */
      const headers = { accept: "text/event-stream" };
      if (token !== null) headers["authorization"] = `Bearer ${token}`;
      const answer = await fetch(this.#url, { headers, credentials: "omit", cache: "no-store", signal: running.signal });
      if (!answer.ok || answer.body === null) return await refusalOf(answer);
      const parser = new SseParser();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      this.#onState({ kind: "live" });
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return "the server has ended it";
        clearTimeout(silence);
        silence = setTimeout(() => running.abort("nothing has come for a while"), SILENCE_MS);
        for (const { name, data } of parser.push(value)) if (this.#running === running) this.#onFrame(name, data);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  /** @param {AbortController} running @param {Refusal | string} why @param {number} begunAt */
  #ended(running, why, begunAt) {
    if (this.#running !== running) return; // stopped, or started anew
    running.abort();
    this.#running = undefined;
    const refusal = typeof why === "string" ? { status: 0, why, afterMs: 0 } : why;
    if (refusal.status === 401) {
      this.#onState({ kind: "unauthorized", why: this.#token() === null ? "" : refusal.why });
      return;
    }
    if (Date.now() - begunAt >= GOOD_AFTER_MS) this.#waitMs = FIRST_WAIT_MS;
    // A little chance, so that all pages do not come back in the same moment after a restart.
    const waitMs = Math.max(refusal.afterMs, Math.round(this.#waitMs * (0.75 + Math.random() / 4)));
    this.#waitMs = Math.min(LONGEST_WAIT_MS, this.#waitMs * 2);
    this.#timer = setTimeout(() => this.start(), waitMs);
    this.#onState({ kind: "waiting", untilMs: Date.now() + waitMs, why: refusal.why });
  }
}

/** @typedef {{ status: number, why: string, afterMs: number }} Refusal */

/**
 * What a refusal of HTTP says, in a sentence of its own.
 *
 * @param {Response} answer
 * @returns {Promise<Refusal>}
 */
export async function refusalOf(answer) {
  const text = await answer.text().catch(() => "");
  let why = `HTTP ${answer.status}`;
  try {
    const { error } = JSON.parse(text);
    why = typeof error?.data === "string" ? error.data : (error?.message ?? why);
  } catch {
    const line = text.trim();
    if (line !== "" && line.length < 300 && !line.startsWith("<")) why = line;
  }
  return { status: answer.status, why, afterMs: Number(answer.headers.get("retry-after") ?? 0) * 1000 || 0 };
}

/** @param {unknown} error */
function sentenceOf(error) {
  return error instanceof TypeError ? "the server does not answer" : String(error);
}
