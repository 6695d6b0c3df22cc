import { connect, createServer } from "node:net";
import type { StreamSockets } from "./stream-listener.ts";

/** SIP over plain TCP. */
export const TCP_SOCKETS: StreamSockets = {
  transport: "tcp",
  serve: ({ accepted, ready }) =>
    createServer((socket) => {
      if (accepted(socket)) ready(socket, true);
    }),
  connect({ host, port, localAddress }, onReady) {
    return connect({ host, port, ...(localAddress !== undefined && { localAddress }) }, onReady);
  },
};
