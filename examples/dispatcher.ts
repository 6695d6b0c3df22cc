/**
 * Calls go to the destinations of set 1 of the dispatcher in turn, and what these call themselves goes to set 2: ds_select_dst, ds_next_dst,
 * ds_mark_dst and ds_is_from_list of Kamailio in a route module.
 */
import type { Call } from "../src/index.ts";

export function request(call: Call): void {
  const set = call.ds.isFromList(1) === undefined ? 1 : 2;
  if (!call.ds.selectDst(set, "round-robin")) {
    call.log.warn(`no destination in set ${set}: ${call.ds.failure}`);
    call.reply(503, "No destination");
    return;
  }
  call.relay();
}

export function failure(call: Call): void {
  if (call.cancelled || !call.statusIs("408|5..")) return;
  if (call.failureCause !== "response") call.ds.markDst("tp");
  if (call.ds.nextDst()) call.relay();
}
