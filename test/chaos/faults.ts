import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";
import type { ChaosRig } from "./rig.ts";
import type { Fault } from "./schedule.ts";
import type { SippPair } from "./sipp-pair.ts";

/** Longest wait of the keeper between two attempts to write (`LAST_RETRY_MS`), and some time for the write. */
const RETRY_MS = 2_000;

/** A time in which calls may not have been written down, on the clock of `performance.now()`. */
export interface BlindTime {
  readonly fromMs: number;
  toMs: number;
}

/** Makes things go wrong, and right again. What concerns the process of the balancer is done one after the other. */
export class Faults {
  /** When the disk was full. */
  readonly blind: BlindTime[] = [];
  readonly #rig: ChaosRig;
  readonly #sipp: SippPair | undefined;
  readonly #running = new Set<Promise<void>>();
  #turn: Promise<void> = Promise.resolve();
  #isFull = false;
  #isOver = false;

  constructor(rig: ChaosRig, sipp: SippPair | undefined) {
    this.#rig = rig;
    this.#sipp = sipp;
  }

  /** Begins a fault; it ends by itself. */
  begin(fault: Fault): void {
    const doing = this.#do(fault).catch((error: unknown) => {
      throw new Error(`Cannot do "${fault.kind}": ${String(error)}`, { cause: error });
    });
    this.#running.add(doing);
    doing.finally(() => this.#running.delete(doing)).catch(() => {});
  }

  /** Waits until everything that went wrong is right again. @throws Error when something could not be done */
  async end(): Promise<void> {
    this.#isOver = true;
    while (this.#running.size > 0) await Promise.all(this.#running);
    const rig = this.#rig;
    for (const party of rig.parties) if (!party.isAlive) await party.open();
    rig.setQuality({ loss: 0, duplication: 0, reordering: 0, delayMs: 0 });
    rig.shiftClock(0);
  }

  async #do(fault: Fault): Promise<void> {
    const rig = this.#rig;
    switch (fault.kind) {
      case "kill balancer":
        return this.#inTurn(async () => {
          this.#seesAgain(0);
          const kill = await rig.kill();
          await sleep(fault.downMs);
          await rig.start(kill);
        });
      case "kill destination":
        return this.#killParty(rig.destinations[fault.number], fault.downMs);
      case "kill caller":
        return this.#killParty(rig.callers[fault.number], fault.downMs);
      case "kill sipp":
        return this.#killSipp(fault.side);
      case "network": {
        const party = rig.parties[fault.number];
        if (party !== undefined && !this.#isOver) party.in.quality = party.out.quality = fault.quality;
        return;
      }
      case "disk full":
        await this.#inTurn(async () => this.#fill());
        await sleep(fault.forMs);
        return this.#inTurn(async () => this.#empty());
      case "database locked":
        return this.#lock(fault.forMs);
      case "clock":
        return this.#inTurn(async () => rig.shiftClock(fault.shiftMs));
      case "reload":
        return this.#inTurn(async () => {
          await rig.headroom.mi("lb_reload").catch(() => {}); // the database may be locked: then everything stays as it is
        });
    }
  }

  #inTurn(act: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(act);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #killParty(party: { isAlive: boolean; die(): void; open(): Promise<void> } | undefined, downMs: number): Promise<void> {
    if (party === undefined || !party.isAlive) return;
    party.die();
    await sleep(downMs);
    await party.open();
  }

  async #killSipp(side: "caller" | "callee"): Promise<void> {
    const sipp = this.#sipp;
    if (sipp === undefined) return;
    if (side === "caller") {
      await sipp.killCaller();
      if (!this.#isOver) await sipp.startCaller();
    } else {
      await sipp.killCallee();
      await sipp.startCallee();
    }
  }

  /** No file of the balancer can be written beyond its first byte: what it writes fails as on a full disk. */
  #fill(): void {
    this.#limit("1");
    this.#isFull = true;
    this.blind.push({ fromMs: performance.now(), toMs: Number.POSITIVE_INFINITY });
  }

  #empty(): void {
    if (!this.#isFull) return; // a kill has ended it
    this.#limit("unlimited");
    this.#seesAgain(RETRY_MS);
  }

  #seesAgain(afterMs: number): void {
    this.#isFull = false;
    const last = this.blind.at(-1);
    if (last !== undefined) last.toMs = Math.min(last.toMs, performance.now() + afterMs);
  }

  #limit(bytes: string): void {
    execFileSync("prlimit", ["--pid", String(this.#rig.headroom.pid), `--fsize=${bytes}:`]);
  }

  /** Another program writes into the database of the destinations, and takes its time. */
  async #lock(forMs: number): Promise<void> {
    const database = new Database(join(this.#rig.headroom.folder, "headroom.db"), { timeout: 5_000 });
    try {
      database.exec("BEGIN EXCLUSIVE");
      await sleep(forMs);
      database.exec("COMMIT");
    } finally {
      database.close();
    }
  }
}
