import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";
import { type FullScreen, openFullScreen } from "./full-screen.ts";
import { DEFAULT_URL, type ExitCode, type MiOptions, type MiOutput, standardOutput, TOKEN_HELP, withToken } from "./mi.ts";
import { askAll, checkUrl, MiFailure } from "./mi-client.ts";
import { isColourful, isScreen, isUnicode, printableJson } from "./terminal.ts";
import { readTop, TOP_CALLS, type TopCounters, type TopView } from "./top-data.ts";
import { drawTop, type TopLayout, type TopSort } from "./top-view.ts";

const DEFAULT_INTERVAL_S = 1;
const MIN_INTERVAL_S = 0.2; // the balancer has calls to carry
const MAX_INTERVAL_S = 3_600;
/** A balancer that takes longer to answer is told of, and asked again. */
const ANSWER_TIMEOUT_MS = 5_000;
/** A balancer with thousands of destinations takes a while to tell of them: it is left alone for so many times as long as that took. */
const PAUSE_TIMES = 10;
/** Width where there is no terminal. */
const PLAIN_COLUMNS = 140;
/** Size of a terminal that does not say it. */
const UNKNOWN_COLUMNS = 80;
const UNKNOWN_ROWS = 24;
const SORTS: Readonly<Record<string, TopSort>> = { i: "id", s: "slots", l: "load" };
const SORT_NAMES = ["id", "slots", "load"] as const;

export interface TopOptions extends MiOptions {
  /** Seconds. */
  readonly interval: number;
  readonly once: boolean;
  readonly sort: TopSort;
}

/** `headroom top`: the destinations of a running balancer and what they carry, live. */
export function register(program: Command): void {
  program
    .command("top")
    .description("show destinations, their loads and why they get no calls, live in this terminal; q ends it")
    .option("--interval <seconds>", "time between two looks", parseInterval, DEFAULT_INTERVAL_S)
    .option("--once", "print the table once and end", false)
    .option("--sort <order>", `order of destinations: ${SORT_NAMES.join(", ")}`, parseSort, "id")
    .option("--url <url>", "address of the management interface", DEFAULT_URL)
    .option("--json", "print a line of JSON for each look (with --once: one)", false)
    .option("--token <token>", TOKEN_HELP)
    .action(async (options: TopOptions) => {
      process.exitCode = await runTop(withToken(options), standardOutput());
    });
}

/** Shows the balancer until it is told to end. Where there is no terminal tables are printed, one below the other. */
export async function runTop(options: TopOptions, output: MiOutput): Promise<ExitCode> {
  const fault = checkUrl(options.url);
  if (fault !== undefined) {
    output.error(fault);
    return 2;
  }
  const sampler = new Sampler(options);
  try {
    // Calls a second want two samples: the first look comes a moment later, and is complete.
    await sampler.take();
    await sleep(Math.min(options.interval, DEFAULT_INTERVAL_S) * 1000);
    if (!options.once && !options.json && isScreen(process.stdout)) return await showLive(options, sampler);
    return await printLooks(options, sampler, output);
  } catch (error) {
    if (!(error instanceof MiFailure)) throw error;
    output.error(`Cannot run top: ${error.message}`);
    return 1;
  }
}

async function printLooks(options: TopOptions, sampler: Sampler, output: MiOutput): Promise<ExitCode> {
  const layout = {
    columns: process.stdout.columns || PLAIN_COLUMNS,
    rows: 0,
    sort: options.sort,
    isReversed: false,
    offset: 0,
    colours: isColourful(process.stdout),
    ascii: !isUnicode(),
    keys: false,
  };
  for (let looks = 0; ; looks++) {
    const view = await sampler.take();
    if (options.json) output.out(printableJson(view));
    else output.out([...(looks > 0 ? [""] : []), ...drawTop(view, layout).lines].join("\n"));
    if (options.once) return 0;
    await sleep(sampler.pauseMs);
  }
}

async function showLive(options: TopOptions, sampler: Sampler): Promise<ExitCode> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  const state = { sort: options.sort, isReversed: false, offset: 0, fault: undefined as string | undefined, view: await sampler.take() };
  let scrollable = { bodyLines: 0, bodyRows: 1 };
  const draw = (): void => {
    // A terminal that has not been told its size says 0.
    const columns = process.stdout.columns || UNKNOWN_COLUMNS;
    const rows = process.stdout.rows || UNKNOWN_ROWS;
    const layout: TopLayout = { ...state, columns, rows, colours: isColourful(process.stdout), ascii: !isUnicode(), keys: true };
    const { lines, ...size } = drawTop(state.view, layout);
    scrollable = size;
    screen.show(lines.slice(0, rows));
  };
  const press = (key: string): void => {
    if (key === "q") end();
    const sort = SORTS[key];
    if (sort !== undefined) {
      state.isReversed = sort === state.sort && !state.isReversed;
      state.sort = sort;
    }
    state.offset = scrolled(state.offset, key, scrollable);
    if (!ended.signal.aborted) draw();
  };
  const screen: FullScreen = openFullScreen(process.stdin, process.stdout, press);
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const name of signals) process.on(name, end);
  process.stdout.on("resize", draw);
  process.stdout.on("error", end);
  try {
    while (!ended.signal.aborted) {
      draw();
      await sleep(sampler.pauseMs, undefined, { signal: ended.signal }).catch(() => undefined);
      if (ended.signal.aborted) break;
      try {
        state.view = await sampler.take(ended.signal);
        state.fault = undefined;
      } catch (error) {
        if (!(error instanceof MiFailure)) throw error;
        state.fault = `No news: ${error.message}`;
      }
    }
    return 0;
  } finally {
    screen.close();
    process.stdout.off("resize", draw);
    for (const name of signals) process.off(name, end);
  }
}

/** Lines that are scrolled away after a key. */
export function scrolled(offset: number, key: string, { bodyLines, bodyRows }: { bodyLines: number; bodyRows: number }): number {
  const last = Math.max(0, bodyLines - bodyRows);
  const from = Math.min(offset, last);
  const steps: Readonly<Record<string, number>> = { up: -1, down: 1, "page-up": -bodyRows, "page-down": bodyRows, home: -last, end: last };
  return Math.max(0, Math.min(last, from + (steps[key] ?? 0)));
}

/** Asks the balancer, and remembers what the next answer is compared with. */
class Sampler {
  readonly #options: TopOptions;
  #counters: TopCounters | undefined;
  #tookMs = 0;

  constructor(options: TopOptions) {
    this.#options = options;
  }

  /** Time until the next look. */
  get pauseMs(): number {
    return Math.max(this.#options.interval * 1000, this.#tookMs * PAUSE_TIMES);
  }

  /** @throws MiFailure when it does not answer, or refuses */
  async take(signal?: AbortSignal): Promise<TopView> {
    const beganMs = performance.now();
    const results = await askAll(TOP_CALLS, this.#options, ANSWER_TIMEOUT_MS, signal);
    this.#tookMs = performance.now() - beganMs;
    const { view, counters } = readTop(results, Date.now(), this.#counters);
    this.#counters = counters;
    return view;
  }
}

function parseInterval(text: string): number {
  const seconds = Number(text);
  if (text.trim() === "" || !(seconds >= MIN_INTERVAL_S && seconds <= MAX_INTERVAL_S)) {
    throw new InvalidArgumentError(`want a number of seconds from ${MIN_INTERVAL_S} to ${MAX_INTERVAL_S}`);
  }
  return seconds;
}

function parseSort(text: string): TopSort {
  const sort = SORT_NAMES.find((name) => name === text);
  if (sort === undefined) throw new InvalidArgumentError(`want one of ${SORT_NAMES.join(", ")}`);
  return sort;
}
