import type { EslCounters, EslEnd } from "./counters.ts";
import type { FsUrl } from "./fs-url.ts";
import { MAX_PENDING_COMMANDS, MAX_QUOTED_CHARS } from "./limits.ts";
import type { EslMessage } from "./message-parser.ts";

/** What is subscribed to. FreeSWITCH adds what comes second; an account may be denied it, and heartbeats are enough. */
const SUBSCRIBE_HEARTBEAT = "event json HEARTBEAT";
const SUBSCRIBE_SHUTDOWN = "event json SHUTDOWN SHUTDOWN_REQUESTED";
/** The notice that ends a connection because FreeSWITCH ends (mod_event_socket). */
const SHUTDOWN_NOTICE = /being shut down/i;

/** What a session asks of its connection. `end` is called once; nothing is called after it. */
export interface EslSessionHandlers {
  send(text: string): void;
  /** Logged in and subscribed. */
  ready(): void;
  event(message: EslMessage): void;
  /** The connection is to be closed. `quote` is what FreeSWITCH said, cut short and without the password. */
  end(reason: EslEnd, quote: string): void;
  /** FreeSWITCH says that it ends. */
  shutdown(): void;
}

/** A reply: the body of an `api/response`, or the text of a `command/reply`; undefined when none came. */
export type ReplyHandler = (reply: string | undefined) => void;

type State = "greeting" | "login" | "subscribing" | "ready" | "ended";

/**
 * What is said on one connection to an event socket: `auth/request`, login, subscription, then commands and events. FreeSWITCH answers commands one
 * after the other, so that replies belong to commands by their order. Knows no socket and no time.
 */
export class EslSession {
  readonly #url: FsUrl;
  readonly #handlers: EslSessionHandlers;
  readonly #counters: EslCounters;
  #state: State = "greeting";
  #pending: ReplyHandler[] = [];

  constructor(url: FsUrl, handlers: EslSessionHandlers, counters: EslCounters) {
    this.#url = url;
    this.#handlers = handlers;
    this.#counters = counters;
  }

  get isReady(): boolean {
    return this.#state === "ready";
  }

  /** Commands without their reply. */
  get pending(): number {
    return this.#pending.length;
  }

  receive(message: EslMessage): void {
    if (this.#state === "ended") return;
    switch (message.contentType) {
      case "auth/request":
        this.#greeted();
        return;
      case "command/reply":
        this.#replied(message.fields.get("Reply-Text") ?? "");
        return;
      case "api/response":
        this.#replied(message.body);
        return;
      case "text/event-json":
      case "text/event-plain":
        if (this.#state === "subscribing" || this.#state === "ready") this.#handlers.event(message);
        else this.#counters.ignored_frames++;
        return;
      case "text/rude-rejection":
        this.#finish("rude-rejection", message.body);
        return;
      case "text/disconnect-notice":
        if (SHUTDOWN_NOTICE.test(message.body)) this.#handlers.shutdown();
        this.#finish("disconnect-notice", message.body);
        return;
      default:
        this.#counters.ignored_frames++;
    }
  }

  /** Sends a command, such as `api status`. `reply` is called once, also when the connection ends first. @returns whether it was sent */
  request(command: string, reply: ReplyHandler): boolean {
    if (this.#state !== "ready" || this.#pending.length >= MAX_PENDING_COMMANDS) return false;
    this.#command(command, reply);
    return true;
  }

  /** The connection is no more. Whoever waits for a reply learns it. */
  closed(): void {
    this.#state = "ended";
    for (const reply of this.#pending.splice(0)) reply(undefined);
  }

  #greeted(): void {
    if (this.#state !== "greeting") {
      this.#counters.ignored_frames++;
      return;
    }
    this.#state = "login";
    this.#pending.push((reply = "") => {
      if (!reply.startsWith("+OK")) this.#finish("login-refused", reply);
      else this.#subscribe();
    });
    this.#counters.commands++;
    this.#handlers.send(this.#url.loginCommand());
  }

  #subscribe(): void {
    this.#state = "subscribing";
    this.#command(SUBSCRIBE_HEARTBEAT, (reply = "") => {
      if (!reply.startsWith("+OK")) {
        this.#finish("subscription-refused", reply);
        return;
      }
      this.#command(SUBSCRIBE_SHUTDOWN, () => {
        if (this.#state !== "subscribing") return;
        this.#state = "ready";
        this.#handlers.ready();
      });
    });
  }

  #command(command: string, reply: ReplyHandler): void {
    this.#counters.commands++;
    this.#pending.push(reply);
    this.#handlers.send(`${command}\n\n`);
  }

  #replied(text: string): void {
    const reply = this.#pending.shift();
    if (reply === undefined) this.#counters.unasked_replies++;
    else reply(text);
  }

  #finish(reason: EslEnd, said: string): void {
    if (this.#state === "ended") return;
    this.closed();
    this.#handlers.end(
      reason,
      this.#url
        .withoutPassword(said)
        .trim()
        .replace(/[^\x20-\x7e]+/g, " ")
        .slice(0, MAX_QUOTED_CHARS),
    );
  }
}
