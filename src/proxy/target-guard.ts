import { canonicalIp } from "../balancer/index.ts";
import type { Dialog } from "../dialog/index.ts";
import type { Endpoint } from "../transaction/index.ts";
import type { ProxyCore } from "./core.ts";

/** Where a message inside a dialog is about to go, its host name resolved. */
export interface Reach {
  readonly target: Endpoint;
  /** Where the side that it is for was last seen. */
  readonly peer: Endpoint;
  /** That side asked for it, by its Contact or its Route set; false: the sender of the message writes it. */
  readonly isOfPeer: boolean;
}

/**
 * Whether a message inside a dialog may go there: what is kept from callers in an initial request is kept from them in the requests after it,
 * else one allowed call would open the way to everything. The guard of the router in use decides, so that it holds through a reload, and the one
 * that a script put on the call.
 *
 * The other side of the call is always reached, where it was seen last. Where it wants to be reached instead is believed when it is a destination,
 * or the address stays the same; anybody else could write the address of a destination into its Contact.
 */
export function mayReach(core: ProxyCore, dialog: Dialog, { target, peer, isOfPeer }: Reach): boolean {
  if (!isGuarded(core, dialog)) return true;
  const isSameAddress = isSameIp(target.address, peer.address);
  if (isSameAddress && target.port === peer.port && target.transport === peer.transport) return true;
  if (isOfPeer && (isSameAddress || isOfDestination(core, dialog, peer))) return true;
  return (core.router.guard?.accepts(target) ?? true) && (dialog.guard?.accepts(target) ?? true);
}

/** Whether there is anything that the parties of this call cannot reach. */
export function isGuarded(core: ProxyCore, dialog: Dialog): boolean {
  return core.router.guard !== undefined || dialog.guard !== undefined;
}

/** A row that a reload removed is remembered by the calls that it has. */
function isOfDestination(core: ProxyCore, dialog: Dialog, { address, port }: Endpoint): boolean {
  if (core.balancer.isDestination(address, port) !== undefined) return true;
  return dialog.load.destination?.addresses.some((known) => known.port === port && isSameIp(known.ip, address)) ?? false;
}

function isSameIp(one: string, other: string): boolean {
  if (one === other) return true;
  const ip = canonicalIp(one);
  return ip !== undefined && ip === canonicalIp(other);
}
