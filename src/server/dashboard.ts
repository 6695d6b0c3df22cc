import { Assets, Feed, type FeedEvent } from "../dashboard/index.ts";
import { type BusEvent, type EventBus, eventObject } from "../events/index.ts";
import type { DashboardPort } from "../management/index.ts";
import { VERSION } from "../version.ts";
import type { ManagedParts } from "./management.ts";

/** Of what the dashboard shows. */
export type ShownParts = Pick<
  ManagedParts,
  "config" | "balancer" | "dialogs" | "operators" | "watch" | "feeds" | "cluster" | "announcer" | "guard" | "meters" | "startedAtMs" | "log"
>;

/** The dashboard with all that it shows. Undefined, and an error in the log, when its files cannot be read: calls are carried without a page. */
export function createDashboard(parts: ShownParts): DashboardPort | undefined {
  let assets: Assets;
  try {
    assets = new Assets();
  } catch (error) {
    parts.log.error({ err: error }, "cannot read the files of the dashboard: it is not served");
    return undefined;
  }
  const feed = createFeed(parts);
  parts.announcer.closeWith(() => feed.close());
  return {
    paths: assets.paths,
    asset: (path, headers) => assets.answer(path, headers),
    feed: (_request, response, visitor) => feed.handle(response, visitor),
  };
}

function createFeed(parts: ShownParts): Feed {
  const { config, balancer, dialogs, operators, watch, feeds, cluster, announcer, guard, meters, startedAtMs, log } = parts;
  const onFault = (error: unknown): void => log.error({ err: error }, "cannot tell the dashboard how things are");
  /** The page must not stop the calls, whatever is wrong with it. */
  const guarded = (run: () => void) => (): void => {
    try {
      run();
    } catch (error) {
      onFault(error);
    }
  };
  const { bus } = announcer;
  const node = cluster === undefined ? null : config.cluster.node_id;
  return new Feed({
    identity: { version: VERSION, name: config.sip.server_header, startedAtMs, node },
    rows: {
      balancer,
      drains: operators.drains,
      probes: (destination) => watch.prober?.shownOf(destination),
      feedState: (destination) => feeds?.stateOf(destination),
    },
    totals: {
      calls: () => {
        const { early_dialogs: early, processed_dialogs: begun } = dialogs.counters;
        return { ongoing: dialogs.size, early, begun };
      },
      failovers: () => Object.values(meters.calls.failovers).reduce((sum, count) => sum + count, 0),
      refused: () => {
        const { calls_refused_rate, calls_refused_lag, calls_refused_utilization, calls_refused_backlog } = guard.overload.counts;
        return calls_refused_rate + calls_refused_lag + calls_refused_utilization + calls_refused_backlog;
      },
      takeLagMs: () => meters.lag.takeWorstMs(),
      memoryBytes: () => process.memoryUsage.rss(),
      cluster: cluster?.management,
    },
    events: {
      latest: (count, isWanted) => bus.latest(count, isWanted).map((event) => feedEvent(bus, event)),
      subscribe: (tell) => bus.subscribe((event) => tell(feedEvent(bus, event))),
    },
    clock: {
      wallMs: Date.now,
      nowMs: () => performance.now(),
      every: (ms, run) => {
        const timer = setInterval(guarded(run), ms);
        return () => clearInterval(timer);
      },
      soon: (run) => void setImmediate(guarded(run)),
    },
    onFault,
  });
}

function feedEvent(bus: EventBus, event: BusEvent): FeedEvent {
  return { name: event.name, json: () => JSON.stringify(eventObject(bus, event)) };
}
