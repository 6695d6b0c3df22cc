import { type Dialog, type DialogMatch, DialogState } from "../dialog/index.ts";
import {
  type MalformedMessage,
  parseMessage,
  type SipRequest,
  type SipResponse,
  SipSyntaxError,
  tryParseSipUri,
  uriScheme,
} from "../sip/index.ts";
import type { Endpoint, ServerTransaction, TransactionUser } from "../transaction/index.ts";
import { isLoop, loopFingerprint, mayBeBack } from "./branch-id.ts";
import { DEFAULT_PORT, type ProxyCore } from "./core.ts";
import { type Found, Searches, WaitingRequest } from "./elsewhere.ts";
import { hangUpAgain, hangUpBoth } from "./hangup.ts";
import { forwardAck, forwardAckOfRefusal, InDialogContext } from "./in-dialog.ts";
import { isOwnUri, planRoute, type RoutePlan } from "./loose-route.ts";
import { LostAnswers } from "./lost-answers.ts";
import { LostInvites } from "./lost-invites.ts";
import { Pinger, type VerdictThatEnds } from "./pinger.ts";
import { RequestContext } from "./request-context.ts";
import { checkLimits, type Refusal, validate } from "./validate.ts";

/** What a caller may send to us at all; the others belong inside a dialog. */
const ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY";
/** Methods that may open something, besides those that rules name (RFC 3261 §21.4.6). */
const ALLOW_INITIAL = "INVITE, ACK, CANCEL, OPTIONS";
const REGISTER = "REGISTER";
/** There is no room for calls, or this is a stop: somebody else may have room, and we in a while. */
const LEAVING: Refusal = { status: 503, reason: "Service Unavailable", headers: [["Retry-After", "10"]] };
/** Seconds after which a request inside a call that nobody can tell of may come again: Redis has mostly failed over by then. */
const UNKNOWN_RETRY_AFTER_S = "2";

/** A stateful proxy that stays in the path of the calls it balances (RFC 3261 §16). */
export class SipProxy implements TransactionUser {
  readonly #core: ProxyCore;
  /** Malformed messages by what is wrong with them. */
  readonly malformed = new Map<string, number>();
  readonly #searches: Searches;
  readonly #lost: LostAnswers;
  readonly #lostInvites: LostInvites;
  readonly #pinger: Pinger | undefined;
  #acceptsCalls = true;

  constructor(core: ProxyCore) {
    this.#core = core;
    this.#searches = new Searches(core);
    this.#lost = new LostAnswers(core, this.#searches);
    this.#lostInvites = new LostInvites(core);
    core.dialogs.earlyLifetimeMs = core.timeouts.frInviteMs;
    core.layer.user = this;
    core.dialogs.onExpired = (dialog) => (dialog.state === DialogState.Deleted ? hangUpAgain : hangUpBoth)(core, dialog);
    this.#pinger = core.pings && new Pinger(core, core.pings);
    core.dialogs.pings = this.#pinger;
  }

  /** New calls are refused from now on; ongoing ones go on. */
  stopAccepting(): void {
    this.#acceptsCalls = false;
  }

  /**
   * One message from the wire, one character a byte (latin1). Never throws.
   *
   * @param isReturned another process of this program has looked at it, and says that it is for this one
   */
  receive(text: string, source: Endpoint, isReturned = false): void {
    let message: ReturnType<typeof parseMessage> | undefined;
    try {
      message = parseMessage(text);
      if (message.kind === "malformed") this.#refuseMalformed(message as MalformedMessage, source);
      else if (message.kind === "response" && !this.#isForOurVia(message as SipResponse)) this.#core.counters.drop_replies++;
      else if (isReturned || this.#core.divide?.takes(message as SipRequest | SipResponse, text, source) !== true)
        this.#core.layer.receive(message as SipRequest | SipResponse, source);
    } catch (error) {
      // One message that shows a fault of ours must not end the calls of all others.
      const callId = message === undefined || message.kind === "malformed" ? undefined : message.callId;
      this.#core.log.error({ err: error, callId, source: `${source.address}:${source.port}` }, "cannot process a message: internal error");
    }
  }

  request(transaction: ServerTransaction): void {
    const { request } = transaction;
    const refusal = validate(request, this.#core);
    if (refusal !== undefined) {
      this.#refuse(transaction, refusal);
      return;
    }
    let route: RoutePlan;
    try {
      route = planRoute(request, this.#core.network, transaction.source);
    } catch (error) {
      if (!(error instanceof SipSyntaxError)) throw error;
      this.#refuse(transaction, { status: 400, reason: "Bad Route" });
      return;
    }
    if (request.toTag === "" && !this.#isOfTaglessCall(request, route)) this.#initial(transaction, route);
    else this.#inDialog(transaction, route);
  }

  ack(request: SipRequest, source: Endpoint): void {
    const { layer, dialogs, counters } = this.#core;
    if (request.maxForwards === 0) {
      layer.counters.stray_acks++;
      return;
    }
    try {
      const route = planRoute(request, this.#core.network, source);
      const match = dialogs.match(route.did, request);
      if (mayBeBack(request) && isLoop(request, loopFingerprint(request), this.#core.network)) {
        layer.counters.stray_acks++;
        counters.drop_requests++;
        return;
      }
      const isSearched =
        this.#mayBeElsewhere(route.did, match) &&
        this.#searches.start(route.did, request, (found) =>
          this.#passAck(request, source, this.#matchAfter(found, route.did, request), route),
        );
      if (!isSearched) this.#passAck(request, source, match, route);
    } catch (error) {
      if (!(error instanceof SipSyntaxError)) throw error;
      counters.drop_requests++;
    }
  }

  strayCancel(transaction: ServerTransaction): boolean {
    return this.#lostInvites.cancel(transaction);
  }

  strayResponse(response: SipResponse): void {
    const branch = this.#core.abandoned.get(response.topVia.branch);
    if (branch !== undefined && response.cseqMethod === "INVITE") branch.lateAnswer(response);
    else this.#lost.receive(response);
  }

  /**
   * Has the callee of a call asked once, after some time, whether it still has the call. False, and nothing is done, when it is asked anyway, and when the
   * call is not up.
   */
  verify(dialog: Dialog, afterMs: number, ends?: VerdictThatEnds): boolean {
    return this.#pinger?.verify(dialog, afterMs, ends) ?? false;
  }

  /** Asks the parties of a call now: another node, which may not end it, says that one of them is silent. */
  askNow(dialog: Dialog): void {
    this.#pinger?.askNow(dialog);
  }

  /** Ends a call from our side (OpenSIPS `dlg_end_dlg`): BYE to both when it is up, else CANCEL and 487. */
  endDialog(dialog: Dialog, headers: readonly (readonly [string, string])[] = []): void {
    if (dialog.state === DialogState.Deleted) return;
    if (dialog.state >= DialogState.ConfirmedNoAck) {
      hangUpBoth(this.#core, dialog, headers);
      this.#core.dialogs.end(dialog, "MI Termination");
      return;
    }
    if (dialog.pending === undefined) this.#lostInvites.abort(dialog);
    else dialog.pending.abort(487, "Request Terminated");
    this.#core.dialogs.end(dialog, "MI Termination");
  }

  /** A callee of RFC 2543 has no tag, so neither have the requests to it: our Route tells that they are of a call. */
  #isOfTaglessCall(request: SipRequest, route: RoutePlan): boolean {
    return route.did !== undefined && this.#core.dialogs.match(route.did, request)?.dialog.findLeg("") !== undefined;
  }

  #initial(transaction: ServerTransaction, route: RoutePlan): void {
    const { request, source } = transaction;
    const core = this.#core;
    const registrar = request.method === REGISTER ? core.registrar : undefined;
    const routed = request.method === "INVITE" || core.router.handles(request.method);
    if (request.method === "INVITE" && this.#lostInvites.passCopy(transaction, route)) {
      transaction.drop();
      return;
    }
    const screening = core.overload?.screen(request, source.address);
    if (screening !== undefined) {
      if (screening === "forbid") this.#turnAway(transaction, 403, "Forbidden");
      else transaction.drop();
      return;
    }
    // A server that comes up is at an address that nobody has listed yet: its password is what lets it in.
    if (registrar === undefined && !core.network.isAllowed(source)) {
      core.counters.not_allowed++;
      this.#refuse(transaction, { status: 403, reason: "Forbidden" });
    } else if (route.nextRoute !== undefined) {
      // A Route that is not ours would have us send where the sender likes: we are no open relay.
      core.counters.foreign_route++;
      this.#refuse(transaction, { status: 403, reason: "Preloaded Route Not Allowed" });
    } else if (registrar !== undefined) {
      const { status, reason, headers } = registrar.handle(request, source);
      if (status < 300) transaction.reply(status, reason, headers);
      else this.#replyStateless(transaction, status, reason, headers);
    } else if (!routed && request.method === "OPTIONS" && this.#isForUs(route.requestUri)) {
      // Who asks whether we are there learns that we leave, and sends its calls elsewhere.
      if (!this.#acceptsCalls) this.#refuse(transaction, LEAVING);
      else this.#replyStateless(transaction, 200, "OK", this.#capabilities());
    } else if (!routed) {
      this.#refuse(transaction, { status: 405, reason: "Method Not Allowed", headers: [["Allow", this.#allow(ALLOW_INITIAL)]] });
    } else if (isSip(request.uri) && tryParseSipUri(request.uri) === undefined) {
      this.#refuse(transaction, { status: 400, reason: "Bad Request-URI" });
    } else if (request.fromTag === "" && request.method === "INVITE") {
      this.#refuse(transaction, { status: 400, reason: "Bad From: tag is missing" });
    } else if (!this.#acceptsCalls || (request.method === "INVITE" && core.dialogs.full)) {
      this.#refuse(transaction, LEAVING);
    } else {
      const exhausted = checkLimits(request, core);
      const waitS = exhausted === undefined ? (core.overload?.refusalS(request) ?? 0) : 0;
      if (exhausted !== undefined) this.#refuse(transaction, exhausted);
      else if (waitS > 0) this.#turnAway(transaction, 503, "Service Unavailable", [["Retry-After", String(waitS)]]);
      else new RequestContext(core, transaction, route).start();
    }
  }

  #inDialog(transaction: ServerTransaction, route: RoutePlan): void {
    const { request } = transaction;
    const match = this.#core.dialogs.match(route.did, request);
    if (this.#mayBeElsewhere(route.did, match)) {
      const waiting = new WaitingRequest(this.#core, transaction);
      const goOn = (found: Found): void => {
        if (!waiting.isCancelled) this.#passFound(transaction, found, route);
      };
      if (this.#searches.start(route.did, request, goOn)) {
        if (request.method === "INVITE") transaction.reply(100, "Trying");
        return;
      }
    }
    this.#pass(transaction, match, route);
  }

  /** A fault must not leave a transaction behind that nobody ends. */
  #passFound(transaction: ServerTransaction, found: Found, route: RoutePlan): void {
    try {
      const match = this.#matchAfter(found, route.did, transaction.request);
      if (match === undefined && found === "unknown") this.#putOff(transaction);
      else this.#pass(transaction, match, route, true);
    } catch (error) {
      transaction.reply(500, "Server Internal Error");
      throw error;
    }
  }

  #pass(transaction: ServerTransaction, match: DialogMatch | undefined, route: RoutePlan, isTryingSent = false): void {
    const { request } = transaction;
    const over = match !== undefined && match.dialog.state === DialogState.Deleted && request.method !== "BYE";
    if (match === undefined || over) {
      this.#core.counters.unknown_dialog++;
      this.#refuse(transaction, { status: 481, reason: "Call/Transaction Does Not Exist" });
    } else {
      const exhausted = checkLimits(request, this.#core);
      if (exhausted === undefined) this.#lostInvites.requestInside(match, request);
      if (exhausted === undefined) new InDialogContext(this.#core, transaction, match, route).start(isTryingSent);
      else this.#refuse(transaction, exhausted);
    }
  }

  /**
   * Nobody can say whether there is such a call. 481 would end it for the side that asks, and leave it to the other one for ever. Without an answer a BYE
   * comes again for 32 s (RFC 3261 §17.1.2.2), and is asked for each time; the others are told that it is not their call that is wrong.
   */
  #putOff(transaction: ServerTransaction): void {
    if (transaction.request.method !== "BYE") {
      this.#refuse(transaction, { status: 503, reason: "Call Not Reachable", headers: [["Retry-After", UNKNOWN_RETRY_AFTER_S]] });
      return;
    }
    this.#core.counters.drop_requests++;
    transaction.drop();
  }

  /** Whether another node may have the call: a `did` that is not known here says more than a call with the same Call-ID, which may be another pass of it. */
  #mayBeElsewhere(did: string | undefined, match: DialogMatch | undefined): boolean {
    const { elsewhere, dialogs } = this.#core;
    if (elsewhere === undefined || (did !== undefined && dialogs.knows(did))) return false;
    return match === undefined || did !== undefined;
  }

  #matchAfter(found: Found, did: string | undefined, request: SipRequest): DialogMatch | undefined {
    if (found === undefined || found === "unknown" || !found.isGuest) return this.#core.dialogs.match(did, request);
    const { dialog } = found;
    const direction = dialog.callId === request.callId ? dialog.directionOf(request) : undefined;
    return direction && { dialog, direction };
  }

  #passAck(request: SipRequest, source: Endpoint, match: DialogMatch | undefined, route: RoutePlan): void {
    if (match !== undefined) this.#lostInvites.acknowledged(match, request, source, route);
    if (match === undefined) {
      this.#core.layer.counters.stray_acks++;
      this.#core.counters.drop_requests++;
    } else if (match.dialog.isRefused) forwardAckOfRefusal(this.#core, request, source, match.dialog, route);
    else forwardAck(this.#core, request, source, match, route);
  }

  /** A response whose top Via is not ours was not meant for us (RFC 3261 §18.1.2). */
  #isForOurVia(response: SipResponse): boolean {
    const { host, port } = response.topVia;
    return this.#core.network.isOwn(host, port ?? DEFAULT_PORT);
  }

  #isForUs(uriText: string): boolean {
    const uri = tryParseSipUri(uriText);
    return uri !== undefined && isOwnUri(uri, this.#core.network);
  }

  #capabilities(): readonly (readonly [string, string])[] {
    return [
      ["Allow", this.#allow(ALLOW)],
      ["Accept", "application/sdp"],
    ];
  }

  #allow(methods: string): string {
    return this.#core.registrar === undefined ? methods : `${methods}, ${REGISTER}`;
  }

  /**
   * What nobody but us answers is forgotten at once, unless an ACK has to come: a copy is answered again, and a flood of requests takes no places from
   * those of calls.
   */
  #replyStateless(transaction: ServerTransaction, status: number, reason: string, headers?: readonly (readonly [string, string])[]): void {
    this.#core.layer.replyStateless(transaction.request, transaction.source, status, reason, headers);
    transaction.drop();
  }

  /** Refuses a request of any method without keeping anything, as there may be very many (RFC 3261 §8.2.7). */
  #turnAway(transaction: ServerTransaction, status: number, reason: string, headers?: readonly (readonly [string, string])[]): void {
    this.#core.counters.err_requests++;
    this.#replyStateless(transaction, status, reason, headers);
  }

  #refuse(transaction: ServerTransaction, refusal: Refusal): void {
    this.#core.counters.err_requests++;
    const { status, reason, headers } = refusal;
    if (transaction.request.method === "INVITE") transaction.reply(status, reason, headers);
    else this.#replyStateless(transaction, status, reason, headers);
  }

  #refuseMalformed(message: MalformedMessage, source: Endpoint): void {
    this.malformed.set(message.code, (this.malformed.get(message.code) ?? 0) + 1);
    if (message.answerable === undefined) {
      this.#core.counters.drop_requests++;
      return;
    }
    this.#core.counters.err_requests++;
    this.#core.layer.replyStateless(message.answerable, source, message.status, message.reason);
  }
}

function isSip(uri: string): boolean {
  const scheme = uriScheme(uri);
  return scheme === "sip" || scheme === "sips";
}
