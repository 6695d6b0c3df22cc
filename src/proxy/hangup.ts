import type { CalleeLeg, Dialog } from "../dialog/index.ts";
import type { SipResponse } from "../sip/index.ts";
import type { ClientUser, Endpoint } from "../transaction/index.ts";
import type { ProxyCore } from "./core.ts";
import { type Inside, type InsideRequest, sendInside, towardsCallee, towardsCaller } from "./inside-request.ts";

type Headers = NonNullable<InsideRequest["headers"]>;

/** Sends BYE to both sides of a call (OpenSIPS `dlg_end_dlg`). Lost or refused BYEs change nothing: the dialog has ended for us. */
export function hangUpBoth(core: ProxyCore, dialog: Dialog, headers: Headers = []): void {
  for (const leg of dialog.legs) if (leg.state === "confirmed") hangUpLeg(core, dialog, leg, headers);
}

/** Sends BYE to the caller and to one of the callees that have answered it. */
export function hangUpLeg(core: ProxyCore, dialog: Dialog, leg: CalleeLeg, headers: Headers = []): void {
  sendByes(core, dialog, [towardsCallee(dialog, leg, dialog.callerCseq + 1), towardsCaller(dialog, leg, leg.cseq + 1)], headers);
}

/**
 * Sends what a former life would have gone on to send of a call that was over: BYEs of its own, and those that it had passed, in the place of a party that has
 * perhaps died with it. Who knows already says 481.
 */
export function hangUpAgain(core: ProxyCore, dialog: Dialog): void {
  hangUpBoth(core, dialog);
  for (const leg of dialog.legs) {
    // Which of the two has sent it is not known. It has the number that its sender has used last.
    if (leg.state === "ended")
      sendByes(core, dialog, [towardsCallee(dialog, leg, dialog.callerCseq), towardsCaller(dialog, leg, leg.cseq)]);
  }
}

function sendByes(core: ProxyCore, dialog: Dialog, all: readonly Inside[], headers: Headers = []): void {
  for (const inside of all) {
    core.dialogs.byes.sent(dialog); // before it is sent: that it cannot be may be told at once
    sendInside(core, dialog, { method: "BYE", inside, headers, ...outcomeOf(core, dialog) });
  }
}

/** Whatever is said to our BYE, and if that is nothing: there is no more that we can do. */
function outcomeOf({ dialogs }: ProxyCore, dialog: Dialog): { readonly user: ClientUser; readonly failed: () => void } {
  const over = (): void => dialogs.byeOver(dialog, true);
  return { user: { response: (_, { status }) => status >= 200 && over(), timeout: over, transportError: over }, failed: over };
}

/**
 * A destination answered 2xx to a call that is over for its caller: acknowledge it and hang up, or it would wait for the caller forever.
 * @param target where the INVITE of that answer went
 */
export function endOrphan(core: ProxyCore, dialog: Dialog, response: SipResponse, target: Endpoint): void {
  const leg = dialog.learnLeg(response, "confirmed");
  if (leg === undefined) return;
  core.counters.orphans_ended++;
  sendInside(core, dialog, { method: "ACK", inside: towardsCallee(dialog, leg, response.cseqNumber, target) });
  if (leg.state === "ended") return; // a copy of the 2xx: only its ACK was lost
  leg.state = "ended";
  sendInside(core, dialog, { method: "BYE", inside: towardsCallee(dialog, leg, dialog.callerCseq + 1, target) });
}
