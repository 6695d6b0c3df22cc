import type { Destination } from "../balancer/index.ts";
import { frame, LongFrame } from "./frame.ts";
import type { FeedClock, RowSources, TotalSources } from "./ports.ts";
import { RowFigures, rowText } from "./row-figures.ts";
import { GroupTotals, Totals } from "./totals.ts";

/** Time between two looks, ms. */
export const SAMPLE_MS = 1_000;
/** Time between two looks when somebody new does not want to wait, ms. */
const SHORTEST_DISTANCE_MS = 100;
/** Longest time that a part of a look takes, ms, give or take {@link ROWS_A_CHECK} rows. */
const PART_MS = 1;
const ROWS_A_CHECK = 16;

/** What a look has found, as messages. `undefined`: there is nothing of it to tell. */
export interface Sample {
  /** The table, when it is not as before. */
  readonly table: readonly Buffer[] | undefined;
  /** What has changed. */
  readonly figures: readonly Buffer[] | undefined;
  /** Table and figures of all destinations, when they were wanted. */
  readonly all: readonly Buffer[] | undefined;
  readonly totals: Buffer;
}

export interface SamplerPorts {
  readonly rows: RowSources;
  readonly totals: TotalSources;
  readonly clock: FeedClock;
  /** Whether somebody needs everything; asked when a look begins. */
  readonly isAllWanted: () => boolean;
  readonly onSample: (sample: Sample) => void;
  /** Is told of what kept it from looking; the next look is taken all the same. */
  readonly onFault: (error: unknown) => void;
}

interface Row {
  readonly figures: RowFigures;
  /** What the table says of it. */
  readonly text: string;
}

/** A look that is under way. */
interface Look {
  readonly destinations: readonly Destination[];
  next: number;
  readonly before: readonly Row[];
  readonly rows: Row[];
  readonly at: number;
  readonly changed: LongFrame;
  readonly all: { readonly table: LongFrame; readonly figures: LongFrame } | undefined;
  /** The table has other rows than before, or one of them says something else. */
  isNewTable: boolean;
  readonly groups: GroupTotals;
}

/**
 * Looks at all destinations once a second, in parts of a millisecond, for all readers together; only what has changed is made into a text. Nothing is looked at,
 * and nothing kept, while nobody reads.
 */
export class Sampler {
  readonly #ports: SamplerPorts;
  readonly #totals: Totals;
  #rows: readonly Row[] = [];
  #look: Look | undefined;
  #stopTimer: (() => void) | undefined;
  #endedAtMs = Number.NEGATIVE_INFINITY;

  constructor(ports: SamplerPorts) {
    this.#ports = ports;
    this.#totals = new Totals(ports.rows.balancer, ports.totals);
  }

  /** Begins with a look at once. */
  start(): void {
    const { clock } = this.#ports;
    this.#totals.begin(clock.nowMs());
    this.#stopTimer = clock.every(SAMPLE_MS, () => this.#begin());
    this.#begin();
  }

  /** Somebody new is there and need not wait for the next second. */
  hurry(): void {
    if (this.#look === undefined && this.#ports.clock.nowMs() - this.#endedAtMs >= SHORTEST_DISTANCE_MS) this.#begin();
  }

  stop(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#look = undefined;
    this.#rows = [];
    this.#totals.forget();
  }

  #begin(): void {
    if (this.#look !== undefined) return; // the last one has not ended: the machine has no time
    const { clock, rows, isAllWanted } = this.#ports;
    const destinations = rows.balancer.destinations();
    const at = clock.wallMs();
    const head = `{"at":${at},"rows":[`;
    const look: Look = {
      ...{ destinations, at, next: 0, before: this.#rows, rows: [] },
      changed: new LongFrame("figures", head),
      all: isAllWanted() ? { table: tableFrame(), figures: new LongFrame("figures", head) } : undefined,
      isNewTable: destinations.length !== this.#rows.length,
      groups: new GroupTotals(),
    };
    this.#look = look;
    this.#goOn(look);
  }

  #goOn(look: Look): void {
    this.#ports.clock.soon(() => {
      if (this.#look !== look) return; // it was stopped
      try {
        this.#part(look);
      } catch (error) {
        this.#look = undefined;
        this.#rows = []; // what has changed was told to nobody
        this.#ports.onFault(error);
      }
    });
  }

  #part(look: Look): void {
    const { clock, rows } = this.#ports;
    const { destinations } = look;
    if (rows.balancer.destinations() !== destinations) {
      // Numbers of cells may have changed hands: what was read of the old table is not used.
      this.#look = undefined;
      this.#rows = [];
      this.#begin();
      return;
    }
    const untilMs = clock.nowMs() + PART_MS;
    do {
      const end = Math.min(destinations.length, look.next + ROWS_A_CHECK);
      while (look.next < end) this.#row(look, look.next++);
    } while (look.next < destinations.length && clock.nowMs() < untilMs);
    if (look.next < destinations.length) this.#goOn(look);
    else this.#end(look);
  }

  #row(look: Look, i: number): void {
    const { rows } = this.#ports;
    const destination = look.destinations[i]!;
    let row = look.before[i];
    if (row?.figures.destination !== destination) {
      const text = rowText(destination);
      if (row?.text !== text) look.isNewTable = true;
      row = { figures: new RowFigures(destination), text };
    }
    if (row.figures.update(rows)) look.changed.add(row.figures.text);
    look.rows.push(row);
    look.groups.add(row.figures, rows.balancer);
    look.all?.table.add(row.text);
    look.all?.figures.add(row.figures.text);
  }

  #end(look: Look): void {
    const { clock, onSample } = this.#ports;
    const groups = groupsText(look.destinations);
    const nowMs = clock.nowMs();
    this.#rows = look.rows;
    this.#look = undefined;
    this.#endedAtMs = nowMs;
    const table = look.all?.table.end(groups) ?? (look.isNewTable ? wholeTable(look.rows, groups) : undefined);
    onSample({
      table: look.isNewTable ? table : undefined,
      figures: look.changed.count > 0 ? look.changed.end("]}") : undefined,
      all: look.all && [...(table ?? []), ...look.all.figures.end("]}")],
      totals: frame("totals", this.#totals.text(look.at, nowMs, look.groups)),
    });
  }
}

function tableFrame(): LongFrame {
  return new LongFrame("table", '{"destinations":[');
}

function wholeTable(rows: readonly Row[], groups: string): readonly Buffer[] {
  const table = tableFrame();
  for (const { text } of rows) table.add(text);
  return table.end(groups);
}

/** The end of the table. */
function groupsText(destinations: readonly Destination[]): string {
  const groups = [...new Set(destinations.map(({ group }) => group))].sort((a, b) => a - b);
  return `],"groups":${JSON.stringify(groups.map((id) => ({ id })))}}`;
}
