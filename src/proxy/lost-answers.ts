import { canonicalIp } from "../balancer/index.ts";
import { contactUri, type Dialog, type DialogMatch, DialogState } from "../dialog/index.ts";
import { H, MessageEdit, parseNameAddr, parseVia, type SipResponse, type Via } from "../sip/index.ts";
import type { Endpoint } from "../transaction/index.ts";
import { DEFAULT_PORT, DEFAULT_TLS_PORT, type ProxyCore } from "./core.ts";
import type { Searches } from "./elsewhere.ts";
import { endOrphan } from "./hangup.ts";
import { ownDid } from "./loose-route.ts";

/** Passes of one call through the cluster that are looked at in a response: a spiral has several. */
const MAX_PASSES = 4;

/** Responses to requests whose transactions were lost with their node: they go on without one (RFC 3261 §16.7, §16.11). */
export class LostAnswers {
  readonly #core: ProxyCore;
  readonly #searches: Searches;

  constructor(core: ProxyCore, searches: Searches) {
    this.#core = core;
    this.#searches = searches;
  }

  /** Passes on a response that no transaction waits for, now or when its call was found. What belongs to no call that another node began is dropped. */
  receive(response: SipResponse): void {
    if (response.status > 100 && this.#passInside(response)) return;
    const isOfInvite = response.cseqMethod === "INVITE" && response.status > 100;
    const dids = isOfInvite ? this.#didsOf(response) : [];
    const { dialogs, counters } = this.#core;
    for (const did of dids) {
      const dialog = dialogs.matchResponse(did, response);
      if (dialog === undefined) continue;
      this.#pass(dialog, response);
      return;
    }
    const known = isOfInvite && dids.length === 0 ? dialogs.lostInviteOf(response) : undefined;
    if (known !== undefined) {
      this.#pass(known, response);
      return;
    }
    const unknown = dids.filter((did) => !dialogs.knows(did));
    if (!this.#search(response, unknown)) counters.drop_replies++;
  }

  /** Passes on the answer to a request inside a call that is here now, but was not when the request passed. It names no call but by Call-ID and tags. */
  #passInside(response: SipResponse): boolean {
    const { dialogs, counters, layer } = this.#core;
    for (const match of dialogs.matchInside(response)) {
      const asker = match.direction === "downstream" ? match.dialog.callerEndpoint : match.dialog.calleeEndpoint;
      const target = asker && targetAt(asker, response);
      if (target === undefined) continue;
      if (response.status < 300 && response.status >= 200) refreshAnswerer(this.#core, match, response);
      if (response.cseqMethod === "BYE") this.#byeAnswered(match, response);
      dialogs.counters.lost_replies++;
      counters.fwd_replies++;
      layer.wire.send(new MessageEdit(response).removeTopVia().toString(), target);
      return true;
    }
    return false;
  }

  /** A BYE that a former life has passed, perhaps in its last moment: then the call came back with a start, although it is over. */
  #byeAnswered(match: DialogMatch, response: SipResponse): void {
    if (response.status !== 481 && (response.status < 200 || response.status >= 300)) return;
    const { dialogs } = this.#core;
    if (dialogs.awaitsLostByes) dialogs.bye(match, response);
    dialogs.byeOver(match.dialog);
  }

  /** Asks for one call after the other. False when there is nothing to ask. */
  #search(response: SipResponse, dids: readonly string[]): boolean {
    const [did, ...others] = dids;
    if (did === undefined) return false;
    return this.#searches.start(did, response, (found) => {
      if (found !== "unknown" && found?.dialog.owns(response)) this.#pass(found.dialog, response);
      else if (!this.#search(response, others)) this.#core.counters.drop_replies++;
    });
  }

  #didsOf(response: SipResponse): string[] {
    if (response.indexOf(H.RecordRoute) === -1) return [];
    const dids = new Set<string>();
    for (const route of response.list(H.RecordRoute)) {
      if (!route.includes(";did=") || dids.size >= MAX_PASSES) continue;
      const did = didOf(route, this.#core);
      if (did !== undefined) dids.add(did);
    }
    return [...dids];
  }

  #pass(dialog: Dialog, response: SipResponse): void {
    const { dialogs, counters, layer } = this.#core;
    const target = dialog.isRestored ? targetAt(dialog.callerEndpoint, response) : undefined;
    if (target === undefined) {
      counters.drop_replies++;
      return;
    }
    const isOver = dialog.state === DialogState.Deleted;
    if (response.status >= 300) dialogs.refused(dialog, response);
    else if (isOver && response.status >= 200 && (dialog.startedAtMs === 0 || dialog.findLeg(response.toTag) === undefined)) {
      if (dialog.calleeEndpoint !== undefined) endOrphan(this.#core, dialog, response, dialog.calleeEndpoint);
      return;
    } else if (response.status >= 200) dialogs.confirmed(dialog, response);
    else dialogs.provisional(dialog, response);
    dialogs.counters.lost_replies++;
    counters.fwd_replies++;
    layer.wire.send(new MessageEdit(response).removeTopVia().toString(), target);
  }
}

function didOf(route: string, core: ProxyCore): string | undefined {
  try {
    return ownDid(parseNameAddr(route).uri, core.network);
  } catch {
    return undefined; // not written by us
  }
}

/** What the lost transaction would have done: the session goes on (RFC 4028 §8.2), and the side that answers may have moved (RFC 3261 §12.2). The other one's request is lost. */
function refreshAnswerer(core: ProxyCore, { dialog, direction }: DialogMatch, response: SipResponse): void {
  if (response.cseqMethod !== "INVITE" && response.cseqMethod !== "UPDATE") return;
  core.dialogs.refreshed(dialog, response);
  const contact = contactUri(response);
  const leg = dialog.findLeg(direction === "downstream" ? response.toTag : response.fromTag);
  if (contact === "" || leg === undefined) return;
  if (direction === "downstream") leg.contact = contact;
  else dialog.callerContact = contact;
  core.dialogs.changed(dialog);
}

/**
 * The next hop by the Via below ours (RFC 3261 §18.2.2, RFC 3581 §4). It has to be at the address where the side that asked was last seen: what the
 * other one writes there makes us send nothing to anybody else.
 */
function targetAt(asker: Endpoint, response: SipResponse): Endpoint | undefined {
  const via = nextViaOf(response);
  if (via === undefined) return undefined;
  const { transport, address, listener } = asker;
  const host = via.received ?? via.host;
  if (host !== address && canonicalIp(host) !== canonicalIp(address)) return undefined;
  const port = via.rport ?? via.port ?? (via.transport === "TLS" ? DEFAULT_TLS_PORT : DEFAULT_PORT);
  return { transport, address, port, listener };
}

function nextViaOf(response: SipResponse): Via | undefined {
  const value = response.list(H.Via)[1];
  if (value === undefined) return undefined;
  try {
    return parseVia(value);
  } catch {
    return undefined;
  }
}
