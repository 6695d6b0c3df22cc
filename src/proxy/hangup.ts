import type { CalleeLeg, Dialog } from "../dialog/index.ts";
import type { SipResponse } from "../sip/index.ts";
import type { Endpoint } from "../transaction/index.ts";
import type { ProxyCore } from "./core.ts";
import { type InsideRequest, sendInside, towardsCallee, towardsCaller } from "./inside-request.ts";

type Headers = NonNullable<InsideRequest["headers"]>;

/** Sends BYE to both sides of a call (OpenSIPS `dlg_end_dlg`). Lost or refused BYEs change nothing: the dialog has ended for us. */
export function hangUpBoth(core: ProxyCore, dialog: Dialog, headers: Headers = []): void {
  for (const leg of dialog.legs) if (leg.state === "confirmed") hangUpLeg(core, dialog, leg, headers);
}

/** Sends BYE to the caller and to one of the callees that have answered it. */
export function hangUpLeg(core: ProxyCore, dialog: Dialog, leg: CalleeLeg, headers: Headers = []): void {
  sendInside(core, dialog, { method: "BYE", inside: towardsCallee(dialog, leg, dialog.callerCseq + 1), headers });
  sendInside(core, dialog, { method: "BYE", inside: towardsCaller(dialog, leg, leg.cseq + 1), headers });
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
