/** Example 1.14 of the load_balancer manual, `lb_next()`: a destination that does not answer, or answers 5xx, is passed over. */
import type { Call } from "../src/index.ts";

export function request(call: Call): void {
  if (call.lb.start(1, "conference")) call.relay();
  else call.reply(503, "Service full");
}

export function failure(call: Call): void {
  if (call.statusIs("(408)|(5[0-9][0-9])")) {
    // check the next available destination; without one the caller gets the best response so far
    if (call.lb.next()) {
      call.log.info(`new destination is ${call.destinationUri}`);
      call.relay();
    }
  }
}
