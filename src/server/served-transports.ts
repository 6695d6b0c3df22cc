import { parseListen } from "../config/index.ts";
import { SERVED_TRANSPORTS, type Transport } from "../resolution/index.ts";

/** Transports that requests can leave by: those of `sip.listen` that this version serves, the most wanted first. */
export function servedTransports(listen: readonly string[]): readonly Transport[] {
  const listened = new Set<string>(listen.map((text) => parseListen(text).transport));
  return SERVED_TRANSPORTS.filter((transport) => listened.has(transport));
}
