import type { ServerResponse } from "node:http";
import { Server } from "node:net";

/**
 * Accepts no more. Its own close would end connections on which the next request may be under way: that is answered, by the next process, and its
 * connection ends with the answer.
 */
export function leaveToNext(management: Server): void {
  Server.prototype.close.call(management);
  management.prependListener("request", (_request: unknown, response: ServerResponse) => {
    response.shouldKeepAlive = false;
  });
}
