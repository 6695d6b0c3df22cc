import { canonicalIp } from "../balancer/index.ts";
import type { Dialog } from "../dialog/index.ts";
import { uriScheme } from "../sip/index.ts";
import type { Endpoint } from "../transaction/index.ts";
import type { ProxyCore } from "./core.ts";
import { isSecure } from "./next-hop.ts";
import type { TargetGuard } from "./ports.ts";
import { type UriTarget, uriTargets } from "./uri-targets.ts";

/** RFC 5630 §5.3: a sips request never goes on without TLS, and its caller learns why. */
const SIPS_NOT_ALLOWED = ["Warning", '380 headroom "SIPS Not Allowed"'] as const;

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
  return accepts(core, dialog, target);
}

/** What a request inside a dialog says of its way, by URIs. */
export interface WrittenWay {
  /** Next hop; where its host is, {@link mayReach} tells. */
  readonly hop: string;
  /** Where elements behind the next hop send it: Request-URI and further Routes. */
  readonly beyond: readonly string[];
  /** Contact and route set of the side that it is for. */
  readonly ofPeer: readonly string[];
  /** Where that side was last seen. */
  readonly peer: Endpoint;
}

/**
 * Whether every target that the sender of a message inside a dialog has written into it may be reached: an allowed next hop would take it to a `maddr` or a
 * further Route. What the other side of the call asked for itself is no target of the sender's. Only to be asked when the dialog {@link isGuarded}.
 */
export function mayName(core: ProxyCore, dialog: Dialog, { hop, beyond, ofPeer, peer }: WrittenWay): boolean {
  const written = [...uriTargets(hop).slice(1), ...beyond.flatMap(uriTargets)];
  if (written.length === 0) return true;
  const known: readonly Pick<UriTarget, "address" | "port">[] = [peer, ...ofPeer.flatMap(uriTargets)];
  return written.every(
    (target) =>
      known.some(({ address, port }) => port === target.port && isSameIp(address, target.address)) || accepts(core, dialog, target),
  );
}

function accepts(core: ProxyCore, dialog: Dialog, target: UriTarget): boolean {
  return (core.router.guard?.accepts(target) ?? true) && (dialog.guard?.accepts(target) ?? true);
}

/** Why an initial request does not go to its targets, and because of which. */
export interface Refusal {
  readonly target: Endpoint;
  readonly status: number;
  readonly reason: string;
  readonly headers?: readonly (readonly [string, string])[];
}

/** What keeps an initial request with this Request-URI from these targets; undefined: it may go. A guard does not let a `maddr` take it further either. */
export function refusalOf(targets: readonly Endpoint[], requestUri: string, guard: TargetGuard | undefined): Refusal | undefined {
  const insecure = uriScheme(requestUri) === "sips" ? targets.find((target) => !isSecure(target)) : undefined;
  if (insecure !== undefined) return { target: insecure, status: 480, reason: "Temporarily Unavailable", headers: [SIPS_NOT_ALLOWED] };
  if (guard === undefined) return undefined;
  const beyond = uriTargets(requestUri).slice(1);
  const denied = targets.find((target) => !guard.accepts(target) || !beyond.every((further) => guard.accepts(further)));
  return denied && { target: denied, status: 403, reason: "Target Not Allowed" };
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
