import type { SipResponse } from "../sip/index.ts";

const SERVICE_UNAVAILABLE = 503;
/** What FreeSWITCH says when it is paused, full, beyond its sessions-per-second or below its min-idle-cpu (mod_sofia). */
const REASON_PHRASE = /^\s*maximum calls in progress\s*$/i;

/** Whether a server says that it has no room for one more call now: it is neither down nor broken. */
export function lacksRoom(response: Pick<SipResponse, "status" | "reason">): boolean {
  return response.status === SERVICE_UNAVAILABLE && REASON_PHRASE.test(response.reason);
}
