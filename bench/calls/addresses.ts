/** Loopback addresses of the bench. */
export const ADDRESSES = { kamailio: "127.0.24.2", headroom: "127.0.24.3", caller: "127.0.24.100" } as const;
export const CALLER_PORT = 5091;
/** Of all destinations: one socket of the generator is all of them. */
export const CALLEE_PORT = 25_080;

const HOSTS_A_NET = 250;

/** Destinations, each at an address of its own: 127.25.0.1, … */
export function destinationUris(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `sip:127.25.${Math.trunc(i / HOSTS_A_NET)}.${(i % HOSTS_A_NET) + 1}:${CALLEE_PORT}`);
}
