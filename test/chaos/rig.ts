import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import type { LinkQuality } from "../support/chaos-link.ts";
import { type Headroom, type Row, startHeadroom } from "../support/headroom.ts";
import { seededRandom } from "../support/random.ts";
import { CallBook } from "./call-book.ts";
import { type CallPlan, callIdOf, callPlan, numberOf, type PlanBounds } from "./call-plan.ts";
import { ChaosCaller } from "./caller.ts";
import type { CountedCall, Loads } from "./comparison.ts";
import { ChaosDestination } from "./destination.ts";
import { GIVE_UP_MS } from "./party.ts";

const CLOCK_SHIFT = pathToFileURL(join(import.meta.dirname, "clock-shift.ts")).href;
const DESTINATIONS = 3;
const CALLERS = 3;
/** How long an answer is waited for, s: a request that is lost twice still gets there. */
export const FR_TIMEOUT_S = 3;
/** Calls of one page of `dlg_list`. */
const PAGE = 2_000;
/** Starts that fail, one after the other, as those of a service that is started again and again. */
const MAX_STARTS = 20;
const BETWEEN_STARTS_MS = 250;

export interface RigOptions {
  readonly seed: number;
  /** First three numbers of loopback addresses that nobody else uses, such as `127.0.81`. */
  readonly net: string;
  /** What calls are like. */
  readonly bounds: PlanBounds;
  /** From one ping of a party to the next, s. */
  readonly pingIntervalS: number;
  /** How long a call may ring, s. */
  readonly ringingS: number;
  /** See `PartyOptions`. */
  readonly giveUpMs?: number;
  /** Further rows of the table. */
  readonly rows?: readonly Row[];
}

/** A SIGKILL of the balancer and the start after it, on the clock of `performance.now()`. */
export interface Kill {
  readonly atMs: number;
  upMs: number;
  /** Starts that failed. */
  failedStarts: number;
}

/** A balancer in a process of its own, the destinations and the callers that it has, and what they know. */
export class ChaosRig {
  readonly headroom: Headroom;
  readonly book: CallBook;
  readonly destinations: readonly ChaosDestination[];
  readonly callers: readonly ChaosCaller[];
  readonly kills: Kill[] = [];
  readonly #options: RigOptions;
  readonly #run: string;
  readonly #clockFile: string;
  #made = 0;
  #isCalling = false;

  private constructor(
    options: RigOptions,
    parts: Pick<ChaosRig, "headroom" | "book" | "destinations"> & { run: string; clockFile: string },
  ) {
    this.#options = options;
    this.headroom = parts.headroom;
    this.book = parts.book;
    this.destinations = parts.destinations;
    this.#run = parts.run;
    this.#clockFile = parts.clockFile;
    const { net, seed, giveUpMs = GIVE_UP_MS } = options;
    this.callers = Array.from({ length: CALLERS }, (_, i) => {
      return new ChaosCaller(`caller${i + 1}`, {
        address: `${net}.${21 + i}`,
        seed: seed + 100 + i,
        giveUpMs,
        balancer: parts.headroom,
        book: parts.book,
      });
    });
  }

  static async open(options: RigOptions): Promise<ChaosRig> {
    const { net, seed, bounds, pingIntervalS, ringingS, giveUpMs = GIVE_UP_MS, rows = [] } = options;
    const book = new CallBook();
    const planOf = (callId: string): CallPlan | undefined => {
      const number = numberOf(callId);
      return number === undefined ? undefined : callPlan(seed, number, bounds);
    };
    const destinations = Array.from({ length: DESTINATIONS }, (_, residue) => {
      return new ChaosDestination(`destination${residue + 1}`, {
        address: `${net}.${11 + residue}`,
        seed: seed + residue,
        giveUpMs,
        residue,
        book,
        planOf,
      });
    });
    await Promise.all(destinations.map((destination) => destination.open()));
    const table: Row[] = destinations.map(({ uri }) => ({ uri, resources: "pstn=100000;transcoding=100000" }));
    const run = `r${seed}`;
    const clockFile = join(tmpdir(), `headroom-chaos-clock-${process.pid}-${seed}`);
    writeFileSync(clockFile, "0");
    const headroom = await startHeadroom(configText(pingIntervalS, ringingS), [...table, ...rows], `${net}.1`, [
      "--import",
      `${CLOCK_SHIFT}?file=${encodeURIComponent(clockFile)}`,
    ]);
    const rig = new ChaosRig(options, { headroom, book, destinations, run, clockFile });
    await Promise.all(rig.callers.map((caller) => caller.open()));
    return rig;
  }

  get parties(): readonly (ChaosDestination | ChaosCaller)[] {
    return [...this.destinations, ...this.callers];
  }

  /** Calls that were made, or would have been, had their callers lived. */
  get made(): number {
    return this.#made;
  }

  planOf(callId: string): CallPlan {
    return callPlan(this.#options.seed, numberOf(callId) ?? 0, this.#options.bounds);
  }

  /** Makes calls at a steady rate, each by the next caller, until {@link stopCalling}. */
  async makeCalls(perSecond: number): Promise<void> {
    this.#isCalling = true;
    const random = seededRandom(this.#options.seed ^ 0x5bd1e995);
    const beganMs = performance.now();
    for (let due = 0; this.#isCalling; due++) {
      await sleep(Math.max(0, beganMs + (due * 1000) / perSecond - performance.now()));
      const caller = this.callers[Math.floor(random() * this.callers.length)]!;
      const plan = callPlan(this.#options.seed, this.#made++, this.#options.bounds);
      if (this.#isCalling && !caller.out.isHeld) caller.call(plan, callIdOf(plan, this.#run));
    }
  }

  stopCalling(): void {
    this.#isCalling = false;
  }

  /** Nobody says anything until {@link release}; what comes is still taken. */
  hold(): void {
    for (const party of this.parties) party.out.hold();
  }

  release(): void {
    for (const party of this.parties) party.out.release();
  }

  setQuality(quality: LinkQuality): void {
    for (const party of this.parties) party.in.quality = party.out.quality = quality;
  }

  async kill(): Promise<Kill> {
    const kill: Kill = { atMs: performance.now(), upMs: Number.POSITIVE_INFINITY, failedStarts: 0 };
    this.kills.push(kill);
    await this.headroom.kill();
    return kill;
  }

  /** Starts the balancer after a kill, again and again when it cannot start. */
  async start(kill: Kill): Promise<void> {
    for (;;) {
      try {
        await this.headroom.restart("SIGKILL");
        kill.upMs = performance.now();
        return;
      } catch (error) {
        if (++kill.failedStarts >= MAX_STARTS) throw error;
        await sleep(BETWEEN_STARTS_MS);
      }
    }
  }

  /** Sets the wall clock of the balancer to so many milliseconds from the right time. */
  shiftClock(ms: number): void {
    writeFileSync(this.#clockFile, String(ms));
    this.headroom.signal("SIGUSR1");
  }

  /** Loads of the destinations by their names. */
  async loads(): Promise<Loads> {
    const listed = await this.headroom.list();
    return new Map(
      this.destinations.map(({ name, uri }) => {
        const found = listed.find((destination) => destination.uri === uri);
        return [name, Object.fromEntries(found?.Resources.map((resource) => [resource.name, resource.load]) ?? [])];
      }),
    );
  }

  /** The calls of our callers that the balancer has. */
  async counted(): Promise<CountedCall[]> {
    const names = new Map(this.destinations.map(({ sentBy, name }) => [sentBy, name]));
    const counted: CountedCall[] = [];
    for (let index = 0; ; index += PAGE) {
      const page = (await this.headroom.mi("dlg_list", { index, counter: PAGE })) as DialogPage;
      for (const { callid, CALLEES } of page.Dialogs) {
        if (numberOf(callid) === undefined || !callid.endsWith(this.#run)) continue;
        const contact = CALLEES[0]?.callee_contact ?? "";
        counted.push({ callId: callid, destination: names.get(contact.slice(contact.indexOf("@") + 1)) });
      }
      if (page.Dialogs.length < PAGE) return counted;
    }
  }

  async statistic(name: string): Promise<number> {
    return ((await this.headroom.mi("get_statistics", [[name]])) as Record<string, number>)[name] ?? Number.NaN;
  }

  async close(): Promise<void> {
    this.stopCalling();
    for (const party of this.parties) party.die();
    rmSync(this.#clockFile, { force: true });
    const logFile = process.env["CHAOS_LOG"];
    if (logFile !== undefined) writeFileSync(logFile, this.headroom.log());
    await this.headroom.stop();
  }
}

interface DialogPage {
  readonly Dialogs: readonly { readonly callid: string; readonly CALLEES: readonly { readonly callee_contact: string }[] }[];
}

function configText(pingIntervalS: number, ringingS: number): string {
  const rule = `failover_on: ["408", "5xx", timeout, transport], disable_on: [], dialog_flags: "options-ping-caller, options-ping-callee"`;
  return `
tm: { fr_timeout: ${FR_TIMEOUT_S}, fr_inv_timeout: ${ringingS} }
dialog: { options_ping_interval: ${pingIntervalS}, audit_interval: 5, ping_outage_timeout: 4 }
overload: { max_lag: 0, max_utilization: 0, reqs_density_per_unit: 0 }
routing:
  rules:
    - { match: { ruri_user: "^both$" }, group: 1, resources: "pstn;transcoding", ${rule} }
    - { match: { ruri_user: "^service$" }, group: 2, resources: pstn, ${rule} }
    - { group: 1, resources: pstn, ${rule} }
`;
}
