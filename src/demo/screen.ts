import type { CallCounts } from "./callers.ts";

/** One media server as the balancer sees it. */
export interface Bar {
  readonly name: string;
  readonly max: number;
  readonly load: number;
  /** Its process answers. */
  readonly running: boolean;
  /** The balancer sends calls to it. */
  readonly enabled: boolean;
  /** What else there is to say of it. */
  readonly note?: string;
}

/** Everything that is on the screen at one moment. */
export interface Frame {
  readonly elapsedMs: number;
  readonly totalMs: number;
  /** All chapters of the story, and the index of the one that is on. */
  readonly chapters: readonly string[];
  readonly chapter: number;
  readonly bars: readonly Bar[];
  readonly counts: CallCounts;
}

/** Where the frames go: a terminal, or anything else that takes text. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

const DEFAULT_COLUMNS = 80;
const MAX_BAR_CELLS = 60;
const ESCAPE = "\u001b[";
const STYLES = { bold: "1", dim: "2", red: "31", green: "32" } as const;

interface Line {
  readonly text: string;
  readonly style?: keyof typeof STYLES;
}

function seconds(ms: number): string {
  return `${Math.floor(ms / 1000)} s`;
}

function countsLine({ placed, up, ended, failedOver, refused, failed }: CallCounts): string {
  return `calls: ${placed} placed, ${up} up, ${ended} ended, ${failedOver} by failover, ${refused} refused with 503, ${failed} failed`;
}

function barLine({ name, max, load, running, enabled, note }: Bar, cellsPerCall: number): Line {
  const cells = Math.max(1, Math.round(max * cellsPerCall));
  const full = Math.min(cells, Math.round(load * cellsPerCall));
  const bar = "█".repeat(full) + "░".repeat(cells - full);
  const numbers = `${String(load).padStart(4)} of ${String(max).padEnd(4)}`;
  if (!running) return { text: `  ${name} ${numbers} ${bar} dead${enabled ? "" : ", disabled"}`, style: "red" };
  if (!enabled) return { text: `  ${name} ${numbers} ${bar} disabled`, style: "red" };
  const free = load >= max ? "full" : `${max - load} free`;
  return { text: `  ${name} ${numbers} ${bar} ${free}${note === undefined ? "" : `, ${note}`}`, style: "green" };
}

/** The frame as lines for a terminal of so many columns, without styles: each line fits. */
export function drawFrame(frame: Frame, columns: number): Line[] {
  const { elapsedMs, totalMs, chapters, chapter, bars, counts } = frame;
  const largest = Math.max(1, ...bars.map(({ max }) => max));
  const cells = Math.max(1, Math.min(MAX_BAR_CELLS, columns - 40)); // what name, numbers and state leave
  const lines: Line[] = [
    { text: `Headroom demo: every call goes to the largest free slot   ${seconds(elapsedMs)} of ${seconds(totalMs)}`, style: "bold" },
    { text: "" },
    ...chapters.map((text, index): Line => {
      if (index === chapter) return { text: `▶ ${text}`, style: "bold" };
      return { text: `${index < chapter ? "✓" : " "} ${text}`, style: "dim" };
    }),
    { text: "" },
    ...bars.map((bar) => barLine(bar, Math.min(1, cells / largest))),
    { text: "" },
    { text: countsLine(counts) },
  ];
  return lines.map(({ text, ...style }) => ({ text: text.slice(0, columns), ...style }));
}

/** The frame as one line, for a log file or a pipe. */
export function plainLine({ elapsedMs, bars, counts }: Frame): string {
  const servers = bars.map(({ name, load, max, running, enabled, note }) => {
    const state = running ? (enabled ? "" : " disabled") : enabled ? " dead" : " dead, disabled";
    return `${name} ${load}/${max}${state}${note === undefined ? "" : ` ${note}`}`;
  });
  return `${seconds(elapsedMs).padStart(5)} | ${servers.join(" | ")} | ${countsLine(counts)}`;
}

/** Shows frames: drawn over each other on a terminal, else one line a second and each chapter once. */
export class Screen {
  readonly #output: Output;
  readonly #live: boolean;
  readonly #colours: boolean;
  #drawnLines = 0;
  #plainSecond = -1;
  #plainChapter = -1;

  constructor(output: Output) {
    this.#output = output;
    this.#live = output.isTTY === true && process.env["TERM"] !== "dumb";
    this.#colours = this.#live && !process.env["NO_COLOR"];
    if (this.#live) output.write(`${ESCAPE}?25l`); // hide the cursor
  }

  show(frame: Frame): void {
    if (this.#live) this.#draw(frame);
    else this.#print(frame);
  }

  /** A line below the frames. */
  say(text: string): void {
    this.#output.write(`${text}\n`);
    this.#drawnLines = 0;
  }

  /** Gives the terminal back as it was. */
  close(): void {
    if (this.#live) this.#output.write(`${ESCAPE}?25h`);
  }

  #draw(frame: Frame): void {
    const lines = drawFrame(frame, this.#output.columns ?? DEFAULT_COLUMNS);
    const fitting = lines.slice(0, Math.max(1, (this.#output.rows ?? lines.length + 1) - 1)); // a taller frame would scroll with every drawing
    const text = fitting.map(({ text, style }) => {
      const shown = style !== undefined && this.#colours ? `${ESCAPE}${STYLES[style]}m${text}${ESCAPE}0m` : text;
      return `${shown}${ESCAPE}K\n`;
    });
    const back = this.#drawnLines > 0 ? `${ESCAPE}${this.#drawnLines}A` : "";
    this.#output.write(`${back}\r${text.join("")}${ESCAPE}J`);
    this.#drawnLines = fitting.length;
  }

  #print(frame: Frame): void {
    if (frame.chapter !== this.#plainChapter) this.#output.write(`${frame.chapters[frame.chapter]}\n`);
    this.#plainChapter = frame.chapter;
    const second = Math.floor(frame.elapsedMs / 1000);
    if (second === this.#plainSecond) return;
    this.#plainSecond = second;
    this.#output.write(`${plainLine(frame)}\n`);
  }
}
