/**
 * Example 1.13 of the load_balancer manual, `lb_start()`: every call goes to the destination of group 1
 * that can transcode, can hold conferences, and has the largest free slot for the scarcer of the two.
 */
import type { Call } from "../src/index.ts";

export function request(call: Call): void {
  if (call.lb.start(1, "transcoding;conference")) {
    // the destination URI points to the new destination; the Request-URI is as it came
    call.log.info(`sending call to ${call.destinationUri}`);
    call.relay();
    return;
  }
  call.reply(503, "Service full");
}
