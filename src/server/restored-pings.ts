import type { Config } from "../config/index.ts";
import { type Dialog, DialogState } from "../dialog/index.ts";
import type { Log } from "../proxy/index.ts";

/** Whoever had sent a BYE when the program ended sends it again within 4 s (RFC 3261 timer E): what ends so needs no question. */
const FIRST_MS = 5_000;
/** Calls that are asked for in a second: their callees have calls to handle. */
export const RESTORED_PINGS_PER_SECOND = 100;
const SECOND_MS = 1_000;

export interface RestoredPingsPorts {
  /** Calls that have not ended. */
  readonly dialogs: { list(): IterableIterator<Dialog> };
  /** Has the callee of a call asked, after some time, whether it has the call; false when it cannot be asked, or is asked anyway. */
  readonly verify: (dialog: Dialog, afterMs: number, ends: "if it says no") => boolean;
  readonly config: { readonly dialog: Pick<Config["dialog"], "ping_restored_calls"> };
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  readonly log: Log;
}

/**
 * A BYE that passed in the last milliseconds before a crash was not written down, and who sent one while nobody was there may have given up: such calls come
 * back with a start although they are over, of whatever age they are. So each callee is asked for its calls once, spread over time. Only what it does not
 * know ends: silence says as much as it did before the start.
 */
export class RestoredPings {
  readonly #ports: RestoredPingsPorts;
  #stopTimer: (() => void) | undefined;

  constructor(ports: RestoredPingsPorts) {
    this.#ports = ports;
  }

  /** To be called once, when calls of before the start are there and SIP is taken. */
  begin(): void {
    const { dialogs, config, after, log } = this.#ports;
    if (!config.dialog.ping_restored_calls) return;
    const calls: Dialog[] = [];
    for (const dialog of dialogs.list()) if (dialog.isRestored && dialog.state >= DialogState.ConfirmedNoAck) calls.push(dialog);
    if (calls.length === 0) return;
    log.info(
      { calls: calls.length, seconds: secondsFor(calls.length) },
      "The callees of restored calls are asked whether they still have them",
    );
    this.#stopTimer = after(FIRST_MS, () => this.#ask(calls, 0));
  }

  close(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
  }

  /** Those of the next second. */
  #ask(calls: readonly Dialog[], from: number): void {
    const until = Math.min(calls.length, from + RESTORED_PINGS_PER_SECOND);
    for (let i = from; i < until; i++) this.#ports.verify(calls[i]!, ((i - from) * SECOND_MS) / RESTORED_PINGS_PER_SECOND, "if it says no");
    this.#stopTimer = until < calls.length ? this.#ports.after(SECOND_MS, () => this.#ask(calls, until)) : undefined;
  }
}

function secondsFor(calls: number): number {
  return Math.ceil(FIRST_MS / SECOND_MS + calls / RESTORED_PINGS_PER_SECOND);
}
