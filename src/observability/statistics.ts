import type { Balancer } from "../balancer/index.ts";
import type { DialogTable } from "../dialog/index.ts";
import type { OutcomeCounters } from "../health/index.ts";
import type { ProxyCounters, SipProxy } from "../proxy/index.ts";
import type { RoutingCounters } from "../routing/index.ts";
import type { TransactionLayer } from "../transaction/index.ts";
import { type ProbeStatisticsSource, probeStatistics } from "./probe-statistics.ts";

export interface StatisticsSources {
  readonly layer: TransactionLayer;
  readonly proxy: SipProxy;
  readonly proxyCounters: ProxyCounters;
  /** Plain counters of the listeners. */
  readonly transport: object;
  readonly dialogs: DialogTable;
  /** Plain counters of what keeps calls through a crash, to be read anew each time; absent when nothing does. */
  readonly keeper?: { readonly counters: Record<string, number> } | undefined;
  readonly balancer: Balancer;
  /** Plain counters of what the table of destinations is loaded from, to be read anew each time. */
  readonly table?: { readonly counters: object } | undefined;
  readonly routing?: RoutingCounters | undefined;
  /** Absent when destinations are not judged by their calls. */
  readonly outcomes?: OutcomeCounters | undefined;
  /** Counts drains and the states that are written down; to be read anew each time. */
  readonly operators?: { readonly counters: object } | undefined;
  /** Plain counters of the dispatcher; to be read anew each time. */
  readonly dispatcher?: { readonly counters: object } | undefined;
  /** Plain counters of the distributor; to be read anew each time. */
  readonly distributor?: { readonly counters: object } | undefined;
  /** Plain counters of events and of those who are told of them. */
  readonly events?: { readonly counters: object } | undefined;
  /** Plain counters of the registrar, to be read anew each time; absent when nobody may register. */
  readonly registrations?: { readonly counters: Record<string, number> } | undefined;
  /** Absent when no FreeSWITCH is asked for its load. */
  readonly freeswitch?: { readonly counters: object } | undefined;
  /** Plain counters of the cluster, to be read anew each time; absent when this node runs alone. */
  readonly cluster?: { readonly counters: Record<string, number> } | undefined;
  /** Absent when nothing is probed. */
  readonly probing?: ProbeStatisticsSource | undefined;
  /** Plain counters of what is refused for its amount, to be read anew each time; absent when everything is taken. */
  readonly overload?: { readonly counters: Record<string, number> } | undefined;
  /** Plain counters of the copies of messages, to be read anew each time. */
  readonly tracing?: { readonly counters: Record<string, number> } | undefined;
  /** Plain counters of the requests to management. */
  readonly management?: object | undefined;
  /** Plain counters of what names were found to lead to, to be read anew each time. */
  readonly resolution?: { readonly counters: Record<string, number> } | undefined;
  /** Adds what other threads count. Absent: there are none. */
  readonly threads?: { add(values: Record<string, Record<string, number>>): void } | undefined;
  /** Seconds since the start. */
  readonly uptimeS: () => number;
}

type Values = Record<string, Record<string, number>>;

/** The statistics since the start, or since somebody set one back (OpenSIPS `reset_statistics`). */
export class Statistics {
  readonly #sources: StatisticsSources;
  /** What a counter stood at when it was set back; the counters themselves are never touched. */
  readonly #setBackAt = new Map<string, number>();

  constructor(sources: StatisticsSources) {
    this.#sources = sources;
  }

  read(): Values {
    const values = readStatistics(this.#sources);
    for (const [key, base] of this.#setBackAt) {
      const [group = "", name = ""] = key.split(" ");
      const named = values[group];
      if (named?.[name] !== undefined) named[name] -= base;
    }
    return values;
  }

  /** Since the start, whatever was set back; without what there is of each destination. */
  readWhole(): Values {
    const { probing, ...sources } = this.#sources;
    const values = readStatistics(sources);
    return probing === undefined ? values : { ...values, probing: { ...probing.counters } };
  }

  /** Counts this one from 0 again. The caller knows that it is a counter and no current value. */
  reset(group: string, name: string): void {
    const value = readStatistics(this.#sources)[group]?.[name];
    if (value !== undefined) this.#setBackAt.set(`${group} ${name}`, value);
  }
}

/** Statistics by group and name, under the names of OpenSIPS where it has them. */
function readStatistics(sources: StatisticsSources): Values {
  const values = readOwn(sources);
  sources.threads?.add(values);
  return values;
}

function readOwn(sources: StatisticsSources): Values {
  const { layer, proxyCounters: proxy, transport, dialogs, balancer } = sources;
  const tm = layer.counters;
  const destinations = balancer.destinations();
  const malformed = [...sources.proxy.malformed].map(([code, count]) => [`malformed_${code.replaceAll("-", "_")}`, count] as const);
  return {
    core: {
      rcv_requests: tm.received_requests,
      rcv_replies: tm.received_replies,
      fwd_requests: proxy.fwd_requests,
      fwd_replies: proxy.fwd_replies,
      drop_requests: proxy.drop_requests,
      drop_replies: proxy.drop_replies,
      err_requests: proxy.err_requests,
      bad_msg_hdr: malformed.reduce((sum, [, count]) => sum + count, 0),
      ...Object.fromEntries(malformed),
      loops: proxy.loops,
      too_many_hops: proxy.too_many_hops,
      foreign_routes: proxy.foreign_route,
      not_allowed: proxy.not_allowed,
      script_errors: proxy.script_errors,
      timestamp: sources.uptimeS(),
    },
    net: { ...transport },
    tm: {
      received_replies: tm.received_replies,
      relayed_replies: proxy.fwd_replies,
      local_replies: tm.local_replies,
      UAS_transactions: tm.uas_transactions,
      UAC_transactions: tm.uac_transactions,
      "2xx_transactions": proxy.requests_2xx,
      "3xx_transactions": proxy.requests_3xx,
      "4xx_transactions": proxy.requests_4xx,
      "5xx_transactions": proxy.requests_5xx,
      "6xx_transactions": proxy.requests_6xx,
      inuse_transactions: layer.serverCount,
      retransmission_req: tm.retransmitted_requests,
      retransmission_rpl: tm.retransmitted_responses,
      absorbed_req: tm.absorbed_requests,
      stray_replies: tm.stray_replies,
      stray_acks: tm.stray_acks,
      merged_requests: tm.merged_requests,
      refused_overload: tm.refused_overload,
      timeout_finalresponse: proxy.timeouts_other,
      timeout_finalresponse_inv: proxy.timeouts_invite,
      transport_errors: proxy.transport_errors,
      large_over_tcp: proxy.large_over_tcp,
      large_back_to_udp: proxy.large_back_to_udp,
      failovers: proxy.failovers,
      address_failovers: proxy.address_failovers,
      late_answers: proxy.late_answers,
      orphans_ended: proxy.orphans_ended,
      callers_gone: proxy.callers_gone,
    },
    dialog: { ...dialogs.counters, unknown_dialog: proxy.unknown_dialog, ...sources.keeper?.counters },
    load_balancer: {
      ...balancer.counters,
      destinations: destinations.length,
      destinations_enabled: destinations.filter((destination) => balancer.isEnabled(destination)).length,
      ...sources.table?.counters,
    },
    ...(sources.routing === undefined ? {} : { routing: { ...sources.routing } }),
    ...(sources.dispatcher === undefined ? {} : { dispatcher: { ...sources.dispatcher.counters } }),
    ...(sources.distributor === undefined ? {} : { distributor: { ...sources.distributor.counters } }),
    health: { ...sources.outcomes, ...sources.operators?.counters },
    ...(sources.events === undefined ? {} : { events: { ...sources.events.counters } }),
    ...(sources.registrations === undefined ? {} : { registrar: sources.registrations.counters }),
    ...(sources.overload === undefined ? {} : { overload: sources.overload.counters }),
    ...(sources.tracing === undefined ? {} : { tracing: sources.tracing.counters }),
    ...(sources.management === undefined ? {} : { management: { ...sources.management } }),
    ...(sources.resolution === undefined ? {} : { resolution: sources.resolution.counters }),
    ...(sources.freeswitch === undefined ? {} : { freeswitch: { ...sources.freeswitch.counters } }),
    ...(sources.cluster === undefined ? {} : { clusterer: { ...sources.cluster.counters } }),
    ...(sources.probing === undefined ? {} : { probing: probeStatistics(sources.probing) }),
  };
}
