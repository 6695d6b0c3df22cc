import type { DestinationSet, Dispatcher } from "../dispatch/index.ts";

/** The sets of the dispatcher, as management reads and steers them. */
export interface DispatchPort extends Pick<Dispatcher, "add" | "remove" | "setState" | "setStateOfDuid" | "hash"> {
  /** The lowest id first. */
  readonly sets: readonly DestinationSet[];
  set(id: number): DestinationSet | undefined;
  /** Reads the sets again from where they are written. Rejects with a sentence when it cannot; the sets in use then stay. */
  reload(): Promise<void>;
  /** 0: nobody is probed. */
  readonly pingState: number;
  setPingState(state: number): void;
  /** Answers to probes are measured. */
  readonly isMeasured: boolean;
  /** Clock of overload reports, ms. */
  nowMs(): number;
}
