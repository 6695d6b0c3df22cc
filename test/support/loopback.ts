import { networkInterfaces } from "node:os";

/** Whether this machine has ::1. Some containers have no IPv6 at all. */
export function hasIpv6Loopback(): boolean {
  return ownAddresses().includes("::1");
}

/** Loopback addresses of this machine: 127.0.0.1, and ::1 where it has IPv6. */
export function loopbacks(): string[] {
  return hasIpv6Loopback() ? ["127.0.0.1", "::1"] : ["127.0.0.1"];
}

/** IPv4 addresses of the interfaces of this machine, 127.0.0.1 first. */
export function ipv4Addresses(): string[] {
  return [...new Set(["127.0.0.1", ...ownAddresses().filter((address) => !address.includes(":"))])];
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses) => (addresses ?? []).map(({ address }) => address));
}
