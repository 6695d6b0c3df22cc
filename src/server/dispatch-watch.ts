import type { Config } from "../config/index.ts";
import type { DispatchPort } from "../management/index.ts";
import { dispatchFigures } from "../observability/dispatch-statistics.ts";
import { dispatchProbeSettings } from "../probing/index.ts";
import type { Log } from "../proxy/index.ts";
import { targetOfUri } from "../resolution/index.ts";
import { tryParseSipUri } from "../sip/index.ts";
import type { DispatcherStateTable } from "../store/index.ts";
import type { Addresses } from "./addresses.ts";
import type { Announcer } from "./announcer.ts";
import { DispatchEvents, type EventCallbackMode } from "./dispatch-events.ts";
import { DispatchStates } from "./dispatch-states.ts";
import type { Dispatching } from "./dispatching.ts";
import type { DispatchNote } from "./handover/messages.ts";
import type { Watch, WatchPorts } from "./watch.ts";

export interface DispatchWatchPorts {
  /** What the program started with. */
  readonly config: Pick<Config, "health" | "tm">;
  readonly dispatching: Dispatching;
  readonly announcer: Pick<Announcer, "dispatcherStatus" | "dispatcherEvent">;
  readonly addresses: Pick<Addresses, "locate">;
  readonly table: DispatcherStateTable;
  readonly nowMs: () => number;
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  readonly log: Log;
}

/** What follows the states of the dispatcher's destinations: probes, events, what operators set, and the figures of all that. */
export class DispatchWatch {
  /** Who probes them; absent while it is not there yet. */
  watch: Watch | undefined;
  readonly #ports: DispatchWatchPorts;
  readonly #events: DispatchEvents;
  readonly #states: DispatchStates;
  /** `dispatcher.ping_active`; 0: nobody is probed. */
  #pingState = 1;

  constructor(ports: DispatchWatchPorts) {
    const { after, announcer, dispatching, log, table } = ports;
    const { dispatcher } = dispatching;
    this.#ports = ports;
    this.#events = new DispatchEvents({
      mode: () => (dispatching.keys?.event_callback_mode ?? 0) as EventCallbackMode,
      status: (status) => announcer.dispatcherStatus(status),
      event: (status) => announcer.dispatcherEvent(status),
      log,
    });
    this.#states = new DispatchStates({ table, dispatcher, wallMs: Date.now, after, log });
    dispatching.changeListeners.push((change) => {
      this.#events.changed(change);
      this.#states.changed(change);
    });
    dispatching.setsListeners.push(() => {
      this.#states.setsChanged(dispatcher.sets); // first: what is told of new destinations is how they are then
      this.#events.setsChanged(dispatcher.sets);
      this.watch?.setsChanged();
    });
  }

  /** Reads what operators set before the start, and then loads the sets for the first time. Rejects with a sentence. */
  async load(config: Config): Promise<void> {
    await this.#states.load();
    await this.#ports.dispatching.load(config);
  }

  /** Whether all that operators set is on the disk; false after a second. Never rejects. */
  settled(): Promise<boolean> {
    return this.#states.settled();
  }

  close(): Promise<void> {
    return this.#states.close();
  }

  /** What another process that takes over is told. */
  told(): DispatchNote {
    const states = this.#ports.dispatching.dispatcher.sets.flatMap(({ destinations }) =>
      destinations.filter(({ flags, recordFlags }) => flags !== recordFlags).map(({ key, flags }) => [key, flags] as const),
    );
    return { states, pingState: this.#pingState };
  }

  /** Takes over what the former process has told. It is no news. */
  adopt({ states, pingState }: DispatchNote): void {
    const { dispatcher } = this.#ports.dispatching;
    const told = new Map(states);
    for (const { destinations } of dispatcher.sets) {
      for (const destination of destinations) {
        const flags = told.get(destination.key);
        if (flags !== undefined) dispatcher.keepState(destination, flags);
      }
    }
    this.#pingState = pingState;
  }

  /** What is probed, and how. */
  get probed(): WatchPorts["dispatch"] {
    const { addresses, config, dispatching } = this.#ports;
    return {
      dispatcher: dispatching.dispatcher,
      mayProbe: () => this.#pingState !== 0,
      leaveFrom: (destination) => dispatching.pingSocketOf(destination)?.address,
      locate: (text) => {
        const uri = tryParseSipUri(text);
        return uri === undefined ? [] : addresses.locate(targetOfUri(uri));
      },
      settings: () => dispatching.keys && dispatchProbeSettings({ ...config, dispatcher: dispatching.keys }),
    };
  }

  /** What management reads and steers. */
  get management(): DispatchPort {
    const { dispatching, nowMs } = this.#ports;
    const self = this;
    return {
      ...dispatching.management,
      get pingState() {
        return self.#pingState;
      },
      setPingState(state) {
        self.#pingState = state;
      },
      get isMeasured() {
        return dispatching.keys?.ds_ping_latency_stats === 1;
      },
      nowMs,
    };
  }

  /** Values for the statistics. */
  get counters(): Record<string, number> {
    const { dispatching } = this.#ports;
    const { pending, counters } = this.#states;
    return {
      ...dispatching.counters,
      ...dispatchFigures(dispatching.dispatcher.sets),
      ...this.#events.counters,
      probes_unresolved: this.watch?.dispatchProber?.counters.probes_unresolved ?? 0,
      ...counters,
      states_pending: pending,
    };
  }
}
