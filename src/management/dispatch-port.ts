import type { Dispatcher, WrittenRecord } from "../dispatch/index.ts";

/** Kamailio's dispatcher, as management reads and steers it. */
export interface DispatchPort {
  /** To read, and to set states. Sets are changed by what follows. */
  readonly dispatcher: Pick<Dispatcher, "sets" | "set" | "setState" | "setStateOfDuid" | "hash">;
  /** Reads list file and table again. Rejects with a sentence when they cannot be used; what is in use then stays. */
  reload(): Promise<void>;
  /** Adds a destination until the next reload. Answers sentences about what is wrong; none: it was added. */
  add(record: WrittenRecord): readonly string[];
  /** Takes the destinations of a URI out of a set until the next reload, and answers how many there were. */
  remove(setId: number, uri: string): number;
  /** 0: nobody is probed. */
  readonly pingState: number;
  setPingState(state: number): void;
  /** Answers to probes are measured. */
  readonly isMeasured: boolean;
  /** Clock of overload reports, ms. */
  nowMs(): number;
}
