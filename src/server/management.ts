import { performance } from "node:perf_hooks";
import type { Balancer } from "../balancer/index.ts";
import { type Config, parseHttpListen } from "../config/index.ts";
import type { DialogTable } from "../dialog/index.ts";
import { createManagementServer, type ManagementPorts, type ManagementServer } from "../management/index.ts";
import type { Statistics } from "../observability/statistics.ts";
import type { SipNetwork } from "../transport/network.ts";
import { VERSION } from "../version.ts";
import type { Announcer } from "./announcer.ts";
import type { ClusterNode } from "./cluster.ts";
import { createDashboard } from "./dashboard.ts";
import type { DialogKeeper } from "./dialog-keeper.ts";
import type { DispatchWatch } from "./dispatch-watch.ts";
import type { ConfiguredDistribution } from "./distribution.ts";
import type { FreeswitchFeeds } from "./freeswitch-feeds.ts";
import type { FormerProcess } from "./handover/former-process.ts";
import type { HotRestart } from "./handover/hot-restart.ts";
import type { LoadAudit } from "./load-audit.ts";
import type { Meters } from "./meters.ts";
import type { Operators } from "./operators.ts";
import type { OverloadGuard } from "./overload-guard.ts";
import { processesOf } from "./processes.ts";
import type { Registrations } from "./registrations.ts";
import type { Reloads } from "./reloads.ts";
import type { Tracing } from "./tracing.ts";
import type { Watch } from "./watch.ts";

/** The parts of the program that management reads and steers; those that may be undefined are not in use. */
export interface ManagedParts {
  readonly config: Config;
  readonly former: Pick<FormerProcess, "management"> | undefined;
  readonly balancer: Balancer;
  readonly dialogs: DialogTable;
  readonly endDialog: ManagementPorts["endDialog"];
  readonly reloads: Reloads;
  readonly operators: Operators;
  readonly keeper: DialogKeeper | undefined;
  readonly dispatchWatch: DispatchWatch;
  readonly distribution: ConfiguredDistribution;
  readonly registrations: Registrations | undefined;
  readonly watch: Watch;
  readonly feeds: FreeswitchFeeds | undefined;
  readonly cluster: ClusterNode | undefined;
  readonly announcer: Announcer;
  readonly guard: OverloadGuard;
  /** Absent: the main thread handles SIP itself. */
  readonly threads: { readonly bans: ManagementPorts["bans"] } | undefined;
  readonly tracing: Tracing;
  readonly audit: LoadAudit;
  readonly statistics: Statistics;
  readonly meters: Meters;
  readonly network: SipNetwork;
  readonly hotRestart: HotRestart;
  /** Somebody can start the program again. */
  readonly mayRestart: boolean;
  readonly startedAtMs: number;
  readonly log: ManagementPorts["log"];
}

/** Opens the management interface on what there is. @throws Error when its address cannot be bound */
export function startManagement({ config, former, log, ...parts }: ManagedParts): Promise<ManagementServer> {
  const { balancer, dialogs, endDialog, reloads, operators, keeper, distribution, registrations, watch, announcer, guard, hotRestart } =
    parts;
  const { listen, root, auth, tls, max_requests } = config.mi_http;
  const { address, port } = parseHttpListen(listen);
  const offered = announcer.management(balancer);
  const dashboard = config.mi_http.dashboard ? createDashboard({ config, log, ...parts }) : undefined;
  return createManagementServer(
    {
      ...{ balancer, dialogs, endDialog },
      reload: () => reloads.reload(),
      ...(parts.mayRestart && { restart: () => hotRestart.restart() }),
      elsewhere: (...request) => hotRestart.manage(...request),
      dispatch: parts.dispatchWatch.management,
      drains: operators.drains,
      settled: async () => {
        const written = await Promise.all([operators.settled(), parts.dispatchWatch.settled(), keeper?.settled()]);
        return written.every((isWritten) => isWritten !== false);
      },
      distributor: { lists: distribution.distributor, reload: () => distribution.reload() },
      ...(registrations && { registrations: () => registrations.bindings() }),
      probes: () => watch.prober?.figures() ?? [],
      freeswitch: parts.feeds,
      cluster: parts.cluster?.management,
      ...watch.management,
      ...offered,
      streams: {
        ...offered.streams,
        ...parts.meters.streams({
          ...{ balancer, nowMs: () => performance.now(), startedAtMs: parts.startedAtMs, recorded: parts.statistics },
          probes: () => watch.prober?.figures() ?? [],
          freeswitches: () => parts.feeds?.figures() ?? [],
          breakers: () => watch.management.breakers?.() ?? [],
          drainOf: (destination) => operators.drains.of(destination),
          sets: () => parts.dispatchWatch.management.dispatcher.sets,
          lists: () => distribution.distributor.lists,
          fault: (error) => log.error({ err: error }, "cannot read the metrics"),
        }),
      },
      dashboard,
      ...guard.management,
      ...(parts.threads && { bans: parts.threads.bans }),
      ...parts.tracing.management,
      audit: () => parts.audit.run(),
      counters: parts.meters.management,
      statistics: () => parts.statistics.read(),
      resetStatistic: (group, name) => parts.statistics.reset(group, name),
      processes: () => processesOf(parts.network.listeners, listen),
      ...{ startedAtMs: parts.startedAtMs, nowMs: Date.now, version: VERSION, log },
    },
    {
      ...{ host: address, port, root, bearerTokens: auth.bearer_tokens, tokens: auth.tokens },
      ...(tls.certificate !== null && tls.private_key !== null && { tls: { certificate: tls.certificate, privateKey: tls.private_key } }),
      requestsPerSecond: max_requests,
      isAwaited: former?.management === listen,
    },
  );
}

/** Reads the certificate of management again; what cannot be used changes nothing but the log. */
export function readCertificate(management: Pick<ManagementServer, "reloadCertificate">, log: ManagementPorts["log"]): void {
  try {
    management.reloadCertificate();
  } catch (error) {
    log.error({ err: error }, "cannot read the certificate of management again: the one before stays in use");
  }
}
