import { randomInt } from "node:crypto";
import { type Balancer, Looks, type StatusChange } from "../balancer/index.ts";
import type { Config } from "../config/index.ts";
import { type DialogState, EVERYBODY, type PingOutage } from "../dialog/index.ts";
import { EventBus, EventStream, Webhook } from "../events/index.ts";
import { ALERT_CHECK_MS, type BreakerChange, type DrainChange, explain, type GroupAlert, GroupAlerts, whatIf } from "../health/index.ts";
import type { AuditDifference, AuditEntry, ManagementPorts, RedisState } from "../management/index.ts";
import { logAlert } from "../observability/alert-log.ts";
import type { BanChange, OverloadChange } from "../overload/index.ts";
import type { Log } from "../proxy/index.ts";
import { VERSION } from "../version.ts";
import { DialogNews, type NamedDialog } from "./dialog-news.ts";
import type { DispatcherStatus } from "./dispatch-events.ts";
import type { SessionGap } from "./load-audit.ts";

/** Random characters in the ids of a run: a clock that was set back must not lead to ids that there have been. */
const RUN_RANDOM_CHARS = 6;

export interface AnnouncerPorts {
  readonly config: Pick<Config, "events" | "explain" | "health" | "routing">;
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  readonly log: Log;
}

type Destination = StatusChange["destination"];

/** Tells the world what happens: events to those who listen, alerts, and the reasons of decisions to those who ask. */
export class Announcer {
  /** Ids of events begin with it: lower-case letters and digits, others at each start. */
  readonly run = newRun();
  /** For the balancer to write its decisions in; absent when none are remembered. */
  readonly looks: Looks | undefined;
  readonly #ports: AnnouncerPorts;
  readonly #bus: EventBus;
  readonly #stream: EventStream;
  readonly #webhooks: readonly Webhook[];
  readonly #closings: (() => void)[] = [];
  #balancer: Balancer | undefined;
  #alerts: GroupAlerts | undefined;
  #alertCount = 0;
  #stopAlerts: (() => void) | undefined;
  #groups: ReadonlySet<number> | undefined;
  #overfilled: ReadonlySet<number>;

  constructor(ports: AnnouncerPorts) {
    this.#ports = ports;
    const { config, after, log } = ports;
    this.#groups = groupsOf(config.routing);
    this.#overfilled = overfilledGroups(config.routing);
    const { events } = config;
    const bus = new EventBus({
      history: events.history,
      wallMs: Date.now,
      run: this.run,
      onFault: (error) => log.error({ err: error }, "cannot tell of an event"),
    });
    this.#bus = bus;
    this.#stream = new EventStream({ bus, every: repeat, soon: (run) => void setImmediate(run) });
    this.#webhooks = events.webhooks.map(
      ({ url, events: names, secret }, i) =>
        new Webhook({
          bus,
          label: `events.webhooks[${i}]`,
          url,
          events: names,
          secret,
          queue: events.webhook_queue,
          userAgent: `headroom/${VERSION}`,
          wallMs: Date.now,
          fetch,
          after,
          random: Math.random,
          log,
        }),
    );
    this.looks = config.explain.calls > 0 ? new Looks(config.explain.calls, Date.now) : undefined;
  }

  /** For others that tell of events. */
  get bus(): EventBus {
    return this.#bus;
  }

  /** Has something closed when it is closed itself, as that tells of events, too. */
  closeWith(close: () => void): void {
    this.#closings.push(close);
  }

  /** What management offers of all this. */
  management(balancer: Balancer): Pick<ManagementPorts, "streams" | "explain" | "whatIf" | "changed"> {
    const { looks } = this;
    return {
      streams: { "/events": (request, response) => this.#stream.handle(request, response) },
      ...(looks !== undefined && { explain: (callId: string) => explain(looks, callId, (atMs) => new Date(atMs).toISOString()) }),
      changed: (entry) => this.managementChanged(entry),
      whatIf: (group, resources, flags) => whatIf(balancer, group, resources, flags),
    };
  }

  /** Values for the statistics. */
  get counters(): Record<string, number> {
    const webhooks: Record<string, number> = { webhook_delivered: 0, webhook_failures: 0, webhook_lost: 0, webhook_pending: 0 };
    for (const { counters, pending } of this.#webhooks) {
      for (const [name, value] of Object.entries({ ...counters, webhook_pending: pending })) webhooks[name] = (webhooks[name] ?? 0) + value;
    }
    return {
      ...this.#bus.counters,
      ...this.#stream.counters,
      ...webhooks,
      alerts: this.#alertCount,
      alerts_raised: this.#alerts?.raised ?? 0,
    };
  }

  /** Begins to look for alerts. To be called once the table is there. */
  watch(balancer: Balancer): void {
    const { config, after, log } = this.#ports;
    this.#balancer = balancer;
    const alerts = new GroupAlerts({
      balancer,
      lowPercent: config.events.low_headroom_percent,
      failOpen: config.health.fail_open,
      wanted: () => this.#groups,
      overfills: (group) => this.#overfilled.has(group),
      onAlert: (alert) => {
        if (alert.state === "raised") this.#alertCount++;
        logAlert(alert, log);
        this.#alert(alert);
      },
    });
    this.#alerts = alerts;
    const look = (): void => {
      this.#stopAlerts = after(ALERT_CHECK_MS, look); // also when the look throws
      const waitMs = alerts.check();
      if (waitMs === ALERT_CHECK_MS) return;
      this.#stopAlerts();
      this.#stopAlerts = after(waitMs, look);
    };
    this.#stopAlerts = after(ALERT_CHECK_MS, look);
  }

  /** To be told of the configuration in use: which groups calls go to. */
  routingChanged(routing: Config["routing"]): void {
    this.#groups = groupsOf(routing);
    this.#overfilled = overfilledGroups(routing);
  }

  close(): void {
    this.#stopAlerts?.();
    this.#stream.close();
    for (const close of this.#closings) close();
    for (const webhook of this.#webhooks) webhook.close();
  }

  statusChanged({ destination, enabled, wasEnabled, cause }: StatusChange): void {
    if (enabled === wasEnabled) return;
    this.#status(destination, enabled, cause);
    // What was said last is what holds: enabled or not, nothing goes to it while its breaker is open.
    if (enabled && this.#balancer !== undefined && this.#balancer.breaker(destination) !== "closed")
      this.#status(destination, false, "breaker");
  }

  dialogChanged(dialog: NamedDialog, before: DialogState): void {
    this.#bus.publish("E_DLG_STATE_CHANGED", new DialogNews(dialog, before));
  }

  /** Nobody at an address, or nobody at all, answers any more, and calls are kept for that; or it is over. */
  pingOutageChanged({ kind, address, held }: PingOutage): void {
    this.#bus.publish("E_DLG_PING_OUTAGE", { address: address === EVERYBODY ? "*" : address, state: kind, held });
  }

  breakerChanged({ destination, phase, before, calls, failures, cause }: BreakerChange): void {
    this.#bus.publish("E_LOAD_BALANCER_BREAKER", { ...named(destination), state: phase, old_state: before, calls, failures });
    const isClosed = phase === "closed";
    if (isClosed === (before === "closed") || this.#balancer?.isEnabled(destination) !== true) return; // trials are not yet the return
    this.#status(destination, isClosed, cause ?? "breaker");
  }

  /** @param ms 0: an operator has ended it */
  restBegan(destination: Destination, ms: number): void {
    this.#bus.publish("E_LOAD_BALANCER_REST", { ...named(destination), seconds: ms / 1000 });
  }

  drainChanged({ destination, kind, load, deadlineMs, bye, reason }: DrainChange): void {
    this.#bus.publish("E_LOAD_BALANCER_DRAIN", {
      ...named(destination),
      change: kind,
      load,
      ...(deadlineMs > 0 && { deadline: Math.floor(deadlineMs / 1000), bye }),
      ...(reason !== undefined && { reason }),
    });
  }

  /** A load was counted otherwise than the calls hold it, and is healed. */
  loadDiffered({ id, group, uri, pool, resource, counted, actual }: AuditDifference): void {
    const where = pool === undefined ? { id: id ?? 0, group: group ?? 0, uri: uri ?? "" } : { pool };
    this.#bus.publish("E_LOAD_BALANCER_AUDIT", { ...where, resource: resource ?? "", counted, true: actual, healed: true });
  }

  /** A FreeSWITCH has fewer sessions than we count calls there, or it is so no more. */
  sessionsMissing({ state, url, calls, sessions }: SessionGap): void {
    this.#bus.publish("E_LOAD_BALANCER_AUDIT", { freeswitch: url, state, calls, sessions, healed: false });
  }

  /** A destination of a set began to get requests, or does so no more (`isOpen`), whatever the cause. */
  dispatcherStatus({ destination, isOpen, flags, cause }: DispatcherStatus): void {
    const { setId: group, uri: address } = destination;
    this.#bus.publish("E_DISPATCHER_STATUS", { group, address, status: isOpen ? "active" : "inactive", cause, flags });
  }

  /** The same, as Kamailio's `event_route` of that name is told of it. */
  dispatcherEvent({ destination, isOpen, flags, cause }: DispatcherStatus): void {
    const { setId: group, uri, attributes } = destination;
    this.#bus.publish(isOpen ? "dispatcher:dst-up" : "dispatcher:dst-down", { group, uri, attrs: attributes.body, cause, flags });
  }

  /** Somebody has asked management for a change. */
  managementChanged({ by, client, method, params, outcome, reason }: AuditEntry): void {
    this.#bus.publish("E_MANAGEMENT_CHANGE", { by, client, method, params, outcome, ...(reason !== undefined && { reason }) });
  }

  /** A node of the cluster came or went. */
  nodeChanged(clusterId: number, nodeId: number, isAlive: boolean): void {
    this.#bus.publish("E_CLUSTERER_NODE_STATE_CHANGED", { cluster_id: clusterId, node_id: nodeId, new_state: isAlive ? 1 : 0 });
  }

  /** A sharing tag became active or backup on this node. @param epoch how often the tag has moved */
  tagChanged({
    tag,
    cluster,
    state,
    epoch,
    reason,
  }: {
    tag: string;
    cluster: number;
    state: "active" | "backup";
    epoch: number;
    reason: string;
  }): void {
    this.#bus.publish("E_CLUSTERER_SHARING_TAG_CHANGED", { name: tag, cluster, state, reason, epoch });
  }

  /** Redis is reached, answers slowly, or is not reached. */
  redisChanged(state: RedisState): void {
    this.#bus.publish("E_CLUSTERER_REDIS", { state });
  }

  /** A source was banned, or its ban has ended. */
  banChanged({ kind, source, leftMs, ageMs, refused, reason }: BanChange): void {
    if (kind === "began") this.#bus.publish("E_PIKE_BLOCKED", { ip: source, seconds: Math.ceil(leftMs / 1000) });
    else this.#bus.publish("E_PIKE_UNBLOCKED", { ip: source, reason: reason ?? "time", seconds: Math.floor(ageMs / 1000), refused });
  }

  /** New calls are refused for want of time, or are taken again. */
  overloadChanged({ kind, cause, lagMs, utilization, refused }: OverloadChange): void {
    const figures = { lag_ms: Math.round(lagMs), utilization_percent: Math.round(utilization * 100) };
    this.#bus.publish("E_OVERLOAD", { state: kind, cause, ...figures, ...(kind === "ended" && { refused }) });
  }

  #status({ group, id, uri }: Destination, enabled: boolean, cause: StatusChange["cause"] | "breaker"): void {
    this.#bus.publish("E_LOAD_BALANCER_STATUS", { group, uri, status: enabled ? "enabled" : "disabled", cause, id });
  }

  #alert(alert: GroupAlert): void {
    const { group, state } = alert;
    if (alert.kind === "none-available") {
      const { rows, failedOpen } = alert;
      this.#bus.publish("E_LOAD_BALANCER_GROUP", {
        group,
        alert: "no destination",
        state,
        destinations: rows,
        ...(failedOpen && { failed_open: true }),
      });
    } else {
      const { resource, free, capacity, freePercent: free_percent } = alert;
      this.#bus.publish("E_LOAD_BALANCER_HEADROOM", { group, resource, state, free, capacity, free_percent });
    }
  }
}

function newRun(): string {
  const chance = randomInt(36 ** RUN_RANDOM_CHARS).toString(36);
  return Date.now().toString(36) + chance.padStart(RUN_RANDOM_CHARS, "0");
}

function named({ id, group, uri }: Destination): { id: number; group: number; uri: string } {
  return { id, group, uri };
}

/** Groups of the rules, but for those that go by a list; `undefined` when a script decides, as it alone knows. */
function groupsOf({ script, rules }: Config["routing"]): ReadonlySet<number> | undefined {
  return script === null
    ? new Set(
        rules.filter((rule) => !rule.dispatch && rule.distribute === undefined && rule.answer === undefined).map(({ group }) => group),
      )
    : undefined;
}

/** Groups whose rules have flag `n`. */
function overfilledGroups({ script, rules }: Config["routing"]): ReadonlySet<number> {
  return new Set(script === null ? rules.filter(({ flags }) => flags.includes("n")).map(({ group }) => group) : []);
}

function repeat(ms: number, run: () => void): () => void {
  const timer = setInterval(run, ms);
  return () => clearInterval(timer);
}
