import { randomBytes } from "node:crypto";
import type { Balancer, CallLoad, StatusChange, TableChange } from "../balancer/index.ts";
import { Keys } from "../cluster/keys.ts";
import { LeaseBook } from "../cluster/leases/lease-book.ts";
import { LoadExchange } from "../cluster/loads/load-exchange.ts";
import { Slots } from "../cluster/loads/slots.ts";
import { LEASE_MS, Membership, SLOW_MS } from "../cluster/members/membership.ts";
import { RemoteMi } from "../cluster/members/remote-mi.ts";
import { SharingTags } from "../cluster/members/sharing-tags.ts";
import { TagHooks } from "../cluster/members/tag-hooks.ts";
import type { ClusterClock, NodeIdentity } from "../cluster/ports.ts";
import { openRedisLink, type RedisLink } from "../cluster/redis/redis-link.ts";
import { Wire } from "../cluster/wire.ts";
import { type Config, clusterIdOf, sharingTagsOf } from "../config/index.ts";
import type { Dialog, DialogTable } from "../dialog/index.ts";
import type { BreakerChange, CallOutcomes, DestinationState } from "../health/index.ts";
import type { ClusterPort, ManagementServer, RedisState } from "../management/index.ts";
import { logDuplicate, logNode, logRedis, logTag } from "../observability/cluster-log.ts";
import type { Log } from "../proxy/index.ts";
import type { Listener } from "../transaction/index.ts";
import { VERSION } from "../version.ts";
import type { Announcer } from "./announcer.ts";
import { clusterCounters } from "./cluster-counters.ts";
import { ClusterDialogs } from "./cluster-dialogs.ts";
import { clusterPort } from "./cluster-management.ts";
import { ClusterStatus } from "./cluster-status.ts";
import type { Operators } from "./operators.ts";
import { addressesNearby } from "./own-addresses.ts";
import type { RestoredPings } from "./restored-pings.ts";
import { steadyWallMs } from "./steady-clock.ts";

/** How often it is looked how Redis is reached, besides each time that the connection comes or goes, ms. */
const REDIS_LOOK_MS = 500;
/** How long a start waits for what the cluster knows once this node has its place in it, ms. */
const SYNC_WAIT_MS = 3_000;
const INCARNATION_BYTES = 12;

export interface ClusterNodePorts {
  readonly config: Config;
  readonly balancer: Balancer;
  readonly dialogs: DialogTable;
  readonly operators: Operators;
  readonly restoredPings: Pick<RestoredPings, "taken">;
  readonly announcer: Pick<Announcer, "nodeChanged" | "tagChanged" | "redisChanged">;
  readonly listeners: () => readonly Listener[];
  /** Addresses that SIP is taken on, such as `udp:192.0.2.1:5060`: those by which others reach this node. */
  readonly sip: readonly string[];
  /** Is told where the other nodes take SIP. */
  readonly setPeers: (addresses: Iterable<string>) => void;
  readonly management: () => Pick<ManagementServer, "run"> | undefined;
  /** Runs what changes which node counts a call: whoever feeds capacities must not take that for new calls. Absent: nobody feeds any. */
  readonly recount?: ((change: () => void) => void) | undefined;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  readonly log: Log;
}

/** This node's part in a cluster: everything that it shares with others through Redis. */
export class ClusterNode {
  /** Also what the proxy asks when loads are counted exactly. */
  readonly leases: LeaseBook;
  readonly status: ClusterStatus;
  /** Absent when dialogs are not replicated. */
  readonly dialogs: ClusterDialogs | undefined;
  readonly membership: Membership;
  readonly tags: SharingTags;
  readonly #ports: ClusterNodePorts;
  readonly #link: RedisLink;
  readonly #clusterId: number;
  readonly #slots: Slots;
  readonly #loads: LoadExchange;
  readonly #hooks: TagHooks;
  #generation: string | undefined;
  readonly #remote: RemoteMi;
  readonly #wire: Wire;
  readonly #clock: ClusterClock;
  #redis: RedisState = "lost";
  #lostSinceMs: number;
  #isDuplicate = false;
  #stopLook: (() => void) | undefined;
  #isClosed = false;

  constructor(ports: ClusterNodePorts) {
    const { config, balancer, dialogs, operators, log, nowMs } = ports;
    const { cluster } = config;
    this.#ports = ports;
    this.#clusterId = clusterIdOf(config);
    this.#lostSinceMs = nowMs();
    const self: NodeIdentity = {
      clusterId: this.#clusterId,
      nodeId: cluster.node_id,
      incarnation: randomBytes(INCARNATION_BYTES).toString("hex"),
      version: VERSION,
      startedAtMs: Date.now(),
      sip: ports.sip,
      managementUrl: `${config.mi_http.tls.certificate === null ? "http" : "https"}://${config.mi_http.listen}/${config.mi_http.root}`,
    };
    const clock = clusterClock(nowMs, log);
    const keys = new Keys(this.#clusterId);
    const wire = new Wire(self);
    const url = cluster.redis_url;
    if (url === null) throw new Error("Cannot join a cluster: cluster.redis_url is not set");
    const link = openRedisLink({ url, log, onFault: (error) => log.error({ err: error }, "cannot process what Redis told") });
    this.#link = link;
    this.#clock = clock;
    this.#wire = wire;
    const common = { link, keys, wire, self, clock, log };
    const membership = new Membership(common);
    const configured = sharingTagsOf(config);
    const tagName = config.load_balancer.cluster_sharing_tag;
    const tags = new SharingTags({ membership, clock, log, tags: configured, failover: cluster.sharing_tag_failover, waits: true });
    this.membership = membership;
    this.tags = tags;
    this.#hooks = new TagHooks({
      onActive: cluster.on_tag_active,
      onBackup: cluster.on_tag_backup,
      clusterId: this.#clusterId,
      nodeId: self.nodeId,
      log,
      clock,
    });
    this.status = new ClusterStatus({
      ...common,
      nodeId: self.nodeId,
      beats: membership,
      balancer,
      drains: operators.drains,
      tag: tagName === null ? undefined : { name: tagName, isActive: () => tags.isActive(tagName), epoch: () => tags.epoch(tagName) },
      breakerOpenMs: config.health.breaker.open_for * 1000,
    });
    this.#slots = new Slots(balancer, cluster.load_sharing);
    const { recount = (change: () => void): void => change() } = ports;
    this.#loads = new LoadExchange({ ...common, members: membership, slots: this.#slots, balancer, recount });
    this.leases = new LeaseBook({
      ...common,
      balancer,
      slots: this.#slots,
      calls: () => Array.from(dialogs.list(), ({ load }) => load),
      leaseMs: cluster.lease_time * 1000,
      redisLost: cluster.redis_lost,
      rttMs: () => link.steadyRttMs,
    });
    this.dialogs = cluster.replicate_dialogs
      ? new ClusterDialogs({
          ...common,
          nodes: membership,
          keepsFile: config.dialog.persistence !== "off",
          dialogs,
          balancer: {
            held: (load) => balancer.held(load),
            adopt: (load, held) => {
              let adopted = 0;
              recount(() => {
                adopted = balancer.adopt(load, held);
              });
              return adopted;
            },
          },
          listeners: ports.listeners,
          tags,
          tag: tagName ?? undefined,
          adopted: (dialog, reason) => {
            operators.drains.adopted(dialog.did, dialog.load, dialog.startedAtMs);
            ports.restoredPings.taken(dialog, reason);
          },
          callOver: (did) => this.leases.departures.over(did),
          took: (from, load) => this.#loads.took(from, load.leases),
          releaseLoads: (nodeId) => this.#loads.release(nodeId),
        })
      : undefined;
    this.#remote = new RemoteMi({
      ...common,
      members: membership,
      run: (...asked) => this.#run(...asked),
    });
    this.#listen();
  }

  /** What operators decided before the start. To be called before {@link start}. */
  seed(states: readonly DestinationState[]): void {
    this.status.seed(states);
  }

  /**
   * Takes this node's place in the cluster and what the cluster knows, before the first call. Without Redis the node begins alone, and joins when Redis comes.
   *
   * @throws DuplicateNodeError when another node that is alive has the id of this one
   */
  async start(): Promise<void> {
    const { config, log } = this.#ports;
    // After a crash nobody has given back what came with a tag, such as a floating address.
    for (const tag of this.tags.names()) this.#hooks.changed({ tag, state: "backup", epoch: 0, reason: "this node starts" });
    const outcome = await this.membership.join(config.cluster.start_wait * 1000);
    if (outcome === "alone") {
      log.warn({}, `Redis was not reached within ${config.cluster.start_wait} s: this node begins alone, with what it knows itself`);
    }
    this.leases.start();
    const known = [this.status.sync(), this.dialogs?.replica.start()];
    if (outcome === "joined" && !(await this.#within(SYNC_WAIT_MS, Promise.all(known)))) {
      log.warn({}, `Redis did not tell within ${SYNC_WAIT_MS} ms what the cluster knows: this node begins without some of it`);
    }
    this.#look();
  }

  /** To be called once calls are taken: tags come to this node from now on. */
  ready(): void {
    this.tags.begin();
  }

  /** Leaves the cluster: calls of this node that go on are taken over by others. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopLook?.();
    this.status.stop();
    this.#loads.stop();
    this.leases.close();
    await this.dialogs?.replica.close();
    await this.membership.leave();
    await this.#hooks.close();
    await this.#link.close();
  }

  statusChanged(change: StatusChange): void {
    this.status.statusChanged(change);
  }

  breakerChanged(change: BreakerChange): void {
    this.status.breakerChanged(change);
  }

  /** To be told of each new table in the same step, after what operators decided holds for it. */
  tableChanged(change: TableChange): void {
    this.status.tableChanged(change);
    this.#slots.tableChanged();
  }

  /** To be told after {@link tableChanged}, once those who feed capacities know the new table. */
  countsChanged(): void {
    this.#loads.tableChanged();
    this.leases.tableChanged();
  }

  useOutcomes(outcomes: CallOutcomes | undefined): void {
    this.status.useOutcomes(outcomes);
  }

  /** A lease of the balancer in a cell that is counted exactly has ended. */
  leaseEnded(load: CallLoad, cell: number): void {
    // What another node has now is that node's to give back.
    if (this.dialogs?.surrendering !== undefined && this.dialogs.surrendering === load.name) this.leases.surrender(load);
    else this.leases.ended(load, cell);
  }

  dialogChanged(dialog: Dialog): void {
    this.dialogs?.stateChanged(dialog);
  }

  /** Whether this node probes: the one that has the tag, or each when there is none. */
  mayProbe(): boolean {
    const { config, nowMs } = this.#ports;
    const tag = config.load_balancer.cluster_sharing_tag;
    if (tag === null || this.tags.isActive(tag)) return true;
    return config.cluster.probe_without_redis && this.#state() === "lost" && nowMs() - this.#lostSinceMs > LEASE_MS;
  }

  /** Values for the statistics. */
  get counters(): Record<string, number> {
    return clusterCounters({
      membership: this.membership,
      tags: this.tags,
      hooks: this.#hooks,
      link: this.#link,
      wire: this.#wire,
      status: this.status,
      loads: this.#loads,
      leases: this.leases,
      dialogs: this.dialogs,
      remote: this.#remote,
    });
  }

  /** What management offers of it. */
  get management(): ClusterPort {
    const { membership, status, dialogs, tags } = this;
    const { config } = this.#ports;
    return clusterPort({
      clusterId: this.#clusterId,
      config,
      membership,
      status,
      dialogs,
      tags,
      remote: this.#remote,
      redis: () => this.#state(),
    });
  }

  #listen(): void {
    const { announcer, log } = this.#ports;
    this.#link.onUp(() => this.#look());
    this.#link.onDown(() => this.#look());
    this.membership.onBeat(({ generation }) => {
      if (this.#generation !== undefined && this.#generation !== generation) this.leases.restore(); // Redis has lost what it had
      this.#generation = generation;
      this.#look();
    });
    this.membership.onNode((node, isAlive) => {
      this.#tellPeers();
      if (node.isSelf) return;
      logNode(node, isAlive, log);
      announcer.nodeChanged(this.#clusterId, node.nodeId, isAlive);
    });
    this.tags.onChange((change) => {
      const told = { ...change, cluster: this.#clusterId };
      logTag(told, log);
      announcer.tagChanged(told);
      this.#hooks.changed(change);
    });
  }

  /** The living come first: their addresses matter more when there are too many. */
  #tellPeers(): void {
    const others = this.membership.nodes().filter(({ isSelf }) => !isSelf);
    const living = others.filter(({ isAlive }) => isAlive);
    const gone = others.filter(({ isAlive }) => !isAlive);
    this.#ports.setPeers([...living, ...gone].flatMap(({ sip }) => addressesNearby(sip, this.#ports.sip)));
  }

  #state(): RedisState {
    if (!this.#link.isUp || this.membership.isRefused) return "lost";
    return (this.#link.steadyRttMs ?? 0) > SLOW_MS ? "slow" : "connected";
  }

  /** Tells when Redis is reached in another way than before, and when another node turns out to have this one's id. */
  #look(): void {
    if (this.#isClosed) return;
    const { announcer, config, log } = this.#ports;
    this.#stopLook?.();
    this.#stopLook = this.#clock.after(REDIS_LOOK_MS, () => this.#look());
    const isDuplicate = this.membership.state === "duplicate";
    if (isDuplicate && !this.#isDuplicate) logDuplicate(config.cluster.node_id, "", log);
    this.#isDuplicate = isDuplicate;
    const state = this.#state();
    if (state === this.#redis) return;
    this.#redis = state;
    if (state === "lost") this.#lostSinceMs = this.#ports.nowMs();
    logRedis(state, this.#link.steadyRttMs, log);
    announcer.redisChanged(state);
  }

  #run: ConstructorParameters<typeof RemoteMi>[0]["run"] = async (method, params, fromNode, by) => {
    const management = this.#ports.management();
    if (management === undefined) return { error: { code: 500, message: "Node is starting" } };
    const client = `node ${fromNode}`;
    return management.run(method, params, { name: by === undefined ? client : `${by} on ${client}`, client });
  };

  async #within(ms: number, done: Promise<unknown>): Promise<boolean> {
    const late = Promise.withResolvers<false>();
    const stop = this.#clock.after(ms, () => late.resolve(false));
    const isDone = await Promise.race([done.then(() => true), late.promise]);
    stop();
    return isDone;
  }
}

/** Timers of their own: those of calls stand still while calls are dealt with, and are stopped before the cluster is left. */
function clusterClock(nowMs: () => number, log: Log): ClusterClock {
  return {
    nowMs,
    wallMs: steadyWallMs,
    after(ms, run) {
      const timer = setTimeout(() => {
        try {
          run();
        } catch (error) {
          log.error({ err: error }, "timer of the cluster failed");
        }
      }, ms);
      return () => clearTimeout(timer);
    },
  };
}
