import { type ClusterLink, type ClusterLog, LinkError, type LuaScript } from "../ports.ts";
import { RedisSession } from "./redis-session.ts";
import { parseRedisUrl, type RedisTarget, shownRedisUrl } from "./redis-url.ts";

/** Milliseconds before the second attempt, doubled at each up to {@link MAX_RETRY_MS}; after a time-out there is no more to wait than the least. */
const MIN_RETRY_MS = 50;
const MAX_RETRY_MS = 400;

/** What happened on the way to Redis. */
export class RedisLinkCounters {
  connects = 0;
  losses = 0;
  failed_attempts = 0;
  commands = 0;
  /** There was no connection. */
  refused_down = 0;
  /** Too many commands wait for their answers. */
  refused_full = 0;
  timed_out = 0;
  publishes_lost = 0;
  messages_received = 0;
}

export interface RedisLinkOptions {
  /** See {@link parseRedisUrl}. */
  readonly url: string;
  readonly log: ClusterLog;
  /** @default 2000 */
  readonly commandTimeoutMs?: number;
  /** What a listener threw; the others are told all the same. */
  readonly onFault: (error: unknown) => void;
}

/** A link to Redis that connects again for as long as it is not closed. */
export interface RedisLink extends ClusterLink {
  readonly counters: Readonly<RedisLinkCounters>;
  /** Milliseconds that the last ping took; undefined while there is no connection, and in its first moments. */
  readonly rttMs: number | undefined;
  /** As {@link rttMs}, but without single pauses. */
  readonly steadyRttMs: number | undefined;
  /** The address, without user and password. */
  readonly shownUrl: string;
  /** Commands under way fail. Nobody is told that the connection is gone. */
  close(): Promise<void>;
}

/** Begins to connect to Redis. @throws RedisUrlError */
export function openRedisLink(options: RedisLinkOptions): RedisLink {
  return new Link(parseRedisUrl(options.url), options);
}

class Link implements RedisLink {
  readonly counters = new RedisLinkCounters();
  readonly shownUrl: string;
  readonly #target: RedisTarget;
  readonly #log: ClusterLog;
  readonly #commandTimeoutMs: number;
  readonly #onFault: (error: unknown) => void;
  readonly #receivers = new Map<string, ((message: string) => void)[]>();
  readonly #ups: (() => void)[] = [];
  readonly #downs: (() => void)[] = [];
  #session: RedisSession | undefined;
  #retry: NodeJS.Timeout | undefined;
  #attempts = 0;
  #failuresInARow = 0;
  #loggedReason = "";
  #isClosed = false;

  constructor(target: RedisTarget, { log, commandTimeoutMs = 2000, onFault }: RedisLinkOptions) {
    this.#target = target;
    this.shownUrl = shownRedisUrl(target);
    this.#log = log;
    this.#commandTimeoutMs = commandTimeoutMs;
    this.#onFault = onFault;
    this.#connect();
  }

  get isUp(): boolean {
    return this.#session?.isUp ?? false;
  }

  get rttMs(): number | undefined {
    return this.isUp ? this.#session?.rttMs : undefined;
  }

  get steadyRttMs(): number | undefined {
    return this.isUp ? this.#session?.steadyRttMs : undefined;
  }

  command(name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    return this.#session?.isUp ? this.#session.command(name, args) : this.#refuse(name);
  }

  run(script: LuaScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    return this.#session?.isUp ? this.#session.run(script, keys, args) : this.#refuse(script.name);
  }

  publish(channel: string, message: string): void {
    this.command("PUBLISH", channel, message).catch(() => {
      this.counters.publishes_lost++;
    });
  }

  subscribe(channel: string, receive: (message: string) => void): void {
    const receivers = this.#receivers.get(channel);
    this.#receivers.set(channel, [...(receivers ?? []), receive]);
    if (receivers === undefined && this.isUp) this.#session?.subscribe(channel);
  }

  onUp(run: () => void): void {
    this.#ups.push(run);
  }

  onDown(run: () => void): void {
    this.#downs.push(run);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#session?.close();
    this.#session = undefined;
  }

  #refuse(what: string): Promise<never> {
    this.counters.refused_down++;
    return Promise.reject(new LinkError(`Cannot send "${what}" to Redis: there is no connection`));
  }

  #connect(): void {
    let wasUp = false;
    this.#attempts++;
    this.#session = new RedisSession({
      target: this.#target,
      attempt: this.#attempts,
      commandTimeoutMs: this.#commandTimeoutMs,
      counters: this.counters,
      channels: () => this.#receivers.keys(),
      onUp: () => {
        wasUp = true;
        this.#up();
      },
      onEnd: (reason, isTimeout) => this.#ended(reason, isTimeout, wasUp),
      onMessage: (channel, message) => this.#receive(channel, message),
    });
  }

  #up(): void {
    this.#failuresInARow = 0;
    this.#loggedReason = "";
    this.counters.connects++;
    this.#log.info({ redis: this.shownUrl }, "Redis is connected");
    this.#tell(this.#ups);
  }

  #ended(reason: string, isTimeout: boolean, wasUp: boolean): void {
    this.#session = undefined;
    if (this.#isClosed) return;
    if (wasUp) this.counters.losses++;
    else this.counters.failed_attempts++;
    // Once for each reason: it is tried several times a second.
    if (wasUp || reason !== this.#loggedReason) {
      this.#log.warn({ redis: this.shownUrl, reason }, wasUp ? "Redis is lost" : "Redis cannot be reached");
    }
    this.#loggedReason = reason;
    const waitMs = isTimeout ? MIN_RETRY_MS : Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** Math.min(this.#failuresInARow, 10));
    this.#failuresInARow++;
    // Up to half of it by chance, so that not all nodes come at the same moment.
    this.#retry = setTimeout(() => this.#connect(), waitMs * (1 - Math.random() / 2));
    if (wasUp) this.#tell(this.#downs);
  }

  #receive(channel: string, message: string): void {
    this.counters.messages_received++;
    this.#tell(this.#receivers.get(channel) ?? [], message);
  }

  #tell<T extends unknown[]>(listeners: readonly ((...words: T) => void)[], ...words: T): void {
    for (const listener of listeners) {
      try {
        listener(...words);
      } catch (error) {
        this.#onFault(error);
      }
    }
  }
}
