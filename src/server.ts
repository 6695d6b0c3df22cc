import { performance } from "node:perf_hooks";
import type { Logger } from "pino";
import { Balancer, type StatusChange } from "./balancer/index.ts";
import { type Config, parseHttpListen, parseListen } from "./config/index.ts";
import { DialogTable } from "./dialog/index.ts";
import { createManagementServer, type ManagementServer } from "./management/index.ts";
import { Statistics } from "./observability/statistics.ts";
import { type ProxyCall, type ProxyCore, ProxyCounters, type Router, SipProxy } from "./proxy/index.ts";
import { compileCidr, createDefaultRouter, createScriptRouter, parseIp } from "./routing/index.ts";
import { loadScript } from "./script-loader.ts";
import type { SipResponse } from "./sip/index.ts";
import { type DestinationStore, openStore } from "./store/index.ts";
import { resolveBySystem } from "./store/resolve.ts";
import { type Endpoint, TimerWheel, TransactionLayer } from "./transaction/index.ts";
import { below, RandomTokens } from "./transport/chance.ts";
import { HostCache } from "./transport/host-cache.ts";
import { LocalAddresses } from "./transport/local-address.ts";
import { SipNetwork } from "./transport/network.ts";
import { startTicker } from "./transport/ticker.ts";
import { bracketed, TransportCounters, UdpListener } from "./transport/udp.ts";
import { VERSION } from "./version.ts";

/** How long a stop waits for requests in flight to be answered, in milliseconds. */
const STOP_WAIT_MS = 3_000;
const STOP_POLL_MS = 20;
/** How long the last messages get to leave, and CANCELs to be answered. */
const STOP_FLUSH_MS = 100;

/** The running program. */
export interface RunningServer {
  /** Addresses that SIP is taken on, such as `udp:127.0.0.1:5060`. */
  readonly sip: readonly string[];
  /** Address of the management interface. */
  readonly managementUrl: string;
  /** Loads the destinations again, and the parts of a new configuration that can change while running. Rejects and changes nothing when they cannot be used. */
  reload(config?: Config): Promise<void>;
  /** Refuses new calls, waits a little for requests in flight, closes everything. */
  stop(): Promise<void>;
}

/** Starts everything that the configuration names. What was opened is closed again when a part of it cannot start. */
export async function startServer(config: Config, log: Logger): Promise<RunningServer> {
  const opened: (() => Promise<void>)[] = [];
  try {
    return await compose(config, log, opened);
  } catch (error) {
    for (const close of opened.reverse()) await close().catch(() => undefined);
    throw error;
  }
}

async function compose(config: Config, log: Logger, opened: (() => Promise<void>)[]): Promise<RunningServer> {
  const startedAtMs = Date.now();
  const nowMs = (): number => performance.now();
  const chance = new RandomTokens();
  const wheel = new TimerWheel(nowMs(), (error) => log.error({ err: error }, "timer handler failed"));
  const balancer = new Balancer({
    below,
    onStatus: (change) => logStatus(change, log),
    onFault: (text) => log.error({}, text),
  });
  const dialogs = new DialogTable({
    wheel,
    chance,
    nowMs,
    wallMs: Date.now,
    defaultTimeoutMs: config.dialog.default_timeout * 1000,
    release: (load) => balancer.release(load),
  });

  const store = await openStore(config.load_balancer.db_url, { table: config.load_balancer.db_table });
  opened.push(() => store.close());
  await loadTable(store, balancer, log);

  const router = new ReplaceableRouter(await createRouter(config, balancer, log));
  const transport = new TransportCounters();
  const locals = new LocalAddresses(nowMs);
  const hosts = new HostCache(resolveBySystem, nowMs);
  const network = new SipNetwork({
    locals,
    advertised: config.sip.advertised_address,
    resolve: (host) => hosts.resolve(host),
    isAllowed: sourceFilter(config.sip.allow, balancer),
  });
  const layer = new TransactionLayer({ wire: network, wheel, chance, nowMs, serverHeader: config.sip.server_header });
  const counters = new ProxyCounters();
  const core: ProxyCore = {
    layer,
    wheel,
    nowMs,
    dialogs,
    balancer,
    network,
    router,
    timeouts: { frMs: config.tm.fr_timeout * 1000, frInviteMs: config.tm.fr_inv_timeout * 1000 },
    defaultMaxForwards: config.sip.max_forwards,
    log,
    counters,
    abandoned: new Map(),
  };
  const proxy = new SipProxy(core);
  const uptimeS = (): number => Math.trunc((Date.now() - startedAtMs) / 1000);
  const statistics = new Statistics({ layer, proxy, proxyCounters: counters, transport, dialogs, balancer, uptimeS });

  const stopTicker = startTicker(wheel, nowMs);
  opened.push(async () => stopTicker());
  opened.push(() => network.close());
  for (const text of config.sip.listen) {
    const listen = parseListen(text);
    if (listen.transport !== "udp") continue; // a notice of the configuration has said so
    const { address, port } = listen;
    network.add(
      await UdpListener.open({
        address,
        port,
        advertised: config.sip.advertised_address,
        locals,
        counters: transport,
        receive: (message, source) => proxy.receive(message, source),
        fault: (error, action) => log.error({ err: error }, `cannot ${action}`),
      }),
    );
  }
  if (network.listeners.length === 0)
    throw new Error(`Cannot start: sip.listen has no address that this version can serve; want one such as "udp:0.0.0.0:5060"`);
  const sip = network.listeners.map((listener) => `udp:${bracketed(listener.address)}:${listener.port}`);

  // One reload at a time: the last one asked for is the one that stays.
  let reloading: Promise<void> = Promise.resolve();
  function reload(next?: Config): Promise<void> {
    const turn = reloading.then(() => reloadNow(next));
    reloading = turn.catch(() => undefined);
    return turn;
  }

  async function reloadNow(next?: Config): Promise<void> {
    const nextRouter = next === undefined ? undefined : await createRouter(next, balancer, log);
    await loadTable(store, balancer, log);
    if (next === undefined || nextRouter === undefined) return;
    router.current = nextRouter;
    log.level = next.log.level;
    for (const notice of next.notices) log.warn({}, notice);
    for (const key of keysForRestart(config, next)) log.warn({ key }, `${key} has changed: that takes effect at the next start`);
  }

  const management = await startManagement();
  opened.push(() => management.close());
  return { sip, managementUrl: management.url, reload, stop };

  function startManagement(): Promise<ManagementServer> {
    const { address, port } = parseHttpListen(config.mi_http.listen);
    return createManagementServer(
      {
        balancer,
        dialogs,
        reload: () => reload(),
        endDialog: (dialog, headers) => {
          const found = dialogs.byDid(dialog.did);
          if (found !== undefined) proxy.endDialog(found, headers);
        },
        statistics: () => statistics.read(),
        resetStatistic: (group, name) => statistics.reset(group, name),
        processes: () => [
          { ID: 0, PID: process.pid, Type: "attendant" },
          ...network.listeners.map((listener, i) => ({
            ID: i + 1,
            PID: process.pid,
            Type: `SIP receiver udp:${listener.address}:${listener.port}`,
          })),
          { ID: network.listeners.length + 1, PID: process.pid, Type: `HTTPD ${config.mi_http.listen}` },
        ],
        startedAtMs,
        nowMs: Date.now,
        version: VERSION,
        log,
      },
      { host: address, port, root: config.mi_http.root, bearerTokens: config.mi_http.auth.bearer_tokens },
    );
  }

  async function stop(): Promise<void> {
    proxy.stopAccepting();
    const until = nowMs() + STOP_WAIT_MS;
    while (layer.unansweredCount > 0 && nowMs() < until) await wait(STOP_POLL_MS);
    // A call that still rings would be left without an answer: its caller is told, its destination gets CANCEL.
    for (const dialog of dialogs.list()) dialog.pending?.abort(503, "Service Unavailable");
    if (layer.unansweredCount > 0 || layer.clientCount > 0) await wait(STOP_FLUSH_MS);
    for (const close of opened.reverse()) await close();
  }
}

/** A destination went up or down. The words for what an operator or a script did are those of OpenSIPS. */
function logStatus({ destination, enabled, wasEnabled, cause }: StatusChange, log: Logger): void {
  if (enabled === wasEnabled) return;
  const { id, group, uri } = destination;
  const action = enabled ? "enable" : "disable";
  const origin = cause === "script" ? " from script" : "";
  const what =
    cause === "probe" ? `${action} destination ${id} <${uri}> after a probe` : `manually ${action} destination ${id} <${uri}>${origin}`;
  log.info({ id, group, uri, enabled, cause }, what);
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The table in use is replaced only when all of the new one could be read. */
async function loadTable(store: DestinationStore, balancer: Balancer, log: Logger): Promise<void> {
  const { rows, skipped } = await store.loadDestinations();
  const change = balancer.replaceTable(rows);
  for (const { id, reason } of skipped) log.warn({ id }, reason);
  log.info(
    {
      destinations: rows.length,
      skipped: skipped.length,
      added: change.added.length,
      removed: change.removed.length,
      changed: change.changed.length,
    },
    "destinations loaded",
  );
  if (rows.length === 0) {
    log.warn(
      {},
      'no destination to send calls to: add one with `headroom destinations add --group 1 --uri sip:192.0.2.10:5060 --resources "pstn=30"` (from a checkout: `npm run --silent headroom -- destinations add …`), then run `headroom mi lb_reload`',
    );
  }
}

/** Keys of the configuration whose new values need another start. `routing` and `log.level` take effect at once. */
function keysForRestart(running: Config, next: Config): string[] {
  const changed: string[] = [];
  for (const section of ["sip", "tm", "load_balancer", "dialog", "mi_http"] as const) {
    const before: Record<string, unknown> = running[section];
    const after: Record<string, unknown> = next[section];
    for (const key of Object.keys(after)) if (JSON.stringify(before[key]) !== JSON.stringify(after[key])) changed.push(`${section}.${key}`);
  }
  return changed;
}

async function createRouter(config: Config, balancer: Balancer, log: Logger): Promise<Router> {
  if (config.routing.script === null) return createDefaultRouter(config.routing, { balancer, log });
  return createScriptRouter(await loadScript(config.routing.script), { balancer, log });
}

/** `sip.allow`: who may send initial requests. Destinations always may. */
function sourceFilter(allow: readonly string[], balancer: Balancer): (source: Endpoint) => boolean {
  if (allow.length === 0) return () => true;
  const blocks = allow.map((text) => compileCidr(text));
  return ({ address }) => {
    const words = parseIp(address);
    if (words !== undefined && blocks.some((contains) => contains(words))) return true;
    return balancer.isDestination(address, 0) !== undefined;
  };
}

/** The router in use. Calls that are under way go on with the new one. */
class ReplaceableRouter implements Router {
  current: Router;

  constructor(current: Router) {
    this.current = current;
  }

  request(call: ProxyCall): void | Promise<void> {
    return this.current.request(call);
  }

  failure(call: ProxyCall): void | Promise<void> {
    return this.current.failure(call);
  }

  reply(call: ProxyCall, response: SipResponse): void {
    this.current.reply?.(call, response);
  }

  handles(method: string): boolean {
    return this.current.handles(method);
  }
}
