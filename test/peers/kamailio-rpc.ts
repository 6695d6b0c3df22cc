import { freeUdpPort } from "../support/net.ts";
import { type DispatcherPeer, startDispatcherPeer } from "./kamailio-dispatcher.ts";

/** What an HTTP server answered to one body. */
export interface RpcExchange {
  /** What was sent. */
  readonly sent: string;
  readonly status: number;
  readonly type: string;
  /** The body as it came. */
  readonly text: string;
}

/** A Kamailio whose JSON-RPC is asked over HTTP, as `jsonrpcs` and `xhttp` offer it at `/RPC`. */
export interface RpcPeer {
  readonly peer: DispatcherPeer;
  readonly url: string;
}

/** Starts Kamailio with a dispatcher list and JSON-RPC over HTTP. @param params as of {@link startDispatcherPeer} */
export async function startRpcPeer(
  address: string,
  list: string,
  params: Readonly<Record<string, string | number>> = {},
): Promise<RpcPeer> {
  const port = await freeUdpPort(address); // a port that is free for UDP is as good as any other for TCP
  const core = `
disable_tcp=no
tcp_children=1
tcp_accept_no_cl=yes
http_reply_parse=yes
listen=tcp:${address}:${port}
loadmodule "xhttp.so"
event_route[xhttp:request] {
  jsonrpc_dispatch();
}
`;
  const peer = await startDispatcherPeer(address, list, params, core);
  return { peer, url: `http://${address}:${port}/RPC` };
}

/** Posts a body as it is. */
export async function exchange(url: string, sent: string): Promise<RpcExchange> {
  const response = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: sent });
  return { sent, status: response.status, type: response.headers.get("content-type") ?? "", text: await response.text() };
}
