import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/** UDP ports of `address` that nobody uses, all different. They are free now; nothing keeps them free. */
export async function freeUdpPorts(address: string, count: number): Promise<number[]> {
  const sockets = Array.from({ length: count }, () => createSocket("udp4").bind(0, address));
  await Promise.all(sockets.map((socket) => once(socket, "listening")));
  const ports = sockets.map((socket) => socket.address().port);
  await Promise.all(sockets.map((socket) => once(socket.close(), "close")));
  return ports;
}

/** A TCP port of `address` that nobody uses. It is free now; nothing keeps it free. */
export async function freeTcpPort(address: string): Promise<number> {
  const server = createServer().listen(0, address);
  await once(server, "listening");
  const bound = server.address();
  await once(server.close(), "close");
  if (bound === null || typeof bound === "string") throw new Error(`Cannot find a free TCP port on ${address}`);
  return bound.port;
}
