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

/**
 * Where another node is reached. One on this machine, all of whose addresses are ours too, is so at the loopback addresses as well, which it names to nobody.
 *
 * @param addresses of that node, as {@link ownAddresses} makes them
 * @param own those of this node
 */
export function addressesNearby(addresses: readonly string[], own: readonly string[]): readonly string[] {
  const hosts = new Set(own.map(hostOf));
  if (!addresses.every((address) => hosts.has(hostOf(address)))) return addresses;
  const looped = addresses.map((address) => address.replace(hostOf(address), address.includes("[") ? "[::1]" : "127.0.0.1"));
  return [...new Set([...addresses, ...looped])];
}

/** `192.0.2.1` of `udp:192.0.2.1:5060`. */
function hostOf(address: string): string {
  return address.slice(address.indexOf(":") + 1, address.lastIndexOf(":"));
}
