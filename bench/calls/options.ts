import { parseArgs } from "node:util";

/** Parts of the bench, in the order in which they run. */
export const PARTS = ["cpu", "destinations", "dialogs", "persistence", "max", "overload", "workers", "memory"] as const;
export type Part = (typeof PARTS)[number];

export interface Options {
  readonly only: readonly Part[];
  readonly rounds: number;
  /** Length of each load. */
  readonly seconds: number;
  /** Calls a second. */
  readonly rates: readonly number[];
  /** Rate of the comparisons that are made at one rate only. */
  readonly rate: number;
  readonly settleS: number;
  /** Where the search for the highest rate begins. */
  readonly start: number;
  /** Of the bench and of all that it starts, as `nice` counts it: below 0 other programs have to wait. */
  readonly priority: number;
}

export const USAGE = `Usage: npm run bench:calls -- [--only ${PARTS.join(",")}] [--rounds 3] [--seconds 10] [--rates 500,1000,2000,4000] [--rate 1000] [--settle 6] [--start 3000] [--priority=0]`;

function numberOf(name: string, text: string, min: number, max: number): number {
  const number = /^-?\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(number >= min && number <= max)) throw new Error(`Cannot use --${name} "${text}": want a whole number from ${min} to ${max}`);
  return number;
}

function partsOf(text: string): Part[] {
  const wanted = text.split(",");
  const unknown = wanted.find((name) => !(PARTS as readonly string[]).includes(name));
  if (unknown !== undefined) throw new Error(`Cannot use --only "${text}": "${unknown}" is none of ${PARTS.join(", ")}`);
  return PARTS.filter((part) => wanted.includes(part));
}

/** Reads the command line. @throws Error with a sentence that says what is wanted */
export function readOptions(args: readonly string[]): Options {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: { only: text, rounds: text, seconds: text, rates: text, rate: text, settle: text, start: text, priority: text },
  });
  return {
    only: values.only === undefined ? PARTS : partsOf(values.only),
    rounds: numberOf("rounds", values.rounds ?? "3", 1, 20),
    seconds: numberOf("seconds", values.seconds ?? "10", 1, 600),
    rates: (values.rates ?? "500,1000,2000,4000").split(",").map((rate) => numberOf("rates", rate, 1, 20_000)),
    rate: numberOf("rate", values.rate ?? "1000", 1, 20_000),
    settleS: numberOf("settle", values.settle ?? "6", 0, 120),
    priority: numberOf("priority", values.priority ?? "0", -20, 19),
    start: numberOf("start", values.start ?? "3000", 100, 20_000),
  };
}
