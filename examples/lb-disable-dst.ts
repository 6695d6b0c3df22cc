/**
 * Example 1.16 of the load_balancer manual, `lb_disable_dst()`: a destination that failed a call gets no other one
 * until it is enabled again (`headroom mi lb_status ID 1`).
 */
import type { Call } from "../src/index.ts";

export function request(call: Call): void {
  if (call.lb.start(1, "conference")) call.relay();
  else call.reply(503, "Service full");
}

export function failure(call: Call): void {
  if (call.statusIs("(408)|(5[0-9][0-9])")) {
    call.lb.disableDst();
    if (call.lb.next()) {
      call.log.info(`new destination is ${call.destinationUri}`);
      call.relay();
    } else {
      call.reply(500, "Error");
    }
  }
}
