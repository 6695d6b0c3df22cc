import type { Listener } from "./ports.ts";

/**
 * The listener that a message to `address` leaves through, of those of its address family: the preferred one, else the first; but another one when
 * that is bound to loopback and the peer is elsewhere, or the other way round, since nothing would arrive.
 *
 * @param address IP address of the peer, without brackets
 * @param preferred may be of the other family, and is then none
 * @returns `undefined` when no listener is of the peer's address family
 */
export function facingListener<L extends Pick<Listener, "address" | "family">>(
  address: string,
  listeners: readonly L[],
  preferred: L | undefined,
): L | undefined {
  const family = address.includes(":") ? 6 : 4;
  const usual = preferred?.family === family ? preferred : listeners.find((other) => other.family === family);
  if (usual === undefined || listeners.length === 1 || faces(usual, address)) return usual;
  return listeners.find((other) => other.family === family && faces(other, address)) ?? usual;
}

function faces({ address: own }: Pick<Listener, "address">, address: string): boolean {
  return own === "0.0.0.0" || own === "::" || isLoopback(own) === isLoopback(address);
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}
