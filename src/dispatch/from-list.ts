import type { Destination } from "./destination.ts";
import type { DestinationSet } from "./destination-set.ts";
import { isOpen } from "./state.ts";

/** Bits of the mode of `ds_is_from_list`. Without any of them address, port and transport have to be the same. */
export const MATCH_NO_PORT = 1;
export const MATCH_NO_TRANSPORT = 2;
/** Only active and trying destinations. */
export const MATCH_ACTIVE = 4;
/** Only destinations without a socket, or with the one that the request came to. */
export const MATCH_SOCKET = 8;
/** The best of those that have the address: with the same port, transport and socket, as many of them as possible. */
export const MATCH_BEST = 16;
/** The mode when none is given. */
export const DEFAULT_MATCH = MATCH_NO_TRANSPORT;

/** Where a request came from. */
export interface Source {
  /** In the spelling of `Destination.addresses`. */
  readonly address: string;
  readonly port: number;
  /** In lower case; "" is that of a URI that names none. */
  readonly transport: string;
  /** Whether it came to the socket that a destination names by `socket` or `sockname`. Absent: no. */
  isSocketOf?(destination: Destination): boolean;
}

/**
 * The destination that a request came from, as `ds_is_from_list` finds it: the first in the order of the set, sets by their ids. A destination
 * without port has any. Source: Kamailio, `ds_is_addr_from_set`.
 *
 * @param mode bits `MATCH_*`
 */
export function findSource(sets: Iterable<DestinationSet>, source: Source, mode: number): Destination | undefined {
  let best: Destination | undefined;
  let bestScore = 0;
  for (const { destinations } of sets) {
    for (const destination of destinations) {
      if (!isMatch(destination, source, mode)) continue;
      if ((mode & MATCH_BEST) === 0) return destination;
      const score = scoreOf(destination, source);
      if (score > bestScore) {
        best = destination;
        bestScore = score;
      }
    }
  }
  return best;
}

function isMatch(destination: Destination, source: Source, mode: number): boolean {
  if (!destination.addresses.includes(source.address)) return false;
  if ((mode & MATCH_ACTIVE) !== 0 && !isOpen(destination.flags)) return false;
  if ((mode & MATCH_SOCKET) !== 0 && hasSocket(destination) && source.isSocketOf?.(destination) !== true) return false;
  if ((mode & MATCH_BEST) !== 0) return true;
  const { port, transport } = destination.target;
  return (
    ((mode & MATCH_NO_PORT) !== 0 || port === 0 || port === source.port) &&
    ((mode & MATCH_NO_TRANSPORT) !== 0 || transport === source.transport)
  );
}

/** Kamailio's order of how strict a match is: socket above transport above port. */
function scoreOf(destination: Destination, source: Source): number {
  const { port, transport } = destination.target;
  const samePort = port !== 0 && port === source.port ? 2 : 0;
  const sameTransport = transport !== "" && transport === source.transport ? 4 : 0;
  const sameSocket = hasSocket(destination) && source.isSocketOf?.(destination) === true ? 8 : 0;
  return 1 + samePort + sameTransport + sameSocket;
}

function hasSocket({ attributes }: Destination): boolean {
  return attributes.socket !== "" || attributes.socketName !== "";
}
