import assert from "node:assert/strict";
import { Balancer, CallLoad, type Destination, type DestinationRow, type StatusChange } from "../../src/balancer/index.ts";
import { Keys } from "../../src/cluster/keys.ts";
import type { ClusterClock, ClusterLog, LuaScript } from "../../src/cluster/ports.ts";
import type { StatusBeat, StatusBeats } from "../../src/cluster/status/status-ports.ts";
import { Wire } from "../../src/cluster/wire.ts";
import { CallOutcomes, type DestinationState, type DrainChange, Drains, OperatorStates } from "../../src/health/index.ts";
import { ClusterStatus, type ClusterStatusPorts } from "../../src/server/cluster-status.ts";
import { FakeClock } from "./fake-clock.ts";
import { type MemoryLink, MemoryRedis, type MemoryRedisOptions } from "./memory-redis.ts";
import { statusScripts } from "./memory-scripts/status.ts";

/** Where Redis's clock starts, ms since 1970. */
export const START_MS = 1_800_000_000_000;
/** How long breakers stay open, ms. */
export const OPEN_MS = 10_000;
const BEAT: LuaScript = { name: "test_beat", lua: "" };

/** A log that counts nothing and says nothing; an error fails the test. */
export const QUIET_LOG: ClusterLog = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: (fields, message) =>
    assert.fail(`${message} ${JSON.stringify(fields, (_, value) => (value instanceof Error ? value.stack : value))}`),
};

/** Nodes that share statuses through a {@link MemoryRedis}. Time moves only when told to. */
export class StatusCluster {
  readonly clock = new FakeClock(START_MS);
  readonly keys = new Keys(1);
  readonly redis: MemoryRedis;
  readonly rows: readonly DestinationRow[];
  readonly nodes: StatusNode[] = [];
  #generations = 0;

  constructor(rows: readonly DestinationRow[], delivery: MemoryRedisOptions["delivery"] = "at-once") {
    this.rows = rows;
    this.redis = new MemoryRedis({ nowMs: this.clock.now, delivery }).scripts(statusScripts).script(BEAT.name, (store) => {
      store.call("SET", this.keys.generation, `g${++this.#generations}`, "NX");
      return [store.call("GET", this.keys.generation), store.call("GET", this.keys.statusSeq) ?? "0"];
    });
  }

  /** A node that starts, with its table, before it has heard of Redis. */
  add(nodeId: number, options: StatusNodeOptions = {}): StatusNode {
    const node = new StatusNode(this, nodeId, options);
    this.nodes.push(node);
    return node;
  }

  /** Nodes with the ids 1 to `count` that have heard of Redis and of each other. */
  async joined(count: number): Promise<StatusNode[]> {
    const nodes = Array.from({ length: count }, (_, i) => this.add(i + 1));
    await this.settle(1);
    return nodes;
  }

  /** Lets seconds pass, each with the beats of all nodes and all that comes of them. */
  async settle(seconds = 3): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      this.clock.advance(1_000);
      for (const node of this.nodes) node.beat();
      await this.redis.settle();
      this.clock.advance(500);
      await this.redis.settle();
    }
  }
}

export interface StatusNodeOptions {
  /** How wrong the clock of its machine is, ms. */
  readonly clockErrorMs?: number;
  /** What operators decided before it started. */
  readonly states?: readonly DestinationState[];
  readonly tag?: ClusterStatusPorts["tag"];
}

/** A node as the server composes it, as far as statuses are concerned. */
export class StatusNode implements StatusBeats {
  readonly nodeId: number;
  readonly link: MemoryLink;
  readonly wire: Wire;
  readonly balancer: Balancer;
  readonly drains: Drains;
  readonly states: OperatorStates;
  readonly outcomes: CallOutcomes;
  readonly status: ClusterStatus;
  /** Changes that are told to the world. */
  readonly told: StatusChange[] = [];
  readonly drainsTold: DrainChange[] = [];
  readonly saved = new Map<string, DestinationState>();
  readonly #cluster: StatusCluster;
  readonly #clock: ClusterClock;
  readonly #calls: CallLoad[] = [];
  #knowsTime = false;
  readonly #onBeat: ((beat: StatusBeat) => void)[] = [];
  #stopped = false;

  constructor(cluster: StatusCluster, nodeId: number, { clockErrorMs = 0, states = [], tag }: StatusNodeOptions) {
    const { clock, keys, redis, rows } = cluster;
    this.#cluster = cluster;
    this.nodeId = nodeId;
    this.link = redis.link(`node ${nodeId}`);
    this.wire = new Wire({ nodeId, incarnation: `i${redis.links.length}` });
    const bootMs = clock.nowMs - 1_000 * nodeId;
    this.#clock = {
      nowMs: () => clock.nowMs - bootMs,
      wallMs: () => clock.nowMs + clockErrorMs,
      after: (ms, run) => clock.after(ms, () => this.#stopped || run()),
    };
    const { after, nowMs } = this.#clock;
    this.balancer = new Balancer({
      below: () => 0,
      nowMs,
      onStatus: (change) => this.#statusChanged(change),
      onFault: (text) => assert.fail(text),
    });
    this.drains = new Drains({
      balancer: this.balancer,
      wallMs: () => this.redisNowMs(),
      after,
      calls: () => [],
      endCall: () => false,
      onChange: (change) => {
        this.states.drainChanged(change);
        if (!this.status.isQuiet) this.drainsTold.push(change);
        this.status.drainChanged(change);
      },
      onOverruled: (destination) => {
        this.states.drainOverruled(destination);
        this.status.drainOverruled(destination);
      },
    });
    this.states = new OperatorStates({
      balancer: this.balancer,
      drains: this.drains,
      save: (state) => this.saved.set(`${state.id}`, state),
      wallMs: () => this.status.decidedAtMs(),
    });
    this.outcomes = new CallOutcomes({
      balancer: this.balancer,
      settings: { breaker: { windowMs: 30_000, minCalls: 2, failureRatio: 0.5, openMs: OPEN_MS, trialCalls: 1 }, retryAfterMaxMs: 0 },
      nowMs,
      after,
      onBreaker: (change) => this.status.breakerChanged(change),
    });
    this.status = new ClusterStatus({
      link: this.link,
      keys,
      wire: this.wire,
      nodeId,
      clock: this.#clock,
      beats: this,
      balancer: this.balancer,
      drains: this.drains,
      breakerOpenMs: OPEN_MS,
      log: QUIET_LOG,
      tag,
    });
    this.states.load(states);
    this.status.seed(states);
    this.replaceTable(rows);
    this.status.useOutcomes(this.outcomes);
  }

  redisNowMs(): number {
    return this.#knowsTime ? this.#cluster.clock.nowMs : this.#clock.wallMs();
  }

  onBeat(listener: (beat: StatusBeat) => void): void {
    this.#onBeat.push(listener);
  }

  /** Asks Redis for its time and its news. */
  beat(): void {
    const { generation, statusSeq } = this.#cluster.keys;
    this.link.run(BEAT, [generation, statusSeq], []).then(
      (answer) => {
        if (this.#stopped) return;
        const [found, seq] = answer as [string, string];
        this.#knowsTime = true;
        for (const listener of this.#onBeat) listener({ generation: found, statusSeq: Number(seq) });
      },
      () => {},
    );
  }

  replaceTable(rows: readonly DestinationRow[]): void {
    const { added } = this.balancer.replaceTable(rows);
    this.drains.tableChanged();
    this.states.tableChanged(added);
    this.status.tableChanged({ added });
    this.outcomes.tableChanged();
  }

  /** What `lb_status` does. */
  setStatus(id: number, enabled: boolean): void {
    if (enabled) this.outcomes.forgive(this.destination(id));
    this.balancer.setStatus(id, enabled, "mi");
    if (enabled) this.drains.undo(id);
    else this.drains.overrule(id);
  }

  /** Two calls time out there. */
  failCalls(id: number): void {
    const to = this.destination(id);
    for (let i = 0; i < 2; i++) this.outcomes.failed(to, this.outcomes.begun(to), "timeout", false, undefined);
  }

  /** A call that is counted there, whatever its status. */
  place(id: number): void {
    const load = new CallLoad();
    load.opened = true;
    this.balancer.place(load, this.destination(id), ["pstn"]);
    this.#calls.push(load);
  }

  hangUp(): void {
    for (const load of this.#calls.splice(0)) this.balancer.release(load);
  }

  /** It dies and starts again: what operators decided is on its disk. */
  restarted(clockErrorMs = 0): StatusNode {
    this.stop();
    const { nodes } = this.#cluster;
    const next = new StatusNode(this.#cluster, this.nodeId, { clockErrorMs, states: [...this.saved.values()] });
    nodes[nodes.indexOf(this)] = next;
    return next;
  }

  stop(): void {
    this.#stopped = true;
    this.link.cut();
    this.status.stop();
    this.drains.stop();
    this.outcomes.stop();
  }

  destination(id: number): Destination {
    const found = this.balancer.destination(id);
    assert.ok(found);
    return found;
  }

  /** "enabled", "disabled" (by an operator) or "down", with " draining", " drained" and " broken". */
  stateOf(id: number): string {
    const destination = this.destination(id);
    const { balancer, drains } = this;
    const status = balancer.isEnabled(destination) ? "enabled" : balancer.isAutoReenable(destination) ? "down" : "disabled";
    const drain = drains.of(destination) ? " draining" : drains.drained(destination) ? ` drained` : "";
    return `${status}${drain}${balancer.breaker(destination) === "closed" ? "" : " broken"}`;
  }

  #statusChanged(change: StatusChange): void {
    if (this.states.applying) return;
    if (!this.status.isQuiet) this.told.push(change);
    this.drains.statusChanged(change);
    this.states.statusChanged(change);
    this.status.statusChanged(change);
  }
}
