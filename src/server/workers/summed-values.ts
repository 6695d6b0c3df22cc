import { isCurrentValue } from "../../management/index.ts";
import type { Values } from "./messages.ts";

/** What the main thread knows better: tables and their loads are one for all. */
const OF_MAIN: ReadonlySet<string> = new Set([
  "core timestamp",
  ...["destinations", "destinations_enabled", "reloads", "resized", "faults"].map((name) => `load_balancer ${name}`),
]);
/** The main thread knows calls by what the threads tell of them, and would count each again. */
const OF_THREADS = "dialog";

/** The statistics of all threads. */
export class SummedValues {
  /** By thread, as it told them last. */
  readonly #told: (Values | undefined)[] = [];
  /** Counters of threads that have died: those who watch a counter expect it never to fall. */
  readonly #gone = new Map<string, number>();

  told(thread: number, values: Values): void {
    this.#told[thread] = values;
  }

  died(thread: number): void {
    for (const [group, name, value] of entriesOf(this.#told[thread] ?? {})) {
      const key = `${group} ${name}`;
      if (!isCurrentValue(group, name)) this.#gone.set(key, (this.#gone.get(key) ?? 0) + value);
    }
    this.#told[thread] = undefined;
  }

  /** Adds them to those of the main thread. */
  add(values: Values): void {
    for (const told of this.#told) for (const name of Object.keys(told?.[OF_THREADS] ?? {})) values[OF_THREADS]![name] = 0;
    for (const told of this.#told) for (const [group, name, value] of entriesOf(told ?? {})) addTo(values, group, name, value);
    for (const [key, value] of this.#gone) {
      const at = key.indexOf(" ");
      addTo(values, key.slice(0, at), key.slice(at + 1), value);
    }
  }
}

function addTo(values: Values, group: string, name: string, value: number): void {
  if (OF_MAIN.has(`${group} ${name}`)) return;
  values[group] ??= {};
  const named = values[group];
  named[name] = (named[name] ?? 0) + value;
}

function* entriesOf(values: Values): IterableIterator<[group: string, name: string, value: number]> {
  for (const [group, named] of Object.entries(values)) for (const [name, value] of Object.entries(named)) yield [group, name, value];
}
