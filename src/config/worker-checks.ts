import { parseListen } from "./listen.ts";
import type { ConfigValues } from "./schema.ts";

/** What a configuration with several SIP threads cannot have, each with the words for it: nobody has made it know of more than one thread that handles calls. */
export function unsharedKeys(values: ConfigValues): string[] {
  const { cluster, dispatcher, distributor, health, load_balancer, registrar, sip } = values;
  const found: [isUsed: boolean, words: string][] = [
    [sip.listen.some((text) => parseListen(text).transport !== "udp"), "sip.listen has other transports than udp"],
    [cluster.redis_url !== null, "cluster.redis_url makes it a node of a cluster"],
    [registrar.accounts.length > 0, "registrar.accounts lets servers register"],
    [dispatcher.list_file !== null || dispatcher.sets.length > 0 || dispatcher.db_url !== null, "dispatcher has sets"],
    [distributor.list_file !== null || Object.keys(distributor.lists).length > 0, "distributor has lists"],
    [load_balancer.fetch_freeswitch_stats, "load_balancer.fetch_freeswitch_stats has FreeSWITCHes tell capacities"],
    [health.breaker.window > 0, "health.breaker.window opens circuit breakers"],
    [health.max_calls_per_second > 0, "health.max_calls_per_second limits the calls of a second"],
    [values.tracing.opentelemetry, "tracing.opentelemetry has spans of calls sent"],
  ];
  return found.filter(([isUsed]) => isUsed).map(([, words]) => words);
}
