import { networkInterfaces } from "node:os";
import type { Listener } from "../transaction/index.ts";

/** Addresses that are told to the other nodes: a machine with more interfaces has one of these to be reached at. */
const MAX_ADDRESSES = 32;

/**
 * Where others reach listeners of this machine, such as `udp:192.0.2.1:5060`: the bound addresses, and for a wildcard those of the interfaces.
 *
 * @param advertised `sip.advertised_address`: comes first
 */
export function ownAddresses(
  listeners: readonly Pick<Listener, "transport" | "address" | "port">[],
  advertised: string | null,
  interfaces: typeof networkInterfaces = networkInterfaces,
): string[] {
  const addresses = new Set<string>();
  for (const { transport, address, port } of listeners) {
    if (advertised !== null) addresses.add(`${transport}:${/:\d+$/.test(advertised) ? advertised : `${advertised}:${port}`}`);
    const hosts = isWildcard(address) ? addressesOf(address.includes(":") ? "IPv6" : "IPv4", interfaces) : [address];
    for (const host of hosts) addresses.add(`${transport}:${host.includes(":") ? `[${host}]` : host}:${port}`);
  }
  return [...addresses].slice(0, MAX_ADDRESSES);
}

function isWildcard(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

/** Those that others can reach; the loopback address where there is no other. */
function addressesOf(family: "IPv4" | "IPv6", interfaces: typeof networkInterfaces): string[] {
  const all = Object.values(interfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((address) => address.family === family);
  const outer = all.filter(({ internal }) => !internal);
  return (outer.length > 0 ? outer : all).map(({ address }) => address);
}
