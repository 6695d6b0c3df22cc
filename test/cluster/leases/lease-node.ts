import { Balancer, CallLoad, type DestinationRow, parseResources } from "../../../src/balancer/index.ts";
import { Keys } from "../../../src/cluster/keys.ts";
import { LeaseBook } from "../../../src/cluster/leases/lease-book.ts";
import { Slots } from "../../../src/cluster/loads/slots.ts";
import type { ClusterClock, ClusterLink } from "../../../src/cluster/ports.ts";
import { Wire } from "../../../src/cluster/wire.ts";
import { admit } from "../../../src/proxy/admission.ts";
import type { FakeClock } from "../../support/fake-clock.ts";

export interface LeaseNodeOptions {
  readonly nodeId?: number;
  readonly clock: ClusterClock;
  /** Resources of the destinations of group 1, or rows. */
  readonly rows?: readonly (string | Partial<DestinationRow>)[];
  readonly redisLost?: "fail_open" | "fail_closed";
  readonly leaseMs?: number;
}

/** What became of a call. */
export type Placed = "reserved" | "full" | "closed" | "over" | "refused";

export function rowsOf(rows: readonly (string | Partial<DestinationRow>)[]): DestinationRow[] {
  return rows.map((row, i) => ({
    id: i + 1,
    group: 1,
    uri: `sip:192.0.2.${i + 1}`,
    resources: parseResources(typeof row === "string" ? row : "pstn=1"),
    probeMode: 0,
    attrs: undefined,
    description: undefined,
    addresses: [{ ip: `192.0.2.${i + 1}`, port: 5060, transport: "udp" }],
    ...(typeof row === "string" ? {} : row),
  }));
}

export function clusterClockOf(clock: FakeClock): ClusterClock {
  return { nowMs: clock.now, wallMs: clock.now, after: (ms, run) => clock.after(ms, run) };
}

export const REAL_CLOCK: ClusterClock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};

/** A node with a table, calls and exact loads, and without SIP. */
export class LeaseNode {
  readonly balancer: Balancer;
  readonly slots: Slots;
  readonly book: LeaseBook;
  readonly faults: string[] = [];
  readonly #calls = new Set<CallLoad>();
  readonly #nodeId: number;
  #serial = 0;

  constructor(link: ClusterLink, { nodeId = 1, clock, rows = ["pstn=1"], redisLost = "fail_open", leaseMs = 120_000 }: LeaseNodeOptions) {
    this.#nodeId = nodeId;
    this.balancer = new Balancer({
      below: () => 0,
      nowMs: () => clock.nowMs(),
      onFault: (text) => this.faults.push(text),
      onWatchedEnd: (call, cell) => this.book.ended(call, cell),
      onWatchedForced: (call, cell) => this.book.forced(call, cell),
    });
    this.balancer.replaceTable(rowsOf(rows));
    this.slots = new Slots(this.balancer, "exact");
    const self = { nodeId, incarnation: `i${nodeId}` };
    const log = { debug() {}, info() {}, warn() {}, error() {} };
    const { balancer, slots } = this;
    const calls = () => this.#calls;
    this.book = new LeaseBook({
      link,
      keys: new Keys(1),
      wire: new Wire(self),
      self,
      clock,
      log,
      balancer,
      slots,
      calls,
      leaseMs,
      redisLost,
    });
    this.book.start();
  }

  replaceTable(rows: readonly (string | Partial<DestinationRow>)[]): void {
    this.balancer.replaceTable(rowsOf(rows));
    this.slots.tableChanged();
    this.book.tableChanged();
  }

  newCall(): CallLoad {
    const call = new CallLoad();
    call.opened = true;
    call.name = `n${this.#nodeId}.${++this.#serial}`;
    this.#calls.add(call);
    return call;
  }

  /** As the default route and the proxy do it. "refused": the balancer found every destination full, also after it asked again. */
  async place(call: CallLoad, { group = 1, resources = "pstn", flags = "" } = {}): Promise<Placed> {
    let code = this.balancer.start(call, group, resources, flags);
    if (code === -2 && (await this.book.refresh(group, resources))) code = this.balancer.start(call, group, resources, flags);
    return code === 1 ? this.admit(call) : "refused";
  }

  /** Asks for the pick of a call. One that gets no place ends. */
  async admit(call: CallLoad): Promise<Placed> {
    if (!this.book.isNeeded(call)) return "reserved";
    const { outcome } = await admit(this.book, this.balancer, call, () => call.closed);
    if (outcome !== "reserved") this.end(call);
    return outcome;
  }

  end(call: CallLoad): void {
    call.closed = true;
    this.#calls.delete(call);
    this.balancer.release(call);
  }

  remoteLoad(id = 1, resource = "pstn"): number {
    return this.balancer.remoteLoad(this.balancer.destination(id)!.resources.find(({ name }) => name === resource)!.cell);
  }

  load(id = 1): number {
    return this.balancer.load(this.balancer.destination(id)!.resources[0]!.cell);
  }
}
