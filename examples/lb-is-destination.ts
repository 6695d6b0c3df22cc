/**
 * Example 1.17 of the load_balancer manual, `lb_is_destination()`: what comes from a destination goes where it asks to,
 * what comes from anybody else is balanced.
 */
import type { Call } from "../src/index.ts";

export function request(call: Call): void {
  const { address, port } = call.source;
  const sender = call.lb.isDestination(address, port);
  if (sender) {
    call.log.info(`request from destination ${sender.id}`);
    call.relay(); // to the Request-URI
    return;
  }
  if (call.lb.start(1, "conference")) call.relay();
  else call.reply(503, "Service full");
}
