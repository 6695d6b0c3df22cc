import type { Balancer, Destination } from "../balancer/index.ts";
import {
  EslTotals,
  type Freeswitch,
  FreeswitchPool,
  type FreeswitchPorts,
  type FreeswitchSettings,
  FsUrl,
  type Situation,
  systemClock,
  type Withdrawal,
} from "../freeswitch/index.ts";
import type { OutcomePort } from "../health/index.ts";
import type { FreeswitchFigures, FreeswitchState } from "../management/index.ts";
import type { Log } from "../proxy/index.ts";
import { FedCell, type FedCells } from "./fed-cell.ts";
import { figuresOf, stateOf } from "./freeswitch-figures.ts";

export interface FreeswitchFeedsPorts extends Partial<Pick<FreeswitchPorts, "clock" | "random" | "connect">> {
  readonly settings: FreeswitchSettings;
  readonly balancer: FedCells &
    Pick<Balancer, "calls" | "cellsOf" | "destinations" | "ownLoad" | "remoteLoad" | "rowCapacity" | "setWithdrawn" | "slotCell">;
  readonly log: Log;
  /** Is told of each thing that a FreeSWITCH says, once its capacities follow it. */
  readonly heard?: (figures: FreeswitchFigures) => void;
}

/** Why a FreeSWITCH gets no new calls, with its key. */
export type FeedWithdrawal = readonly [key: string, withdrawal: Withdrawal];

/** What one FreeSWITCH feeds. */
interface Fed {
  readonly cells: FedCell[];
  readonly rows: Destination[];
  /** Own cells of each row that it feeds, in the order of {@link rows}. */
  readonly ownCells: number[][];
}

/** Brings FreeSWITCHes and the balancer together: who is connected follows from the table, and capacities from who is connected. */
export class FreeswitchFeeds {
  readonly pool: FreeswitchPool;
  readonly #totals = new EslTotals();
  readonly #ports: FreeswitchFeedsPorts;
  #fed = new Map<string, Fed>();
  #cells = new Map<number, FedCell>();
  /** By identity of the row: in the order of its resources, each once. */
  #sources = new Map<string, readonly Freeswitch[]>();
  readonly #states = new Map<Freeswitch, FreeswitchState | undefined>();
  /** Cells in which a refused call is still counted at this moment. */
  #refusedCells: readonly number[] = [];

  constructor(ports: FreeswitchFeedsPorts) {
    const { settings, log, clock = systemClock, random = Math.random, connect } = ports;
    this.#ports = ports;
    this.pool = new FreeswitchPool(settings, {
      clock,
      random,
      log,
      ownCalls: (freeswitch) => this.#ownCalls(freeswitch),
      changed: (freeswitch) => this.#changed(freeswitch),
      ...(connect && { connect }),
    });
  }

  /** To be told of a new table in the same step: connects to those who are new, lets go of those who are named no more. */
  tableChanged(): void {
    const { balancer } = this.#ports;
    const destinations = balancer.destinations();
    const urls = destinations.flatMap(({ resources }) => resources.flatMap(({ feed }) => (feed instanceof FsUrl ? [feed] : [])));
    const before = [...this.pool];
    if (urls.length === 0 && this.#sources.size === 0) return;
    const callsBefore = new Map(before.map((freeswitch) => [freeswitch.url.key, this.#ownCalls(freeswitch)]));
    this.pool.replace(urls);
    const now = new Set(this.pool);
    for (const freeswitch of before) {
      if (now.has(freeswitch)) continue;
      this.#totals.keep(freeswitch.counters);
      this.#states.delete(freeswitch);
    }
    this.#arrange(destinations);
    for (const freeswitch of now) {
      const calls = callsBefore.get(freeswitch.url.key);
      if (calls !== undefined) freeswitch.model.recounted(this.#ownCalls(freeswitch) - calls);
      this.#update(freeswitch);
    }
    for (const destination of destinations) if (!this.#sources.has(destination.key)) balancer.setWithdrawn(destination.id, false);
  }

  /** A destination got a call. */
  picked(destination: Destination): void {
    for (const freeswitch of this.#sourcesOf(destination)) freeswitch.callPlaced();
  }

  /** Calls of a destination ended, or were moved there: a capacity that follows the load is computed anew before the next call. */
  loadChanged(destination: Destination): void {
    for (const freeswitch of this.#sourcesOf(destination)) this.#update(freeswitch);
  }

  /**
   * Does something by which loads change though no call begins or ends on a FreeSWITCH: another node of the cluster becomes known with its calls, leaves
   * with them, or hands them over.
   */
  recount(change: () => void): void {
    const before = [...this.pool].map((freeswitch) => [freeswitch, this.#ownCalls(freeswitch)] as const);
    try {
      change();
    } finally {
      for (const [freeswitch, calls] of before) {
        const difference = this.#ownCalls(freeswitch) - calls;
        if (difference === 0) continue;
        freeswitch.model.recounted(difference);
        this.#update(freeswitch);
      }
    }
  }

  /**
   * A call was answered `503 Maximum Calls In Progress`, and its leases are still to be given back. False when the destination has no feed, so that the
   * answer is what it would be of any server.
   *
   * @param cells those in which the call is counted: none of a call that the distributor placed there without resources
   */
  lackOfRoom(destination: Destination, cells: readonly number[]): boolean {
    const sources = this.#sourcesOf(destination);
    this.#refusedCells = cells;
    try {
      for (const freeswitch of sources) freeswitch.refusedForLackOfRoom();
    } finally {
      this.#refusedCells = [];
    }
    return sources.length > 0;
  }

  /** The port for outcomes of calls, which knows of {@link lackOfRoom}; `judge`, if any, hears of all others. */
  outcomes(judge: OutcomePort | undefined): OutcomePort {
    return {
      begun: (destination) => judge?.begun(destination) ?? 0,
      alive: (destination, ticket) => judge?.alive(destination, ticket) ?? ticket,
      passed: (destination, ticket, wasAlive) => judge?.passed(destination, ticket, wasAlive),
      failed: (...outcome) => judge?.failed(...outcome),
      lackOfRoom: (...refused) => this.lackOfRoom(...refused),
    };
  }

  /** What there is to say of the FreeSWITCHes of a destination: the first that is not as it should be. */
  stateOf(destination: Destination): FreeswitchState | undefined {
    for (const freeswitch of this.#sourcesOf(destination)) {
      const state = stateOf(freeswitch);
      if (state !== undefined) return state;
    }
    return undefined;
  }

  /** All FreeSWITCHes, in the order in which rows name them first. */
  figures(): FreeswitchFigures[] {
    return [...this.pool].map((freeswitch) => figuresOf(freeswitch, this.#fed.get(freeswitch.url.key)?.rows ?? []));
  }

  /** For the statistics: what happened since the start, and how many FreeSWITCHes there are now. */
  get counters(): Record<string, number> {
    const all = [...this.pool];
    return {
      ...this.#totals.read(all),
      servers: all.length,
      connected: all.filter(({ isConnected }) => isConnected).length,
      stale: all.filter(({ model, situation }) => model.freshness(situation.nowMs) === "stale").length,
      withdrawn: all.filter(({ model, situation }) => model.withdrawal(situation.nowMs) !== undefined).length,
    };
  }

  /** Who takes no new calls, by key, as they have said themselves. */
  withdrawals(): FeedWithdrawal[] {
    return [...this.pool].flatMap(({ url, model, situation }) => {
      const withdrawal = model.withdrawal(situation.nowMs);
      return withdrawal === undefined || withdrawal === "stale" ? [] : [[url.key, withdrawal] as const];
    });
  }

  /** Another process was told so: it holds until they are asked here. */
  adoptWithdrawals(withdrawals: readonly FeedWithdrawal[]): void {
    const byKey = new Map(withdrawals);
    for (const freeswitch of this.pool) {
      const withdrawal = byKey.get(freeswitch.url.key);
      if (withdrawal === undefined) continue;
      freeswitch.model.adoptWithdrawal(withdrawal);
      this.#update(freeswitch);
    }
  }

  /** Closes all connections politely. */
  async stop(): Promise<void> {
    await this.pool.stop();
  }

  #sourcesOf({ key }: Destination): readonly Freeswitch[] {
    return this.#sources.get(key) ?? [];
  }

  /** Finds out anew who feeds what. */
  #arrange(destinations: readonly Destination[]): void {
    const { balancer } = this.#ports;
    const sources = new Map<string, readonly Freeswitch[]>();
    const fed = new Map<string, Fed>();
    const parts = new Map<number, { sources: Set<Freeswitch>; most: number }>();
    for (const destination of destinations) {
      const ofRow = new Map<Freeswitch, number[]>();
      for (const { cell, feed } of destination.resources) {
        const freeswitch = feed instanceof FsUrl ? this.pool.get(feed) : undefined;
        const slotCell = balancer.slotCell(cell);
        const part = parts.get(slotCell) ?? { sources: new Set(), most: Number.POSITIVE_INFINITY };
        parts.set(slotCell, part);
        if (freeswitch === undefined) {
          part.most = Math.min(part.most, balancer.rowCapacity(cell));
          continue;
        }
        part.sources.add(freeswitch);
        ofRow.set(freeswitch, [...(ofRow.get(freeswitch) ?? []), cell]);
      }
      if (ofRow.size === 0) continue;
      sources.set(destination.key, [...ofRow.keys()]);
      for (const [freeswitch, cells] of ofRow) {
        const feeds = fed.get(freeswitch.url.key) ?? { cells: [], rows: [], ownCells: [] };
        feeds.rows.push(destination);
        feeds.ownCells.push(cells);
        fed.set(freeswitch.url.key, feeds);
      }
    }
    const cells = new Map<number, FedCell>();
    for (const [cell, part] of parts) {
      if (part.sources.size === 0) continue;
      const fedCell = new FedCell(cell, [...part.sources], part.most);
      fedCell.inherit(this.#cells.get(cell));
      cells.set(cell, fedCell);
      for (const { url } of part.sources) fed.get(url.key)?.cells.push(fedCell);
    }
    this.#sources = sources;
    this.#fed = fed;
    this.#cells = cells;
  }

  /**
   * Calls that we, all nodes together, have on a FreeSWITCH: those of its rows, each once, whatever resources they use. Of a row with several FreeSWITCHes nobody knows where a
   * call is but by its resource, so there the largest load of those that this one feeds counts.
   */
  #ownCalls(freeswitch: Freeswitch): number {
    const { balancer } = this.#ports;
    const { rows, ownCells } = this.#fed.get(freeswitch.url.key) ?? { rows: [], ownCells: [] };
    const refused = this.#refusedCells;
    let calls = 0;
    for (const [i, row] of rows.entries()) {
      if (this.#sourcesOf(row).length > 1) {
        calls += Math.max(...ownCells[i]!.map((cell) => balancer.ownLoad(cell) - (refused.includes(cell) ? 1 : 0)));
      } else {
        calls += balancer.calls(row);
        if (refused.length > 0 && balancer.cellsOf(row).some((cell) => refused.includes(cell))) calls--;
      }
    }
    return Math.max(0, calls) + this.#remoteCalls(rows, ownCells);
  }

  /** Calls of other nodes, of whom only the load of each resource is known: the largest of a row, or of its pool, counts. */
  #remoteCalls(rows: readonly Destination[], ownCells: readonly (readonly number[])[]): number {
    const { balancer } = this.#ports;
    const byOwner = new Map<string, number>();
    for (const [i, row] of rows.entries()) {
      const owner = row.options.shared === undefined ? row.key : `pool ${row.options.shared}`;
      const cells = this.#sourcesOf(row).length > 1 ? ownCells[i]! : row.resources.map(({ cell }) => cell);
      for (const cell of cells) byOwner.set(owner, Math.max(byOwner.get(owner) ?? 0, balancer.remoteLoad(cell)));
    }
    let calls = 0;
    for (const remote of byOwner.values()) calls += remote;
    return calls;
  }

  #changed(freeswitch: Freeswitch): void {
    if (this.pool.get(freeswitch.url) !== freeswitch) return;
    this.#update(freeswitch);
    this.#ports.heard?.(figuresOf(freeswitch, this.#fed.get(freeswitch.url.key)?.rows ?? []));
  }

  #update(freeswitch: Freeswitch): void {
    const fed = this.#fed.get(freeswitch.url.key);
    if (fed === undefined) return;
    const { balancer } = this.#ports;
    const situation = freeswitch.situation;
    const situationOf = (source: Freeswitch): Situation => (source === freeswitch ? situation : source.situation);
    for (const cell of fed.cells) cell.update(balancer, situationOf);
    for (const { id, key } of fed.rows) {
      // A row with several FreeSWITCHes goes on as long as one of them takes calls: the capacities of the others are closed.
      const sources = this.#sources.get(key) ?? [];
      balancer.setWithdrawn(
        id,
        sources.every((source) => source.model.withdrawal(situation.nowMs) !== undefined),
      );
    }
    this.#logState(freeswitch);
  }

  /** Pauses and shutdowns are told by those who hear of them; that nothing is heard is told here. */
  #logState(freeswitch: Freeswitch): void {
    const before = this.#states.get(freeswitch);
    const state = stateOf(freeswitch);
    this.#states.set(freeswitch, state);
    if (before === state) return;
    const { log } = this.#ports;
    const fields = { freeswitch: freeswitch.url.label };
    if (state === "stale") log.warn(fields, "sends no heartbeats: its statistics are stale");
    else if (before === "stale") log.info(fields, "sends heartbeats again");
    if (state === "idle-cpu") log.info(fields, "has less idle CPU than its min-idle-cpu, and gets no new calls");
  }
}
