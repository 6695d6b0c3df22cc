/**
 * Calls go to the carriers of the list "carriers" in turn, by weight: what `sofia/gateway/${distributor(carriers)}/$1` does in a dial plan of
 * FreeSWITCH. A carrier that refuses a call or does not answer is followed by another one; none gets the same call twice.
 */
import type { Call } from "../src/index.ts";

export function request(call: Call): void {
  if (!call.distribute("carriers")) {
    call.reply(503, "No carrier");
    return;
  }
  call.log.info(`sending call to ${call.distributedNode}`);
  call.relay();
}

export function failure(call: Call): void {
  if (!call.cancelled && call.statusIs("408|5..") && call.distributeNext()) call.relay();
}
