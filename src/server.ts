import { performance } from "node:perf_hooks";
import type { Logger } from "pino";
import { Balancer, type StatusChange, type TableChange } from "./balancer/index.ts";
import { type Config, readDistributorSetup } from "./config/index.ts";
import { type Dialog, DialogTable } from "./dialog/index.ts";
import { freeswitchFeeds } from "./freeswitch/index.ts";
import type { ManagementServer } from "./management/index.ts";
import { endpointAt, LargeRequests, type ProxyCore, ProxyCounters, SendFailures, SipProxy } from "./proxy/index.ts";
import { RoutingCounters, type RoutingPorts } from "./routing/index.ts";
import { Addresses } from "./server/addresses.ts";
import { Announcer } from "./server/announcer.ts";
import type { ClusterNode } from "./server/cluster.ts";
import { collectGarbage } from "./server/collect-garbage.ts";
import { collectStatistics } from "./server/collected-statistics.ts";
import { DispatchWatch } from "./server/dispatch-watch.ts";
import { Dispatching } from "./server/dispatching.ts";
import { ConfiguredDistribution } from "./server/distribution.ts";
import { FreeswitchFeeds } from "./server/freeswitch-feeds.ts";
import { freeswitchSettings } from "./server/freeswitch-settings.ts";
import { GapPings } from "./server/gap-pings.ts";
import { HotRestart } from "./server/handover/hot-restart.ts";
import { keepDialogs, type StartOptions } from "./server/keep-dialogs.ts";
import { Listeners, listenText } from "./server/listeners.ts";
import { LoadAudit } from "./server/load-audit.ts";
import { logStatus, TableLoader } from "./server/load-table.ts";
import { readCertificate, startManagement } from "./server/management.ts";
import { Meters } from "./server/meters.ts";
import { Operators } from "./server/operators.ts";
import { OverloadGuard } from "./server/overload-guard.ts";
import { ownAddresses } from "./server/own-addresses.ts";
import { pingSettings } from "./server/ping-settings.ts";
import { QuietCollection } from "./server/quiet-collection.ts";
import { Registrations } from "./server/registrations.ts";
import { Reloads } from "./server/reloads.ts";
import { RestoredPings } from "./server/restored-pings.ts";
import { retryTable } from "./server/retry-table.ts";
import { createRouter, ReplaceableRouter } from "./server/routers.ts";
import type { RunningServer } from "./server/running-server.ts";
import { sourceFilter } from "./server/source-filter.ts";
import { withSpans } from "./server/spans.ts";
import { steadyWallMs } from "./server/steady-clock.ts";
import { finishRequests } from "./server/stopping.ts";
import { Tracing } from "./server/tracing.ts";
import { Watch } from "./server/watch.ts";
import { configOfMain, openThreads } from "./server/workers/open-threads.ts";
import { openStore } from "./store/index.ts";
import { TimerWheel, TransactionLayer } from "./transaction/index.ts";
import { below, RandomTokens } from "./transport/chance.ts";
import { LocalAddresses } from "./transport/local-address.ts";
import { SipNetwork } from "./transport/network.ts";
import { startTicker } from "./transport/ticker.ts";

export type { RunningServer } from "./server/running-server.ts";

/** Starts everything that the configuration names. What was opened is closed again when a part of it cannot start. */
export async function startServer(config: Config, log: Logger, options: StartOptions = {}): Promise<RunningServer> {
  const opened: (() => Promise<void>)[] = [];
  try {
    return await compose(configOfMain(config), log, options, opened);
  } catch (error) {
    for (const close of opened.reverse()) await close().catch(() => undefined);
    throw error;
  }
}

async function compose(
  config: Config,
  log: Logger,
  { forceEmpty = false, former, spawn, loaded, leave = () => undefined }: StartOptions,
  opened: (() => Promise<void>)[],
): Promise<RunningServer> {
  const startedAtMs = Date.now();
  const nowMs = (): number => performance.now();
  const chance = new RandomTokens();
  const meters = new Meters();
  let isReady = false; // what comes before is lost, as if we were not there yet
  let cluster: ClusterNode | undefined;
  let management: ManagementServer | undefined;
  const wheel = new TimerWheel(nowMs(), (error) => log.error({ err: error }, "timer handler failed"));
  const threads = await openThreads(config, log);
  opened.push(async () => threads?.stop());
  const statusListeners: ((change: StatusChange) => void)[] = [(change) => logStatus(change, log)];
  const quietStatusListeners: ((change: StatusChange) => void)[] = [];
  const announcer = new Announcer({ config, after, log });
  opened.push(async () => announcer.close());
  const { looks } = announcer;
  const addresses = new Addresses({ config, below, nowMs, after });
  opened.push(async () => addresses.close());
  const dispatching = new Dispatching({ below, nowMs, listeners: () => network.listeners, addresses, log });
  const balancer = new Balancer({
    below,
    onStatus: (change) => {
      if (operators.applying) return;
      for (const tell of isOldNews() ? quietStatusListeners : statusListeners) tell(change);
    },
    onFault: (text) => log.error({}, text),
    onFedPick: (destination) => feeds?.picked(destination),
    onFedChange: (destination) => feeds?.loadChanged(destination),
    onResized: () => keeper?.capacitiesChanged(),
    onWatchedEnd: (load, cell) => cluster?.leaseEnded(load, cell),
    onWatchedForced: (load, cell) => cluster?.leases.forced(load, cell),
    beside: dispatching,
    nowMs,
    failOpen: config.health.fail_open,
    maxCallsPerSecond: config.health.max_calls_per_second,
    ...(looks && { looks }),
    ...(threads && { shared: threads.loads }),
  });
  const dialogs = new DialogTable({
    ...{ chance, nowMs, wheel: threads?.wheelOf(wheel) ?? wheel },
    wallMs: steadyWallMs,
    defaultTimeoutMs: config.dialog.default_timeout * 1000,
    release: (load) => balancer.release(load),
    settle: (load) => balancer.settle(load),
  });
  dialogs.raceConditionMs = config.dialog.race_condition_timeout * 1000;
  dialogs.onState = (dialog, before) => {
    if (threads === undefined) announcer.dialogChanged(dialog, before);
    cluster?.dialogChanged(dialog);
    keeper?.stateChanged(dialog);
    overload.callChanged(dialog);
  };
  dialogs.onRestored = (dialog) => overload.callChanged(dialog);
  const guard = new OverloadGuard({ config, balancer, announcer, nowMs, log, lag: meters.lag });
  opened.push(async () => guard.close());
  const { overload } = guard;

  const locals = new LocalAddresses(nowMs);
  const tracing = new Tracing({ config, locals, wallMs: Date.now, log });
  opened.push(() => tracing.close());
  const network = new SipNetwork({
    locals,
    sent: tracing.sent,
    advertised: config.sip.advertised_address,
    locate: (target) => addresses.locate(target),
    order: (all) => addresses.order(all),
    failed: (address) => addresses.failed(address),
    isAllowed: sourceFilter(config.sip.allow, balancer),
    tally: meters.sent,
  });
  opened.push(() => network.close());
  const listeners = new Listeners({
    ...{ config, network, overload, locals, balancer, nowMs, log, awaited: former?.listeners },
    receive: tracing.watching((message, source) => {
      if (!isReady) return;
      meters.received.count(message, source.transport);
      proxy.receive(message, source);
    }),
  });
  opened.push(async () => listeners.close());
  if (threads === undefined) await listeners.open();
  else for (const listener of threads.common) network.add(listener);

  const freeswitch = freeswitchSettings(config);
  const feeds = freeswitch && new FreeswitchFeeds({ settings: freeswitch, balancer, log, heard: (figures) => audit.heard(figures) });
  const gapPings = new GapPings({ config, balancer, dialogs, verify: (...call) => proxy.verify(...call), after, log });
  const restoredPings = new RestoredPings({ config, dialogs, pings: () => proxy, wallMs: steadyWallMs, after, log });
  opened.push(async () => restoredPings.close());
  const audit = new LoadAudit({ config, balancer, dialogs, feeds, told: announcer, gaps: gapPings, after, nowMs, log });
  opened.push(async () => audit.close());
  opened.push(async () => feeds?.stop());
  const store = await openStore(config.load_balancer.db_url, {
    table: config.load_balancer.db_table,
    localUrl: config.load_balancer.local_db_url,
    ...{ startFromCopy: config.load_balancer.start_without_database, log },
    locate: (target) => addresses.resolve(target),
    feeds: freeswitch && freeswitchFeeds(freeswitch.initialLoad),
  });
  opened.push(() => store.close());
  await former?.copy({ dialogs, balancer, network, listeners, names: store.loadDestinations("copy"), log });
  const keeper = await keepDialogs({
    ...{ config, forceEmpty, former, dialogs, balancer, nowMs, after, log, wallMs: Date.now },
    listeners: () => threads?.listeners ?? network.listeners,
    replicated: () => cluster?.dialogs,
    drains: () => operators.drains,
  });
  opened.push(async () => void (await keeper?.close()));
  const operators = new Operators({
    balancer,
    dialogs,
    endDialog,
    after,
    store: store.states(log),
    wallMs: () => cluster?.membership.redisNowMs() ?? Date.now(),
    decidedAtMs: () => cluster?.status.decidedAtMs() ?? Date.now(),
    log,
  });
  opened.push(async () => void (await Promise.all([operators.close(), keeper?.close()]))); // both give a slow disk the same seconds
  operators.drainListeners.push((change) => {
    if (!isOldNews()) announcer.drainChanged(change);
  });
  statusListeners.push(
    (change) => announcer.statusChanged(change),
    (change) => operators.statusChanged(change),
    (change) => cluster?.statusChanged(change),
  );
  quietStatusListeners.push((change) => operators.statusChanged(change));
  operators.drainListeners.push((change) => cluster?.status.drainChanged(change));
  operators.overruleListeners.push((destination) => cluster?.status.drainOverruled(destination));
  const decided = await operators.load();
  cluster = await startCluster();
  cluster?.seed(decided);
  const tableListeners: ((change: TableChange) => void)[] = [
    () => keeper?.tableChanged(),
    () => former?.tableChanged(), // with the first table: a drain that goes on has to see what calls there are
    (change) => operators.tableChanged(change),
    (change) => cluster?.tableChanged(change),
    () => feeds?.tableChanged(),
    () => cluster?.countsChanged(),
    () => threads?.tableChanged(),
  ];
  const registered = config.registrar.accounts.length === 0 ? undefined : () => registrations?.rows() ?? [];
  const loader = new TableLoader({ store, balancer, listeners: tableListeners, addresses, registered, log });
  addresses.onChange = (changes) => {
    dispatching.readdressed(changes);
    void loader.readdress(changes).catch((error) => log.error({ err: error }, "cannot use other addresses"));
  };
  const registrations =
    registered &&
    new Registrations({
      ...{ config, balancer, loader, nowMs, after, chance, log },
      saved: store.registrations(log),
      isOwn: (host, port) => network.isOwn(host, port),
    });
  opened.push(async () => registrations?.close());
  await registrations?.load();
  const dispatchWatch = new DispatchWatch({
    ...{ config, dispatching, announcer, addresses, nowMs, after, log },
    table: store.dispatcherStates(log),
  });
  opened.push(() => dispatchWatch.close());
  await dispatchWatch.load(config);
  await loader.load(config, "copy");
  announcer.watch(balancer);

  const distribution = new ConfiguredDistribution(balancer, log);
  distribution.use(config, readDistributorSetup(config));
  tableListeners.push(() => distribution.tableChanged());
  const routingCounters = new RoutingCounters();
  const routingPorts: RoutingPorts = {
    balancer,
    log,
    counters: routingCounters,
    isOwn: (host, port) => network.isOwn(host, port),
    distribution,
    dispatching: dispatching.routing(balancer),
    admission: cluster?.leases,
  };
  const router = new ReplaceableRouter(await createRouter(config, routingPorts));
  const layer = new TransactionLayer({ wire: network, wheel, chance, nowMs, serverHeader: config.sip.server_header });
  guard.traffic = layer.counters;
  const counters = new ProxyCounters();
  const watch = new Watch({
    dispatch: dispatchWatch.probed,
    ...{ config, balancer, announcer, locals, chance, wheel, nowMs, after, log },
    breakerChanged: (change) => {
      if (!isOldNews()) announcer.breakerChanged(change);
      cluster?.breakerChanged(change);
    },
    mayProbe: () => cluster?.mayProbe() ?? true,
    streams: { layer, endpoint: (address, uri) => endpointAt(network, address, uri) },
  });
  dispatchWatch.watch = watch;
  cluster?.useOutcomes(watch.outcomes);
  statusListeners.push((change) => watch.statusChanged(change));
  quietStatusListeners.push((change) => watch.statusChanged(change));
  tableListeners.push(() => watch.tableChanged());
  const large = new LargeRequests({ network, limitBytes: config.sip.udp_mtu, nowMs });
  const core: ProxyCore = {
    ...{ layer, wheel, nowMs, dialogs, balancer, network, dispatcher: dispatching.dispatcher, log, counters, overload, large },
    router: await withSpans(router, config, log),
    measures: meters.calls,
    outcomes: feeds?.outcomes(watch.outcomes) ?? watch.outcomes,
    registrar: registrations?.registrar,
    pings: threads ? undefined : pingSettings(config, announcer),
    timeouts: { frMs: config.tm.fr_timeout * 1000, frInviteMs: config.tm.fr_inv_timeout * 1000 },
    defaultMaxForwards: config.sip.max_forwards,
    sendFailures: new SendFailures(log, nowMs),
    abandoned: new Map(),
    admission: cluster?.leases,
    elsewhere: cluster?.dialogs,
  };
  const proxy = new SipProxy(core);

  let stopTicker = former === undefined ? startTicker(wheel, nowMs) : undefined; // no timer runs in two processes
  opened.push(async () => stopTicker?.());
  await watch.start(network.listeners.flatMap(({ address, transport }) => (transport === "udp" ? [address] : [])));
  opened.push(() => watch.stop());
  const sip = network.listeners.map(listenText);

  const reloads = new Reloads({
    ...{ config, loader, listeners, router, dispatching, distribution, announcer, guard, log },
    readCertificate: () => management && readCertificate(management, log),
    routerOf: (next) => createRouter(next, routingPorts),
  });
  const retries = retryTable({ loader, reloads, after, log });
  opened.push(() => retries.close());

  const hotRestart = new HotRestart({
    ...{ config, dialogs, balancer, feeds, layer, core, listeners, proxy, nowMs, log, spawn, former, leave, dispatch: dispatchWatch },
    management: { listen: config.mi_http.listen, server: () => management?.server },
    settle: () => [operators.settled(), dispatchWatch.settled(), registrations?.settled()],
    closeCalls: () => keeper?.close(),
    retire: () => [
      ...[operators, dispatchWatch, registrations, announcer, audit, gapPings, restoredPings, retries].map((part) => part?.close()),
      ...[watch.stop(), feeds?.stop()],
    ],
    finish: () => finishRequests({ proxy, layer, dialogs, timeoutMs: config.sip.stop_timeout * 1000, nowMs }),
  });
  statusListeners.push((change) => hotRestart.statusChanged(change));
  const statistics = collectStatistics({
    ...{ layer, proxy, dialogs, keeper, balancer, operators, registrations, cluster, overload, tracing, table: loader, listeners, watch },
    ...{ proxyCounters: counters, freeswitch: feeds, routing: routingCounters, dispatcher: dispatchWatch, distributor: distribution },
    ...{ events: announcer, resolution: addresses, management: meters.management, startedAtMs, threads },
  });
  await cluster?.start();
  await keeper?.restoreShared();
  await threads?.begin({ dialogs, balancer, announcer });
  const started = await startManagement({
    ...{ config, former, balancer, dialogs, endDialog, reloads, operators, keeper, dispatchWatch, distribution, registrations },
    ...{ watch, feeds, cluster },
    ...{ announcer, guard, threads, tracing, audit, statistics, meters, network, hotRestart, startedAtMs, log },
    mayRestart: spawn !== undefined && threads === undefined,
  });
  management = started;
  opened.push(() => started.close());
  const begin = (): void => {
    isReady = true;
    stopTicker ??= startTicker(wheel, nowMs);
    if (former === undefined && threads === undefined) restoredPings.begin();
  };
  loaded?.();
  if (former === undefined) begin();
  else await former.takeOver({ core, proxy, feeds, config, dispatch: dispatchWatch, management: started, begin });
  if (threads === undefined) guard.begin();
  audit.begin();
  const quiet = new QuietCollection({ layer, dialogs, collect: () => collectGarbage("last-resort"), after });
  opened.push(async () => quiet.close());
  cluster?.ready();
  return {
    sip,
    managementUrl: started.url,
    reload: async (next) => {
      await reloads.reload(next && configOfMain(next));
      if (next) threads?.use(next);
    },
    restart: () => hotRestart.restart(),
    successor: () => hotRestart.successor(),
    stop,
  };

  /** What is being put into force was decided in the cluster a while ago: the world is not told. */
  function isOldNews(): boolean {
    return cluster?.status.isQuiet === true || former?.isApplying === true;
  }

  function after(ms: number, run: () => void): () => void {
    const timer = wheel.schedule(ms, { timerFired: run }, 0, nowMs());
    return () => void wheel.cancel(timer);
  }

  function endDialog({ did }: Pick<Dialog, "did">, headers?: readonly (readonly [string, string])[]): void {
    const dialog = dialogs.byDid(did);
    if (threads) threads.endDialog(did, headers);
    else if (dialog !== undefined) proxy.endDialog(dialog, headers);
  }

  async function startCluster(): Promise<ClusterNode | undefined> {
    if (config.cluster.redis_url === null) return undefined;
    const { ClusterNode } = await import("./server/cluster.ts"); // memory that a node alone does not need
    const node = new ClusterNode({
      ...{ config, balancer, dialogs, operators, restoredPings, announcer, nowMs, log },
      listeners: () => network.listeners,
      sip: ownAddresses(network.listeners, config.sip.advertised_address),
      setPeers: (addresses) => network.setPeers(addresses),
      management: () => management,
      recount: feeds && ((change) => feeds.recount(change)),
    });
    opened.push(() => node.close());
    return node;
  }

  async function stop(): Promise<void> {
    hotRestart.stop();
    const timeoutMs = config.sip.stop_timeout * 1000;
    await Promise.all([finishRequests({ proxy, layer, dialogs, timeoutMs, nowMs }), former?.stop(), threads?.stop()]);
    if (hotRestart.hasSwitched) return; // all the rest is the new process's
    // The timers of calls stop here, and what becomes of a call is told to the cluster no more: another node does better by what comes now.
    isReady = false;
    for (const close of opened.reverse()) await close().catch((error: unknown) => log.error({ err: error }, "cannot stop a part in order"));
  }
}
