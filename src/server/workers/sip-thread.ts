import { performance } from "node:perf_hooks";
import type { MessagePort } from "node:worker_threads";
import type { Logger } from "pino";
import { Balancer, SharedLoads } from "../../balancer/index.ts";
import { recordOfOwnBody } from "../../cluster/dialogs/dialog-record.ts";
import { DialogTable } from "../../dialog/index.ts";
import { CallOutcomes, outcomeSettings } from "../../health/index.ts";
import { Statistics } from "../../observability/statistics.ts";
import { LargeRequests, type ProxyCore, ProxyCounters, SendFailures, ShareOfThread, SipProxy } from "../../proxy/index.ts";
import { RoutingCounters, type RoutingPorts } from "../../routing/index.ts";
import { TimerWheel, TransactionLayer } from "../../transaction/index.ts";
import { below, RandomTokens } from "../../transport/chance.ts";
import { LocalAddresses } from "../../transport/local-address.ts";
import { SipNetwork } from "../../transport/network.ts";
import { startTicker } from "../../transport/ticker.ts";
import { Addresses } from "../addresses.ts";
import { LentConnections } from "../handover/lent-connections.ts";
import { TakenCalls } from "../handover/taken-calls.ts";
import { OverloadGuard } from "../overload-guard.ts";
import { pingSettings } from "../ping-settings.ts";
import { RestoredPings } from "../restored-pings.ts";
import { createRouter, ReplaceableRouter } from "../routers.ts";
import { sourceFilter } from "../source-filter.ts";
import { steadyWallMs } from "../steady-clock.ts";
import { finishRequests } from "../stopping.ts";
import { Tracing } from "../tracing.ts";
import { Mailboxes } from "./mailboxes.ts";
import type { FromThread, StateNote, ThreadSetup, ToThread } from "./messages.ts";
import { ThreadCalls } from "./thread-calls.ts";
import { ThreadListeners } from "./thread-listeners.ts";

/** How often the statistics are told, ms. */
const STATISTICS_MS = 200;

/**
 * Handles calls in a thread of its own: transport, transactions, dialogs and routing, with a view of the table that all threads count in. All else is the main thread's.
 *
 * @param leave ends the thread
 * @returns how to close its sockets, which has to be done before it ends
 */
export async function startSipThread(
  setup: ThreadSetup,
  main: MessagePort,
  log: Logger,
  leave: (code: number) => void,
): Promise<() => void> {
  const { config, self, threads } = setup;
  const startedAtMs = Date.now();
  const nowMs = (): number => performance.now();
  const tell = (message: FromThread): void => main.postMessage(message);
  const chance = new RandomTokens();
  const wheel = new TimerWheel(nowMs(), (error) => log.error({ err: error }, "timer handler failed"));
  const shared = new SharedLoads(setup.loads, threads, self);
  const addresses = new Addresses({ config, below, nowMs, after });
  const balancer = new Balancer({
    ...{ below, shared, nowMs, failOpen: config.health.fail_open },
    onStatus: ({ destination, enabled, cause }) => tell({ kind: "status", key: destination.key, enabled, cause }),
    onFault: (text) => log.error({}, text),
  });
  const dialogs = new DialogTable({
    ...{ wheel, chance, nowMs, wallMs: steadyWallMs, defaultTimeoutMs: config.dialog.default_timeout * 1000 },
    release: (load) => balancer.release(load),
    settle: (load) => balancer.settle(load),
  });
  dialogs.raceConditionMs = config.dialog.race_condition_timeout * 1000;
  const calls = new ThreadCalls(dialogs, balancer, (notes) => tell({ kind: "calls", text: JSON.stringify(notes) }));
  const told = {
    banChanged: (change: (FromThread & { kind: "ban" })["change"]) => tell({ kind: "ban", change }),
    overloadChanged: (change: (FromThread & { kind: "overload" })["change"]) => tell({ kind: "overload", change }),
  };
  const guard = new OverloadGuard({ config, balancer, announcer: told, nowMs, log });
  const { overload } = guard;
  dialogs.onState = (dialog, before) => {
    calls.stateChanged(dialog, before);
    overload.callChanged(dialog);
  };
  dialogs.onRestored = (dialog) => overload.callChanged(dialog);

  const locals = new LocalAddresses(nowMs);
  const tracing = new Tracing({ config: { tracing: { ...config.tracing, ring_size: 0 } }, locals, wallMs: Date.now, log });
  const network = new SipNetwork({
    ...{ locals, sent: tracing.sent, advertised: config.sip.advertised_address },
    locate: (target) => addresses.locate(target),
    order: (all) => addresses.order(all),
    failed: (address) => addresses.failed(address),
    isAllowed: sourceFilter(config.sip.allow, balancer),
  });
  const listeners = new ThreadListeners({
    ...{ config, self, places: setup.places, descriptors: setup.descriptors, network, overload, locals, balancer, nowMs, log },
    receive: tracing.watching((text, source) => proxy.receive(text, source)),
  });
  await listeners.prepare();

  const routingCounters = new RoutingCounters();
  const routingPorts: RoutingPorts = { balancer, log, counters: routingCounters, isOwn: (host, port) => network.isOwn(host, port) };
  const router = new ReplaceableRouter(await createRouter(config, routingPorts));
  const layer = new TransactionLayer({ wire: network, wheel, chance, nowMs, serverHeader: config.sip.server_header });
  guard.traffic = layer.counters;
  const counters = new ProxyCounters();
  const judging = outcomeSettings(config.health);
  const outcomes =
    judging &&
    new CallOutcomes({
      ...{ balancer, settings: judging, nowMs, after },
      onBreaker: () => undefined, // the configuration has none
      onRest: ({ key }, ms) => tell({ kind: "rest", key, ms }),
    });
  let isOpen = false;
  const mail = new Mailboxes(new Int32Array(setup.waiting), self, ({ text, place, address, port }) => {
    if (!isOpen) return; // there are no table and no calls yet, and a refusal would be remembered: it comes again
    const listener = listeners.common(place);
    if (listener !== undefined) proxy.receive(text, { transport: "udp", address, port, listener }, true);
  });
  const core: ProxyCore = {
    ...{ layer, wheel, nowMs, dialogs, balancer, network, log, counters, overload, router, outcomes },
    large: new LargeRequests({ network, limitBytes: config.sip.udp_mtu, nowMs }),
    pings: pingSettings(config, { pingOutageChanged: (outage) => tell({ kind: "outage", outage }) }),
    timeouts: { frMs: config.tm.fr_timeout * 1000, frInviteMs: config.tm.fr_inv_timeout * 1000 },
    defaultMaxForwards: config.sip.max_forwards,
    sendFailures: new SendFailures(log, nowMs),
    abandoned: new Map(),
    divide: new ShareOfThread(
      threads,
      self,
      ({ listener }) => listener.outgoing !== undefined,
      (thread, text, { address, port, listener }) => mail.hand(thread, { text, place: listeners.placeOf(listener), address, port }),
    ),
  };
  const proxy = new SipProxy(core);
  const restoredPings = new RestoredPings({ config, dialogs, pings: () => proxy, wallMs: steadyWallMs, after, log });
  const taken = new TakenCalls({ dialogs, balancer, network, log }, new LentConnections(() => undefined), () => true, recordOfOwnBody);
  const statistics = new Statistics({
    ...{ layer, proxy, proxyCounters: counters, dialogs, balancer, overload, tracing, transport: listeners.counters },
    ...{ routing: routingCounters, outcomes: outcomes?.counters, resolution: addresses },
    uptimeS: () => Math.trunc((Date.now() - startedAtMs) / 1000),
  });
  const stopTicker = startTicker(wheel, nowMs);
  const telling = setInterval(tellStatistics, STATISTICS_MS);
  main.on("message", (message: ToThread) => {
    handle(message).catch((error: unknown) =>
      log.error({ err: error, kind: message.kind }, "cannot process what the main thread says: internal error"),
    );
  });
  tell({ kind: "up" });
  return () => listeners.close();

  async function handle(message: ToThread): Promise<void> {
    switch (message.kind) {
      case "table":
        shared.learn(message.names);
        balancer.replaceTable(message.rows);
        outcomes?.tableChanged();
        follow(message.states);
        return;
      case "states":
        follow(message.states);
        return;
      case "calls":
        for (const note of message.notes) taken.apply(note);
        return;
      case "open":
        await open();
        return;
      case "peer":
        mail.connect(message.thread, message.port);
        return;
      case "end": {
        const dialog = dialogs.byDid(message.did);
        if (dialog !== undefined) proxy.endDialog(dialog, message.headers);
        return;
      }
      case "lift":
        overload.lift(message.address);
        return;
      case "config":
        router.current = await createRouter(message.config, routingPorts);
        guard.use(message.config.overload);
        log.level = message.config.log.level;
        return;
      case "stop":
        await finishRequests({ proxy, layer, dialogs, timeoutMs: config.sip.stop_timeout * 1000, nowMs });
        calls.flush();
        clearInterval(telling);
        stopTicker();
        tellStatistics();
        tell({ kind: "stopped" });
        leave(0);
    }
  }

  function tellStatistics(): void {
    tell({ kind: "statistics", values: { ...statistics.read(), workers: mail.counters }, bans: overload.bans() });
  }

  async function open(): Promise<void> {
    try {
      await listeners.open();
    } catch (error) {
      tell({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
      leave(1);
      return;
    }
    isOpen = true;
    guard.begin();
    restoredPings.begin();
    tell({ kind: "open" });
  }

  function follow(states: readonly StateNote[]): void {
    for (const [key, state, factor] of states) balancer.followState(key, state, factor);
  }

  function after(ms: number, run: () => void): () => void {
    const timer = wheel.schedule(ms, { timerFired: run }, 0, nowMs());
    return () => void wheel.cancel(timer);
  }
}
