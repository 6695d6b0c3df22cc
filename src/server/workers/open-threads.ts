import type { Logger } from "pino";
import type { Config } from "../../config/index.ts";
import type { SipThreads } from "./sip-threads.ts";

/** The threads that the configuration wants; undefined when the main thread handles SIP itself. @throws Error that names the address when a port cannot be had */
export async function openThreads(config: Config, log: Logger): Promise<SipThreads | undefined> {
  if (config.sip.workers === 1) return undefined;
  const { SipThreads } = await import("./sip-threads.ts"); // memory that one thread does not need
  return SipThreads.open(config, log);
}

/** The configuration as the main thread has it: where others handle calls, it remembers neither messages nor decisions, as it sees none. */
export function configOfMain(config: Config): Config {
  if (config.sip.workers === 1) return config;
  return { ...config, tracing: { ...config.tracing, ring_size: 0, hep_url: null }, explain: { ...config.explain, calls: 0 } };
}
