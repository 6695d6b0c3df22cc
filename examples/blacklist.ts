/**
 * Media servers that nobody reaches by writing their address into a request. It needs a list in the configuration:
 *
 *     load_balancer:
 *       lb_define_blacklist: ["media= 1"]
 */
import type { Call } from "../src/index.ts";

export function request(call: Call): void {
  if (call.isBlacklisted(call.requestUri, "media")) {
    call.log.warn(`${call.source.address} asks for a media server: ${call.requestUri}`);
    call.reply(403, "Forbidden");
    return;
  }
  if (call.ruriUser.startsWith("8")) {
    // a conference
    if (call.lb.start(1, "conference")) call.relay();
    else call.reply(503, "Service full");
    return;
  }
  if (!call.source.address.startsWith("10.")) {
    call.reply(404, "No route");
    return;
  }
  // Phones of ours may call anybody else. A host that is a name may lead to a media server all the same: that is answered 403.
  call.useBlacklist("media");
  call.relay(); // to the Request-URI
}
