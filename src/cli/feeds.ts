import type { FeedOptions } from "../balancer/index.ts";
import type { Config } from "../config/index.ts";
import { freeswitchFeeds } from "../freeswitch/index.ts";

/** What rows may name in place of capacities with this configuration. */
export function feedsOf({ load_balancer }: Config): FeedOptions | undefined {
  return load_balancer.fetch_freeswitch_stats ? freeswitchFeeds(load_balancer.initial_freeswitch_load) : undefined;
}
