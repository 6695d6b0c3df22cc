import type { ServerResponse } from "node:http";
import { Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { KEEP_ALIVE_TIMEOUT_MS } from "../../management/limits.ts";

/**
 * How long a connection on which nothing is asked is kept after the last answer that did not end it, ms: clients were told that they have
 * {@link KEEP_ALIVE_TIMEOUT_MS}, and Node.js gives them a second more for the way.
 */
const IDLE_MS = KEEP_ALIVE_TIMEOUT_MS + 1_500;
/** How often it is looked whether somebody still wants something, ms. */
const POLL_MS = 50;

/** The management interface of a process that is about to be relieved: no request is lost with it, neither on a new connection nor on one that was kept. */
export class LeavingManagement {
  readonly #server: Server | undefined;
  readonly #isAlone: () => boolean;
  /** Answers under way. */
  #answers = 0;
  #hasLeft = false;
  #isEmpty = false;
  /** When it has left, on the clock of `performance.now()`. */
  #leftAtMs = 0;

  /**
   * @param server undefined: there is none
   * @param isAlone whether no other process has anything under way for those who ask here
   */
  constructor(server: Server | undefined, isAlone: () => boolean) {
    this.#server = server;
    this.#isAlone = isAlone;
    // Whoever asks before the end opens another connection for what comes next, and that is the other process's by then.
    server?.prependListener("request", this.#asked);
  }

  /** Goes on as before. */
  stay(): void {
    this.#server?.off("request", this.#asked);
  }

  /** Accepts no more. The close of a server of HTTP would end connections on which the next request may be under way: those are left open. */
  leave(): void {
    if (this.#server === undefined || this.#hasLeft) return;
    this.#hasLeft = true;
    this.#leftAtMs = performance.now();
    this.#server.once("close", () => {
      this.#isEmpty = true;
    });
    Server.prototype.close.call(this.#server);
  }

  /** Resolves when everybody was answered and no connection is left on which somebody may ask; or when the time is over. */
  async untilEmpty(timeoutMs: number): Promise<void> {
    const untilMs = performance.now() + timeoutMs;
    do await sleep(POLL_MS);
    while (this.#isWanted && performance.now() < untilMs);
  }

  get #isWanted(): boolean {
    if (this.#answers > 0 || !this.#isAlone()) return true;
    return this.#hasLeft && !this.#isEmpty && performance.now() < this.#leftAtMs + IDLE_MS;
  }

  readonly #asked = (_request: unknown, response: ServerResponse): void => {
    response.shouldKeepAlive = false;
    this.#answers++;
    response.once("close", () => this.#answers--);
  };
}
