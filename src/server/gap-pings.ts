import type { Balancer } from "../balancer/index.ts";
import type { Config } from "../config/index.ts";
import type { Dialog } from "../dialog/index.ts";
import type { Log } from "../proxy/index.ts";
import type { SessionGap } from "./load-audit.ts";

/** Calls that are looked through before others have their turn. */
const CALLS_PER_PART = 1_000;
/** Calls that are asked for in a second at most: a FreeSWITCH answers some thousand OPTIONS a second, and has calls to handle. */
export const GAP_PINGS_PER_SECOND = 100;
/** While a FreeSWITCH goes on to lack sessions its calls are asked for again, after this time. */
export const GAP_REPEAT_MS = 300_000;

export interface GapPingsPorts {
  readonly balancer: Pick<Balancer, "cellsOf" | "destination">;
  /** Calls that have not ended. */
  readonly dialogs: { list(): IterableIterator<Dialog> };
  /** Has the callee of a call asked, after some time, whether it has the call; false when it cannot be asked, or is asked anyway. */
  readonly verify: (dialog: Dialog, afterMs: number) => boolean;
  /** The pings are spread over `options_ping_interval`, or longer when they are many; nobody is asked without `ping_missing_sessions`. */
  readonly config: { readonly dialog: Pick<Config["dialog"], "options_ping_interval" | "ping_missing_sessions"> };
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  /** Lets others have their turn, then runs something. */
  readonly soon?: (run: () => void) => void;
  readonly log: Log;
}

/**
 * A FreeSWITCH that has had fewer sessions than we count calls there has lost some, and does not say which: it is asked for each, spread over time, also for
 * those whose route wants no pings. What it does not know ends.
 */
export class GapPings {
  readonly #ports: GapPingsPorts;
  /** Of each FreeSWITCH that lacks sessions: what takes back the next round. */
  readonly #next = new Map<string, () => void>();
  #isClosed = false;

  constructor(ports: GapPingsPorts) {
    this.#ports = ports;
  }

  /** To be told of each gap that opens or closes. */
  gapChanged(gap: SessionGap): void {
    this.#next.get(gap.url)?.();
    this.#next.delete(gap.url);
    if (gap.state === "raised" && this.#ports.config.dialog.ping_missing_sessions) this.#round(gap);
  }

  close(): void {
    this.#isClosed = true;
    for (const stop of this.#next.values()) stop();
    this.#next.clear();
  }

  #round(gap: SessionGap): void {
    this.#next.set(
      gap.url,
      this.#ports.after(GAP_REPEAT_MS, () => this.#round(gap)),
    );
    this.#collect(gap.destinations, (calls) => this.#ask(gap.url, calls));
  }

  #ask(freeswitch: string, calls: readonly Dialog[]): void {
    const { verify, log, config } = this.#ports;
    const overMs = Math.max(config.dialog.options_ping_interval * 1000, (calls.length / GAP_PINGS_PER_SECOND) * 1000);
    let [asked, i] = [0, 0];
    this.#inParts(() => {
      const dialog = calls[i++];
      if (dialog !== undefined && verify(dialog, (overMs * i) / calls.length)) asked++;
      if (i < calls.length) return true;
      log.info(
        { freeswitch, calls: calls.length, asked, seconds: Math.ceil(overMs / 1000) },
        "is asked for its calls, as it has lost some",
      );
      return false;
    });
  }

  /** Calls `step` until it answers false. Others have their turn now and then. */
  #inParts(step: () => boolean): void {
    const { soon = setImmediate } = this.#ports;
    const part = (): void => {
      if (this.#isClosed) return;
      for (let seen = 0; seen < CALLS_PER_PART; seen++) if (!step()) return;
      soon(part);
    };
    part();
  }

  /** Every call that holds something of one of these destinations. */
  #collect(destinations: readonly number[], done: (calls: readonly Dialog[]) => void): void {
    const { balancer, dialogs } = this.#ports;
    const cells = new Set(
      destinations.flatMap((id) => {
        const destination = balancer.destination(id);
        return destination === undefined ? [] : balancer.cellsOf(destination);
      }),
    );
    const list = dialogs.list();
    const found: Dialog[] = [];
    this.#inParts(() => {
      const next = list.next();
      if (next.done === true) done(found);
      else if (next.value.load.leases.some((cell) => cells.has(cell))) found.push(next.value);
      return next.done !== true;
    });
  }
}
