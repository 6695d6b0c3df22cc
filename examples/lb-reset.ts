/**
 * Example 1.15 of the load_balancer manual, `lb_reset()`: a 5xx goes on in the same session; after a time-out
 * the session is flushed and a new one may choose any destination again.
 */
import type { Call } from "../src/index.ts";

export function request(call: Call): void {
  if (call.lb.start(1, "transcoding;conference")) call.relay();
  else call.reply(503, "Service full");
}

export function failure(call: Call): void {
  if (call.statusIs("(5[0-9][0-9])")) {
    if (call.lb.next()) {
      call.log.info(`new destination is ${call.destinationUri}`);
      call.relay();
    }
  } else if (call.statusIs("(408)") && !call.vars.has("restarted")) {
    call.vars.set("restarted", true); // once: a new session could choose the silent destination for ever
    call.lb.reset();
    if (call.lb.start(1, "conference")) call.relay();
  }
}
