import assert from "node:assert/strict";
import { Balancer, CallLoad, type Destination, type DestinationRow, parseResources, type StatusChange } from "../../src/balancer/index.ts";
import { type DestinationState, type DrainChange, Drains, OperatorStates } from "../../src/health/index.ts";
import { FakeClock } from "../support/fake-clock.ts";

/** Where the fake wall clock starts, ms since 1970. */
export const START_MS = 1_800_000_000_000;

export function row(id: number, resources = "pstn=100", group = 1): DestinationRow {
  const addresses = [{ ip: `192.0.2.${id}`, port: 5060, transport: "udp" }] as const;
  const uri = `sip:192.0.2.${id}`;
  return { id, group, uri, resources: parseResources(resources), probeMode: 2, attrs: undefined, description: undefined, addresses };
}

/** A balancer with drains and remembered states, put together as the server does, on a fake clock. */
export class DrainFarm {
  readonly clock: FakeClock;
  readonly balancer: Balancer;
  readonly drains: Drains;
  readonly states: OperatorStates;
  /** Ongoing calls by their names. */
  readonly calls = new Map<string, CallLoad>();
  readonly ended: string[] = [];
  readonly changes: DrainChange[] = [];
  readonly statuses: StatusChange[] = [];
  readonly saved: DestinationState[] = [];
  readonly kept: number[] = [];
  /** Is asked before a call is ended. */
  onEnding: (name: string) => void = () => {};
  #lastCall = 0;

  constructor(rows: readonly DestinationRow[], states: readonly DestinationState[] = [], clock = new FakeClock(START_MS)) {
    this.clock = clock;
    this.balancer = new Balancer({
      below: () => 0,
      onStatus: (change) => this.#statusChanged(change),
      onFault: (text) => assert.fail(text),
    });
    this.drains = new Drains({
      balancer: this.balancer,
      wallMs: clock.now,
      after: (ms, run) => clock.after(ms, run),
      calls: (destination) => [...this.calls].filter(([, load]) => this.#countsOn(load, destination)).map(([name]) => name),
      endCall: (name, destination) => this.#endCall(name, destination),
      onChange: (change) => {
        this.changes.push(change);
        this.states.drainChanged(change);
      },
      onOverruled: (destination) => this.states.drainOverruled(destination),
    });
    this.states = new OperatorStates({
      balancer: this.balancer,
      drains: this.drains,
      save: (state) => void this.saved.push(state),
      wallMs: clock.now,
      onKept: ({ id }) => void this.kept.push(id),
    });
    this.states.load(states);
    this.replaceTable(rows);
  }

  replaceTable(rows: readonly DestinationRow[]): void {
    const { added } = this.balancer.replaceTable(rows);
    this.drains.tableChanged();
    this.states.tableChanged(added);
  }

  /** The program ends and starts again: its calls are forgotten, what it saved is not. */
  restarted(rows: readonly DestinationRow[]): DrainFarm {
    this.drains.stop();
    const last = new Map(this.saved.map((state) => [`${state.group} ${state.uri} ${state.id}`, state]));
    return new DrainFarm(rows, [...last.values()], this.clock);
  }

  /** What `lb_status` does. */
  setStatus(id: number, enabled: boolean): void {
    this.balancer.setStatus(id, enabled, "mi");
    if (enabled) this.drains.undo(id);
    else this.drains.overrule(id);
  }

  /** Calls that are sent to some destination of group 1. @returns their names */
  place(count: number, resources = "pstn"): string[] {
    return Array.from({ length: count }, () => {
      const load = new CallLoad();
      load.opened = true;
      assert.equal(this.balancer.start(load, 1, resources), 1);
      const name = `call-${++this.#lastCall}`;
      this.calls.set(name, load);
      return name;
    });
  }

  hangUp(...names: string[]): void {
    for (const name of names) {
      this.balancer.release(this.calls.get(name)!);
      this.calls.delete(name);
    }
  }

  destination(id: number): Destination {
    const found = this.balancer.destination(id);
    assert.ok(found);
    return found;
  }

  /** "draining 3", "drained", "drained, was down", "disabled" or "enabled". */
  state(id: number): string {
    const destination = this.destination(id);
    const drain = this.drains.of(destination);
    assert.equal(this.balancer.isDraining(destination), drain !== undefined);
    const status = this.balancer.isEnabled(destination) ? "enabled" : this.#disabledState(destination);
    return drain === undefined ? status : `draining ${drain.load}${status === "enabled" ? "" : ` (${status})`}`;
  }

  /** Kinds of the changes told so far, with id and load; tells them once. */
  told(): string[] {
    return this.changes
      .splice(0)
      .map(({ destination, kind, load, reason }) => `${destination.id} ${kind} ${load}${reason ? ` ${reason}` : ""}`);
  }

  #disabledState(destination: Destination): string {
    const found = this.drains.drained(destination);
    if (found === undefined) return "disabled";
    return found === "up" ? "drained" : "drained, was down";
  }

  #statusChanged(change: StatusChange): void {
    this.drains.statusChanged(change);
    this.states.statusChanged(change);
    if (!this.states.applying) this.statuses.push(change);
  }

  #endCall(name: string, destination: Destination): boolean {
    this.onEnding(name);
    const load = this.calls.get(name);
    if (load === undefined || !this.#countsOn(load, destination)) return false;
    this.ended.push(name);
    this.hangUp(name);
    return true;
  }

  #countsOn(load: CallLoad, destination: Destination): boolean {
    const cells = this.balancer.cellsOf(destination);
    return load.leases.some((cell) => cells.includes(cell));
  }
}
