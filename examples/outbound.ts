/**
 * Calls of both directions on the same books, with `lb_is_destination()` and `lb_count_call()`: what a media server calls itself occupies it
 * as much as what it is sent. When the carrier refuses such a call, the count is taken back before another carrier is tried.
 */
import type { Call } from "../src/index.ts";

const CARRIERS = ["sip:198.51.100.10", "sip:198.51.100.20"];

export function request(call: Call): void {
  const { address, port } = call.source;
  if (call.lb.isDestination(address, port)) toCarrier(call, 0);
  else if (call.lb.start(1, "conference")) call.relay();
  else call.reply(503, "Service full");
}

export function failure(call: Call): void {
  const carrier = call.vars.get("carrier");
  if (typeof carrier === "number") {
    const { address, port } = call.source;
    call.lb.countCall(address, port, -1, "conference", true); // undo
    if (call.statusIs("408|5..")) toCarrier(call, carrier + 1);
  } else if (call.statusIs("408|5..") && call.lb.next()) {
    call.relay();
  }
}

/** Without a further carrier nothing is decided: the best answer so far goes back. */
function toCarrier(call: Call, carrier: number): void {
  const { address, port } = call.source;
  if (CARRIERS[carrier] === undefined) return;
  call.lb.countCall(address, port, -1, "conference");
  call.vars.set("carrier", carrier);
  call.destinationUri = CARRIERS[carrier];
  call.relay();
}
