import { contactUri, type Dialog, type DialogMatch, DialogState } from "../dialog/index.ts";
import { asRequestUri, buildRequest, type SipRequest } from "../sip/index.ts";
import { CANCEL_WAIT_MS, type ClientUser, type Endpoint, type ServerTransaction } from "../transaction/index.ts";
import type { ProxyCore } from "./core.ts";
import { forwardedRequest, viaValue } from "./forward.ts";
import { sendInside, towardsCallee } from "./inside-request.ts";
import type { RoutePlan } from "./loose-route.ts";

/** How the end of a call that nobody answers is found out: it is taken back, then its callee is asked whether it has it. */
const Step = { Waits: 0, TakenBack: 1, Asked: 2 } as const;
/** Longer than an answer to a request inside a call is waited for, beyond `fr_timeout`, ms. */
const ASK_GRACE_MS = 1_000;

/**
 * INVITEs whose transactions were lost with their node, of calls that go on here: what their callers and our own timers ask of them. Their answers are
 * passed on without a transaction (lost-answers.ts).
 */
export class LostInvites {
  readonly #core: ProxyCore;

  constructor(core: ProxyCore) {
    this.#core = core;
    core.dialogs.onUnanswered = (dialog) => this.#unanswered(dialog);
  }

  /** A CANCEL for an INVITE of which no transaction is known (RFC 3261 §16.10). False, and nothing is done, when no such call is waited for. */
  cancel(transaction: ServerTransaction): boolean {
    const { request, source } = transaction;
    const dialog = this.#of(request, source);
    if (dialog === undefined) return false;
    transaction.reply(200, "canceling");
    this.#takeBack(dialog);
    return true;
  }

  /** Asks the destination to end a call that is ended here, and that it has not answered. What it says to that still passes, or is hung up. */
  abort(dialog: Dialog): void {
    if (!isWaited(dialog)) return;
    this.#sendCancel(dialog);
    dialog.isRefused = true;
  }

  /** Asks the destination to end a call that it has not answered: its answer, or its silence, then ends it here. */
  #takeBack(dialog: Dialog): void {
    if (dialog.lostSteps >= Step.TakenBack) return;
    dialog.lostSteps = Step.TakenBack;
    this.#core.dialogs.takenBack(dialog, CANCEL_WAIT_MS); // before it is sent: that it cannot be may be told at once
    this.#sendCancel(dialog);
  }

  /**
   * A copy of the INVITE: its caller has heard nothing yet, and its destination perhaps neither. It goes the same way again, with the same branch, as
   * through a stateless proxy (RFC 3261 §16.11). False, and nothing is done, when it is none.
   */
  passCopy({ request, source }: ServerTransaction, route: RoutePlan): boolean {
    const dialog = this.#of(request, source);
    const target = dialog?.calleeEndpoint;
    if (dialog === undefined || target === undefined) return false;
    const { layer, counters, defaultMaxForwards } = this.#core;
    counters.fwd_requests++;
    const { popRoutes, dropLastRoute } = route;
    const text = forwardedRequest(request, source, {
      ...{ branch: dialog.inviteBranch, target, requestUri: dialog.inviteUri, popRoutes, dropLastRoute },
      ...{ appendRoute: undefined, pushRoutes: [], defaultMaxForwards, did: dialog.did, addHeaders: [], removeHeaders: [] },
    });
    layer.wire.send(text, target);
    return true;
  }

  /**
   * An ACK of a call that is not up here: its 2xx passed when nobody saw it. Or its refusal did: then the ACK goes to us alone, without the Route and to the
   * same Request-URI as the INVITE (RFC 3261 §17.1.1.3), and the call is over.
   */
  acknowledged({ dialog, direction }: DialogMatch, request: SipRequest, source: Endpoint, route: RoutePlan): void {
    if (!isWaited(dialog) || direction !== "downstream" || request.cseqNumber !== dialog.inviteCseq) return;
    const known = dialog.findLeg(request.toTag)?.contact;
    if (route.did === dialog.did || (known !== undefined && known === route.requestUri)) {
      this.#core.dialogs.foundUp(dialog, request.toTag, known || route.requestUri);
    } else if (source.address === dialog.callerEndpoint.address) {
      dialog.isRefused = true;
      this.#core.dialogs.end(dialog, "Rejected");
    }
  }

  /** Only a call that is up has re-INVITEs, and only one that is up is ended by its callee (RFC 3261 §14.1, §15). */
  requestInside({ dialog, direction }: DialogMatch, request: SipRequest): void {
    if (!isWaited(dialog)) return;
    const { dialogs } = this.#core;
    if (direction === "upstream") {
      if (request.method === "BYE" || request.method === "INVITE") dialogs.foundUp(dialog, request.fromTag, contactUri(request));
    } else if (request.method === "INVITE") dialogs.foundUp(dialog, request.toTag);
  }

  #of(request: SipRequest, source: Endpoint): Dialog | undefined {
    const dialog = this.#core.dialogs.lostInvite(request);
    return dialog?.callerEndpoint.address === source.address ? dialog : undefined;
  }

  /** Nobody has answered in time. After the CANCEL only a call of which all answers were lost is left: it may have been up for long. */
  #unanswered(dialog: Dialog): number | undefined {
    const leg = dialog.leg;
    if (dialog.lostSteps === Step.Waits) {
      dialog.lostSteps = Step.TakenBack;
      this.#sendCancel(dialog);
      return CANCEL_WAIT_MS;
    }
    if (dialog.lostSteps === Step.Asked || leg === undefined || leg.state !== "early") return undefined;
    dialog.lostSteps = Step.Asked;
    const core = this.#core;
    const { dialogs } = core;
    const over = (): void => dialogs.end(dialog, "Unanswered");
    const user: ClientUser = {
      response: (_, { status }) => {
        if (status >= 300) over();
        else if (status >= 200) dialogs.foundUp(dialog, leg.tag);
      },
      timeout: over,
      transportError: over,
    };
    sendInside(core, dialog, { method: "OPTIONS", inside: towardsCallee(dialog, leg, dialog.callerCseq), user, failed: over });
    return core.timeouts.frMs + ASK_GRACE_MS;
  }

  #sendCancel(dialog: Dialog): void {
    const { calleeEndpoint: target, inviteBranch: branch, inviteUri, inviteCseq: cseq, callId, fromValue: from, toValue: to } = dialog;
    if (target === undefined || inviteUri === "") return;
    const { layer, timeouts } = this.#core;
    const text = buildRequest({ method: "CANCEL", uri: asRequestUri(inviteUri), via: viaValue(target, branch), from, to, callId, cseq });
    // Who rings says 200 to the CANCEL, and then the outcome in the answer of the INVITE (RFC 3261 §9.1). Who does not ring any more can be asked at once.
    const ask = (): void => {
      if (isWaited(dialog) && dialog.lostSteps === Step.TakenBack && dialog.leg !== undefined) this.#core.dialogs.takenBack(dialog, 0);
    };
    const user: ClientUser = {
      response: (_, { status }) => {
        if (status >= 300) ask();
      },
      timeout() {},
      transportError: ask,
    };
    layer.send({ method: "CANCEL", text, branch, target, timeoutMs: timeouts.frMs }, user);
  }
}

function isWaited({ isRestored, isGuest, state }: Dialog): boolean {
  return isRestored && !isGuest && state < DialogState.ConfirmedNoAck;
}
