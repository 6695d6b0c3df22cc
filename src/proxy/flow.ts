import type { Dialog } from "../dialog/index.ts";
import { tryParseSipUri, uriParam } from "../sip/index.ts";
import type { Endpoint } from "../transaction/index.ts";

/** Names that lead nowhere (RFC 2606 §2): clients that do not know their address write one (RFC 7118 §5). */
const NOWHERE = /\.invalid\.?$/;
/** What such a URI has in it, for a look before it is parsed. */
const HINT = /\.invalid/i;

/**
 * Whether a request inside a call that goes to `hop` can only take the flow that its receiver was seen on (RFC 5626 §5.3): the connection that it has opened,
 * or over UDP the address that it has sent from. So it is for every WebSocket client, as nobody can connect to one; for a Contact whose host is in `.invalid`;
 * and for a Contact with `ob` of who came by a connection. The token of the flow is the call itself, which our Record-Route names and nobody can guess.
 *
 * @param hop URI of the next hop
 * @param seen where its receiver was last seen
 */
export function isReachedByFlow(hop: string, seen: Endpoint): boolean {
  if (isWebSocket(seen)) return true;
  const isConnected = seen.connection !== undefined;
  if (!isConnected && !HINT.test(hop)) return false;
  const uri = tryParseSipUri(hop);
  return uri !== undefined && (NOWHERE.test(uri.host) || (isConnected && uriParam(uri, "ob") !== undefined));
}

/** Whether the connection of an endpoint has ended. One that was seen by another node is not here either. */
export function isGone(seen: Endpoint): boolean {
  return seen.connection === undefined ? isWebSocket(seen) : !seen.connection.isOpen;
}

/**
 * Where a party is seen from now on, once the other one has accepted a target refresh from it (RFC 3261 §12.2): on the connection that the refresh came by, when
 * its former one has ended. While that is open nobody else can have the requests of this party.
 */
export function flowAfter(seen: Endpoint, refreshedFrom: Endpoint): Endpoint {
  return refreshedFrom.connection !== undefined && isGone(seen) ? refreshedFrom : seen;
}

/**
 * Takes note of where an accepted target refresh of the caller came from. A client that changes its network leaves a connection behind that nobody has closed:
 * that one is asked whether its client is there, and the other one counts when it has ended. As long as the client answers on it nothing changes.
 */
export function callerRefreshed(dialog: Dialog, from: Endpoint): void {
  const { callerEndpoint } = dialog;
  dialog.callerEndpoint = flowAfter(callerEndpoint, from);
  const isElsewhere =
    dialog.callerEndpoint === callerEndpoint && from.connection !== undefined && from.connection !== callerEndpoint.connection;
  dialog.callerReturn = isElsewhere && callerEndpoint.connection !== undefined ? from : undefined;
  if (dialog.callerReturn !== undefined) callerEndpoint.connection?.ask?.();
}

/** Where the caller is reached: where it has come back to, once its former connection has ended. */
export function callerFlow(dialog: Dialog): Endpoint {
  const { callerReturn } = dialog;
  if (callerReturn !== undefined && isGone(dialog.callerEndpoint)) {
    dialog.callerReturn = undefined;
    dialog.callerEndpoint = callerReturn;
  }
  return dialog.callerEndpoint;
}

function isWebSocket({ transport }: Endpoint): boolean {
  return transport === "ws" || transport === "wss";
}
