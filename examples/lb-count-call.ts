/**
 * Example 1.18 of the load_balancer manual, `lb_count_call()`: calls that a destination makes itself are load
 * of that destination too, although nothing is chosen for them.
 */
import type { Call } from "../src/index.ts";

export function request(call: Call): void {
  const { address, port } = call.source;
  if (call.lb.isDestination(address, port)) {
    // inbound call from a destination
    call.lb.countCall(address, port, -1, "conference");
    call.relay(); // to the Request-URI
    return;
  }
  // outbound call to the destinations
  if (!call.lb.loadBalance(1, "conference")) {
    call.reply(503, "unavailable");
    return;
  }
  call.log.info(`sending call to ${call.destinationUri}`);
  call.relay();
}
