import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseConfig } from "../../src/config/index.ts";
import { startHeadroom } from "../../test/support/headroom.ts";
import { runKamailio } from "../../test/support/kamailio.ts";
import { freeUdpPort } from "../../test/support/net.ts";
import { ADDRESSES, destinationUris } from "./addresses.ts";

/** More calls than any run has at a time. */
const CAPACITY = 1_000_000;
/** Its transactions stay for a while, and at several thousand calls a second they are many; what is not used costs nothing. */
const KAMAILIO_MEMORY = { sharedMb: 2048, privateMb: 64, allocator: "tlsf" } as const;

/** A proxy that runs. */
export interface RunningProxy {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly pid: number;
  stop(): Promise<void>;
}

/** How to start one. */
export interface ProxyKind {
  readonly name: string;
  /** @param destinations how many  @param workers that take messages over UDP */
  start(destinations: number, workers: number): Promise<RunningProxy>;
}

export const KAMAILIO: ProxyKind = {
  name: "Kamailio",
  async start(destinations, workers) {
    const address = ADDRESSES.kamailio;
    const port = await freeUdpPort(address);
    const text = readFileSync(join(import.meta.dirname, "kamailio.cfg"), "utf8")
      .replace("{workers}", String(workers))
      .replace("{address}", address)
      .replace("{port}", String(port));
    const rows = destinationUris(destinations).map((uri, i) => `1 ${uri} 0 0 duid=d${i + 1};maxload=${CAPACITY}`);
    const kamailio = await runKamailio(address, port, text, { "dispatcher.list": `${rows.join("\n")}\n` }, KAMAILIO_MEMORY);
    return { name: this.name, address, port, pid: kamailio.pid, stop: () => kamailio.stop() };
  },
};

/**
 * Headroom as it is by default. Named are only where it listens, its destinations, and what both proxies are told alike: time limits and what is done after
 * 408 and 5xx. The caller is exempt from the limit of requests of one source, as the trunk of an operator is who has more calls a second than that.
 *
 * @param main the compiled program
 * @param more configuration that a part of the bench compares, YAML
 */
export function headroom(main: string, name = "Headroom", more: Record<string, unknown> = {}): ProxyKind {
  return {
    name,
    async start(destinations, workers) {
      const { overload } = parseConfig("", "the defaults", {});
      const config = {
        ...more,
        ...(workers > 1 && { sip: { workers } }),
        tm: { fr_timeout: 5, fr_inv_timeout: 30 },
        routing: { rules: [{ group: 1, resources: "pstn", failover_on: ["408", "5xx"], max_failovers: 3, disable_on: [] }] },
        overload: { max_lag: overload.max_lag, max_utilization: overload.max_utilization, exempt: [ADDRESSES.caller] },
      };
      const rows = destinationUris(destinations).map((uri) => ({ uri, resources: `pstn=${CAPACITY}` }));
      const running = await startHeadroom(JSON.stringify(config), rows, ADDRESSES.headroom, [], [], main); // JSON is YAML
      return { name, address: running.address, port: running.port, pid: running.pid, stop: () => running.stop() };
    },
  };
}
