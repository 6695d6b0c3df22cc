import { type Redis, ReplyError } from "ioredis";
import { LinkError, type LuaScript } from "../ports.ts";
import { InFlight } from "./in-flight.ts";
import { type CommandClient, closeClient, linesOf, openCommandClient, openSubscriber } from "./redis-clients.ts";
import type { RedisLinkCounters } from "./redis-link.ts";
import { type RedisTarget, withoutPasswords } from "./redis-url.ts";
import { isUnknownScript, ScriptSender } from "./script-sender.ts";

/** Milliseconds that each step of connecting may take. A time-out is the longest that a node notices too late that Redis is back. */
const STEP_MS = 800;
/** Milliseconds from one look at the connections to the next. */
const WATCH_MS = 100;
/** Milliseconds from one ping to the next. */
const PING_MS = 500;
/** Milliseconds without a sign of life after a ping: with PING_MS and WATCH_MS, a connection that swallows everything is noticed in 2 s. */
const SILENCE_MS = 1400;
/** A look that comes so many milliseconds late says that this process stood still, not that Redis did. */
const STANDSTILL_MS = 300;

/** Replies that say that this Redis is no good now, whatever is asked of it. */
const UNFIT = /\b(?:READONLY|LOADING|MASTERDOWN|CLUSTERDOWN|NOAUTH)\b/;

export interface SessionOptions {
  readonly target: RedisTarget;
  /** Counts the sessions: Sentinels and nodes are asked in another order at each. */
  readonly attempt: number;
  readonly commandTimeoutMs: number;
  readonly counters: RedisLinkCounters;
  /** All that is to be subscribed to before the session is up. */
  readonly channels: () => Iterable<string>;
  readonly onUp: () => void;
  /** Once, and the last that is heard of it. @param isTimeout Redis was silent, so that time was lost already */
  readonly onEnd: (reason: string, isTimeout: boolean) => void;
  readonly onMessage: (channel: string, message: string) => void;
}

/** A connection and the signs of life on it. */
interface Line {
  pingSentAtMs: number | undefined;
  heardAtMs: number;
  nextPingAtMs: number;
}

/** Two connections to Redis, from the first attempt to the first fault of either: then both are closed and done with. */
export class RedisSession {
  readonly #options: SessionOptions;
  readonly #inFlight: InFlight;
  readonly #lines = new Map<Redis, Line>();
  readonly #scripts: ScriptSender;
  readonly #subscribed = new Set<string>();
  readonly #commands: CommandClient;
  #subscriber: Redis | undefined;
  #isUp = false;
  #hasEnded = false;
  #lastError = "the connection was closed";
  #step: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  #lookedAtMs = 0;
  #isCorked = false;
  #rttMs: number | undefined;
  #rttBeforeMs = Number.POSITIVE_INFINITY;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#inFlight = new InFlight(options.counters, options.commandTimeoutMs);
    this.#nextStep();
    this.#commands = openCommandClient(options.target, options.attempt, STEP_MS);
    this.#scripts = new ScriptSender(this.#commands);
    this.#begin().catch((error) => this.#end(messageOf(error)));
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Milliseconds of the last ping; undefined before the first. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  /**
   * The better one of the last two pings, ms, so that one pause of a busy machine does not count; or those that a ping waits for its answer by now, once these
   * are more than {@link PING_MS}. Undefined before the first.
   */
  get steadyRttMs(): number | undefined {
    if (this.#rttMs === undefined) return undefined;
    let waitedMs = 0;
    for (const [redis, { pingSentAtMs }] of this.#lines)
      if (redis !== this.#subscriber && pingSentAtMs !== undefined) waitedMs = Math.max(waitedMs, performance.now() - pingSentAtMs);
    return waitedMs > PING_MS ? waitedMs : Math.min(this.#rttMs, this.#rttBeforeMs);
  }

  /** @throws LinkError @throws Error what Redis answered */
  command(name: string, args: readonly (string | number)[]): Promise<unknown> {
    // ioredis makes objects of some replies to commands that it knows by name, and it knows them in lower case.
    return this.#send(name, lengthOf(args), () => this.#commands.call(name.toUpperCase(), ...args));
  }

  /** @throws LinkError @throws Error what Redis answered */
  run(script: LuaScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const { send, sendAgain } = this.#scripts.prepare(script, [keys.length, ...keys, ...args]);
    return this.#send(script.name, lengthOf(keys) + lengthOf(args), send, sendAgain);
  }

  /** Another channel, while the session is up. */
  subscribe(channel: string): void {
    this.#subscribe([channel]).catch((error) => this.#end(messageOf(error)));
  }

  close(): void {
    this.#end("it was closed");
  }

  async #begin(): Promise<void> {
    const { target, attempt } = this.#options;
    const commandsReady = this.#ready(this.#commands);
    if (target.kind === "cluster") await commandsReady;
    if (this.#hasEnded) return;
    this.#subscriber = openSubscriber(target, this.#commands, attempt, STEP_MS);
    this.#subscriber.on("message", (channel: string, message: string) => this.#hear(channel, message));
    await Promise.all([commandsReady, this.#ready(this.#subscriber)]);
    await this.#prove();
    for (let missing = this.#missing(); missing.length > 0; missing = this.#missing()) {
      await this.#subscribe(missing);
      this.#nextStep();
    }
    if (this.#hasEnded) return;
    clearTimeout(this.#step);
    this.#isUp = true;
    this.#lookedAtMs = performance.now();
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
    this.#options.onUp();
  }

  /** Resolves when ioredis has been let in; a client that ends ends the session. */
  #ready(client: CommandClient): Promise<void> {
    client.on("error", (error: Error) => {
      const cause = (error as { lastNodeError?: Error }).lastNodeError;
      this.#lastError = cause === undefined ? error.message : `${error.message} ${cause.message}`;
    });
    client.on("connect", () => this.#nextStep());
    client.on("end", () => this.#end(this.#lastError));
    return new Promise((resolve) => {
      client.on("ready", () => {
        this.#nextStep();
        resolve();
      });
    });
  }

  /** Redis answers on each connection, has loaded what it keeps, and takes writes. */
  async #prove(): Promise<void> {
    await Promise.all(linesOf(this.#commands).map((line) => line.call("PING")));
    this.#nextStep();
    if (this.#options.target.kind === "cluster") {
      const states = await Promise.all(linesOf(this.#commands).map((line) => line.call("CLUSTER", "INFO")));
      this.#nextStep();
      if (states.length === 0) throw new Error("the Redis Cluster has no masters");
      if (!states.every((state) => String(state).includes("cluster_state:ok"))) throw new Error("the Redis Cluster is not complete");
      return;
    }
    const role = await this.#commands.call("ROLE").catch((error: Error) => {
      if (/NOPERM|unknown command/.test(error.message)) return undefined; // not everybody may ask
      throw error;
    });
    this.#nextStep();
    if (Array.isArray(role) && role[0] !== "master") throw new Error(`it is a ${role[0]}, not a master`);
  }

  #missing(): string[] {
    return [...this.#options.channels()].filter((channel) => !this.#subscribed.has(channel));
  }

  async #subscribe(channels: readonly string[]): Promise<void> {
    for (const channel of channels) this.#subscribed.add(channel);
    await this.#subscriber?.subscribe(...channels);
  }

  #hear(channel: string, message: string): void {
    const line = this.#subscriber && this.#lines.get(this.#subscriber);
    if (line !== undefined) line.heardAtMs = performance.now();
    if (!this.#hasEnded) this.#options.onMessage(channel, message);
  }

  #nextStep(): void {
    clearTimeout(this.#step);
    if (this.#hasEnded || this.#isUp) return;
    // Sentinels, and the nodes of a Redis Cluster, are asked before the connection of which ioredis tells is begun.
    const limitMs = this.#options.target.kind === "single" ? STEP_MS : STEP_MS * 2;
    this.#step = setTimeout(() => this.#end(`no answer in ${limitMs} ms`, true), limitMs);
  }

  /** @param sendAgain for what Redis did not do because it does not know the script */
  #send(what: string, chars: number, send: () => Promise<unknown>, sendAgain?: () => Promise<unknown>): Promise<unknown> {
    if (!this.#isUp) return Promise.reject(new LinkError(`Cannot send "${what}" to Redis: there is no connection`));
    this.#cork();
    const now = performance.now();
    return this.#inFlight.add(what, chars, now, () =>
      send().then(
        (answer) => {
          this.#heard();
          return answer;
        },
        (error) => {
          if (sendAgain === undefined || !isUnknownScript(error)) throw this.#fault(what, error);
          return sendAgain().catch((another) => {
            throw this.#fault(what, another);
          });
        },
      ),
    );
  }

  /** What is sent in one turn of the event loop leaves in one packet, in its order. */
  #cork(): void {
    const { stream } = this.#commands as Redis;
    if (this.#isCorked || stream === undefined) return;
    this.#isCorked = true;
    stream.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      stream.uncork();
    });
  }

  /** What a command is rejected with. Nothing of ioredis is passed on: its errors carry arguments, also those of AUTH. */
  #fault(what: string, error: unknown): Error {
    const text = withoutPasswords(messageOf(error), this.#options.target);
    if (!(error instanceof ReplyError)) return new LinkError(`No answer of Redis to "${what}": ${text}`);
    this.#heard();
    if (!UNFIT.test(text)) return new Error(text);
    this.#end(text);
    return new LinkError(`Redis refuses "${what}": ${text}`);
  }

  #heard(): void {
    const line = this.#lines.get(this.#commands as Redis);
    if (line !== undefined) line.heardAtMs = performance.now();
  }

  #look(): void {
    const now = performance.now();
    const stoodStill = now - this.#lookedAtMs > WATCH_MS + STANDSTILL_MS;
    this.#lookedAtMs = now;
    if (stoodStill) return; // answers that came meanwhile are read first
    this.#inFlight.expire(now);
    const present = [...linesOf(this.#commands), ...(this.#subscriber === undefined ? [] : [this.#subscriber])];
    for (const gone of [...this.#lines.keys()].filter((line) => !present.includes(line))) this.#lines.delete(gone);
    for (const redis of present) this.#check(redis, now);
  }

  #check(redis: Redis, now: number): void {
    const line = this.#lines.get(redis) ?? { pingSentAtMs: undefined, heardAtMs: now, nextPingAtMs: now };
    this.#lines.set(redis, line);
    if (line.pingSentAtMs !== undefined) {
      if (now - Math.max(line.pingSentAtMs, line.heardAtMs) > SILENCE_MS) this.#end(`silent for ${SILENCE_MS} ms`, true);
      return;
    }
    if (now < line.nextPingAtMs) return;
    line.pingSentAtMs = now;
    line.nextPingAtMs = now + PING_MS;
    redis.call("PING").then(
      () => {
        const answeredAtMs = performance.now();
        line.pingSentAtMs = undefined;
        line.heardAtMs = answeredAtMs;
        if (redis === this.#subscriber) return;
        this.#rttBeforeMs = this.#rttMs ?? Number.POSITIVE_INFINITY;
        this.#rttMs = answeredAtMs - now;
      },
      (error) => this.#end(messageOf(error)),
    );
  }

  #end(reason: string, isTimeout = false): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#isUp = false;
    clearTimeout(this.#step);
    clearInterval(this.#watch);
    const text = withoutPasswords(reason, this.#options.target);
    closeClient(this.#commands);
    if (this.#subscriber !== undefined) closeClient(this.#subscriber);
    this.#inFlight.abandon(text);
    this.#options.onEnd(text, isTimeout);
  }
}

function lengthOf(words: readonly (string | number)[]): number {
  return words.reduce<number>((sum, word) => sum + (typeof word === "string" ? word.length : 8), 16);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
