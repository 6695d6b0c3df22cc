import type { CalleeLeg, Dialog } from "../dialog/index.ts";
import { buildRequest, parseNameAddr, type SipResponse } from "../sip/index.ts";
import type { ClientUser, Endpoint } from "../transaction/index.ts";
import { makeBranch } from "./branch-id.ts";
import type { ProxyCore } from "./core.ts";
import { callerFlow } from "./flow.ts";
import { viaValue } from "./forward.ts";
import { isStrictRouter } from "./loose-route.ts";
import { nextHop } from "./next-hop.ts";
import { mayReach } from "./target-guard.ts";

const NO_FINGERPRINT = "00000000";
const MAX_FORWARDS = 70;
/** RFC 3261 §8.1.1.5. A side that has used the last number cannot be followed: the BYE is then refused, but it ends the call for us. */
const MAX_CSEQ = 2 ** 31 - 1;

/** A call that we end ourselves has ended, whatever the peers say to our BYE. */
const IGNORE: ClientUser = { response() {}, timeout() {}, transportError() {} };

type Headers = readonly (readonly [string, string])[];

/** One request inside a dialog, in the name of one side. */
interface Inside {
  readonly from: string;
  readonly to: string;
  readonly cseq: number;
  readonly contact: string;
  readonly routes: readonly string[];
  /** Where the peer was last seen: used when its Contact names no address that we can reach, or one that it may not have us reach. */
  readonly fallback: Endpoint;
}

/** Sends BYE to both sides of a call (OpenSIPS `dlg_end_dlg`). Lost or refused BYEs change nothing: the dialog has ended for us. */
export function hangUpBoth(core: ProxyCore, dialog: Dialog, headers: Headers = []): void {
  for (const leg of dialog.legs) {
    if (leg.state !== "confirmed") continue;
    send(core, dialog, "BYE", towardsCallee(dialog, leg, dialog.callerCseq + 1), headers);
    send(core, dialog, "BYE", towardsCaller(dialog, leg), headers);
  }
}

/**
 * A destination answered 2xx to a call that is over for its caller: acknowledge it and hang up, or it would wait for the caller forever.
 * @param target where the INVITE of that answer went
 */
export function endOrphan(core: ProxyCore, dialog: Dialog, response: SipResponse, target: Endpoint): void {
  const leg = dialog.learnLeg(response, "confirmed");
  if (leg === undefined) return;
  core.counters.orphans_ended++;
  send(core, dialog, "ACK", towardsCallee(dialog, leg, response.cseqNumber, target), []);
  if (leg.state === "ended") return; // a copy of the 2xx: only its ACK was lost
  leg.state = "ended";
  send(core, dialog, "BYE", towardsCallee(dialog, leg, dialog.callerCseq + 1, target), []);
}

function towardsCallee(dialog: Dialog, leg: CalleeLeg, cseq: number, target = dialog.calleeEndpoint): Inside {
  return {
    from: dialog.fromValue,
    to: withTag(dialog.toValue, leg.tag),
    cseq,
    contact: leg.contact,
    routes: leg.routeSet,
    fallback: target ?? dialog.callerEndpoint,
  };
}

function towardsCaller(dialog: Dialog, leg: CalleeLeg): Inside {
  return {
    from: withTag(dialog.toValue, leg.tag),
    to: dialog.fromValue,
    cseq: leg.cseq + 1,
    contact: dialog.callerContact,
    routes: dialog.callerRouteSet,
    fallback: callerFlow(dialog),
  };
}

function withTag(value: string, tag: string): string {
  return tag === "" ? value : `${value};tag=${tag}`;
}

function send(core: ProxyCore, dialog: Dialog, method: "ACK" | "BYE", inside: Inside, headers: Headers): void {
  const { fallback } = inside;
  const host = fallback.address.includes(":") ? `[${fallback.address}]` : fallback.address;
  const contact = inside.contact || `sip:${host}:${fallback.port}`;
  const first = inside.routes[0];
  const hop = first === undefined ? contact : routeUriOf(first);
  // A strict router wants itself in the Request-URI, and the target in the last Route (RFC 3261 §12.2.1.1).
  const strict = first !== undefined && isStrictRouter(hop);
  const uri = strict ? hop : contact;
  const routes = strict ? [...inside.routes.slice(1), `<${contact}>`] : inside.routes;
  const found = nextHop(core.network, hop, fallback);
  if (found instanceof Promise) found.then((target) => transmit(target ?? fallback)).catch(() => undefined);
  else transmit(found ?? fallback);

  function transmit(wanted: Endpoint): void {
    const target = mayReach(core, dialog, { target: wanted, peer: fallback, isOfPeer: true }) ? wanted : fallback;
    const branch = makeBranch(NO_FINGERPRINT, core.layer.chance.token());
    const text = buildRequest({
      method,
      uri,
      via: viaValue(target, branch),
      from: inside.from,
      to: inside.to,
      callId: dialog.callId,
      cseq: Math.min(inside.cseq, MAX_CSEQ),
      maxForwards: MAX_FORWARDS,
      routes,
      headers,
    });
    if (method === "ACK") core.layer.wire.send(text, target);
    else core.layer.send({ method, text, branch, target, timeoutMs: core.timeouts.frMs }, IGNORE);
  }
}

/** URI of a Route value; empty when it cannot be read. */
export function routeUriOf(route: string): string {
  try {
    return parseNameAddr(route).uri;
  } catch {
    return "";
  }
}
