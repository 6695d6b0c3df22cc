import { type Destination, type DestinationSet, isOpen, printFlags, type StateCause, type StateChange } from "../dispatch/index.ts";
import type { Log } from "../proxy/index.ts";

/** What is told of a destination that began to get requests, or does so no more. */
export interface DispatcherStatus {
  readonly destination: Destination;
  readonly isOpen: boolean;
  /** Its two letters in `dispatcher.list`. */
  readonly flags: string;
  /** `load`: it is so since it was first loaded. */
  readonly cause: StateCause | "load";
}

/** `event_callback_mode`: events of probes and scripts; of probes alone; of probes, scripts, and what records say. */
export type EventCallbackMode = 0 | 1 | 2;

const TOLD: Readonly<Record<EventCallbackMode, ReadonlySet<DispatcherStatus["cause"]>>> = {
  0: new Set(["probe", "script"]),
  1: new Set(["probe"]),
  2: new Set(["probe", "script", "reload", "load"]),
};

/** Who is told of changes of the dispatcher's destinations. */
export interface DispatchEventsPorts {
  readonly mode: () => EventCallbackMode;
  /** OpenSIPS's event: every change that lets requests in or keeps them out. */
  status(status: DispatcherStatus): void;
  /** `dispatcher:dst-down` and `dispatcher:dst-up`: those of the mode. Never what an operator has done, as in Kamailio. */
  event(status: DispatcherStatus): void;
  readonly log: Log;
}

/** Tells of destinations of sets that go down and come up, on the log and as events. */
export class DispatchEvents {
  readonly counters = { dst_down: 0, dst_up: 0 };
  readonly #ports: DispatchEventsPorts;
  /** Those of which it was told how they were loaded. */
  #known: ReadonlySet<Destination> = new Set();

  constructor(ports: DispatchEventsPorts) {
    this.#ports = ports;
  }

  /** To be told of each change of flags. */
  changed({ destination, before, after, event, cause }: StateChange): void {
    const { log } = this.#ports;
    const { setId, uri } = destination;
    const flags = printFlags(after);
    const fields = { set: setId, uri, flags, cause };
    const name = `dispatcher destination <${uri}> of set ${setId}`;
    if (event === undefined) {
      if (printFlags(before) !== flags) log.info(fields, `${name} is ${flags}, was ${printFlags(before)} (${cause})`);
      return;
    }
    const isUp = event === "dst-up";
    this.counters[isUp ? "dst_up" : "dst_down"]++;
    log[isUp || cause === "operator" ? "info" : "warn"](fields, `${name} is ${isUp ? "up" : "down"}: ${flags} (${cause})`);
    this.#tell({ destination, isOpen: isUp, flags, cause });
  }

  /**
   * To be told of each load of the sets: destinations that are new are as their records say. With mode 2 that is told of all of them; Kamailio's mode 2
   * leaves out those that are disabled (K#4906).
   */
  setsChanged(sets: readonly DestinationSet[]): void {
    const before = this.#known;
    const current = sets.flatMap(({ destinations }) => destinations);
    this.#known = new Set(current);
    if (!TOLD[this.#ports.mode()].has("load")) return;
    for (const destination of current) {
      if (before.has(destination)) continue;
      const { flags } = destination;
      this.#ports.event({ destination, isOpen: isOpen(flags), flags: printFlags(flags), cause: "load" });
    }
  }

  #tell(status: DispatcherStatus): void {
    this.#ports.status(status);
    if (TOLD[this.#ports.mode()].has(status.cause)) this.#ports.event(status);
  }
}
