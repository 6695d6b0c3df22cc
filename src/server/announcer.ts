import type { Balancer, CallLoad, StatusChange, TableLook } from "../balancer/index.ts";
import type { Config } from "../config/index.ts";
import { type Dialog, DialogState } from "../dialog/index.ts";
import { EventBus, EventStream, Webhook } from "../events/index.ts";
import { ALERT_CHECK_MS, type BreakerChange, Decisions, type DrainChange, type GroupAlert, GroupAlerts, whatIf } from "../health/index.ts";
import { fromWire, type ManagementPorts } from "../management/index.ts";
import { logAlert } from "../observability/alert-log.ts";
import type { Log } from "../proxy/index.ts";
import { VERSION } from "../version.ts";

export interface AnnouncerPorts {
  readonly config: Pick<Config, "events" | "explain">;
  /** Runs something once, later; what it answers takes it back. */
  readonly after: (ms: number, run: () => void) => () => void;
  readonly log: Log;
}

type Destination = StatusChange["destination"];

/** Tells the world what happens: events to those who listen, alerts, and the reasons of decisions to those who ask. */
export class Announcer {
  readonly #ports: AnnouncerPorts;
  readonly #bus: EventBus;
  readonly #stream: EventStream;
  readonly #webhooks: readonly Webhook[];
  readonly #decisions: Decisions | undefined;
  #alerts: GroupAlerts | undefined;
  #alertCount = 0;
  #stopAlerts: (() => void) | undefined;

  constructor(ports: AnnouncerPorts) {
    this.#ports = ports;
    const { config, after, log } = ports;
    const { events, explain } = config;
    const bus = new EventBus({
      history: events.history,
      wallMs: Date.now,
      run: Date.now().toString(36),
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
          fetch,
          after,
          random: Math.random,
          log,
        }),
    );
    this.#decisions = explain.calls > 0 ? new Decisions(explain.calls, (atMs) => new Date(atMs).toISOString()) : undefined;
  }

  /** For the balancer: absent when nothing is remembered, so that choosing costs nothing more. */
  get onChoice(): ((call: CallLoad, look: TableLook) => void) | undefined {
    const decisions = this.#decisions;
    if (decisions === undefined) return undefined;
    return ({ callId, session }, look) => decisions.note(callId, session?.group ?? 0, (session?.tried.length ?? 0) + 1, look, Date.now());
  }

  /** What management offers of all this. */
  management(balancer: Balancer): Pick<ManagementPorts, "streams" | "explain" | "whatIf"> {
    const decisions = this.#decisions;
    return {
      streams: { "/events": (request, response) => this.#stream.handle(request, response) },
      ...(decisions !== undefined && { explain: (callId: string) => decisions.explain(callId) }),
      whatIf: (group, resources, flags) => whatIf(balancer, group, resources, flags),
    };
  }

  /** Values for the statistics. */
  get counters(): Record<string, number> {
    const webhooks: Record<string, number> = {};
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
    const alerts = new GroupAlerts({
      balancer,
      lowPercent: config.events.low_headroom_percent,
      onAlert: (alert) => {
        if (alert.raised) this.#alertCount++;
        logAlert(alert, log);
        this.#alert(alert);
      },
    });
    this.#alerts = alerts;
    const look = (): void => {
      this.#stopAlerts = after(ALERT_CHECK_MS, look);
      alerts.check();
    };
    this.#stopAlerts = after(ALERT_CHECK_MS, look);
  }

  close(): void {
    this.#stopAlerts?.();
    this.#stream.close();
    for (const webhook of this.#webhooks) webhook.close();
  }

  statusChanged({ destination, enabled, wasEnabled, cause }: StatusChange): void {
    if (enabled === wasEnabled) return;
    const { id, group, uri } = destination;
    this.#bus.publish("E_LOAD_BALANCER_STATUS", { group, uri, status: enabled ? "enabled" : "disabled", cause, id });
  }

  dialogChanged(dialog: Dialog, before: DialogState): void {
    const { did, callId, fromTag, toTag, state, endReason } = dialog;
    this.#bus.publish("E_DLG_STATE_CHANGED", {
      id: did,
      db_id: did,
      callid: fromWire(callId),
      from_tag: fromWire(fromTag),
      to_tag: fromWire(toTag),
      old_state: before,
      new_state: state,
      ...(state === DialogState.Deleted && { reason: endReason }),
    });
  }

  breakerChanged({ destination, phase, before, calls, failures }: BreakerChange): void {
    this.#bus.publish("E_LOAD_BALANCER_BREAKER", { ...named(destination), state: phase, old_state: before, calls, failures });
  }

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

  #alert(alert: GroupAlert): void {
    const { group } = alert;
    const state = alert.raised ? "raised" : "recovered";
    if (alert.kind === "none-available") {
      this.#bus.publish("E_LOAD_BALANCER_GROUP", { group, alert: "no destination", state });
    } else {
      const { resource, free, capacity, freePercent: free_percent } = alert;
      this.#bus.publish("E_LOAD_BALANCER_HEADROOM", { group, resource, state, free, capacity, free_percent });
    }
  }
}

function named({ id, group, uri }: Destination): { id: number; group: number; uri: string } {
  return { id, group, uri };
}

function repeat(ms: number, run: () => void): () => void {
  const timer = setInterval(run, ms);
  return () => clearInterval(timer);
}
