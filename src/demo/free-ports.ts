import { randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/** Below the ports that systems give to whoever asks for any (32768 and above on Linux): no program gets one of these by chance. */
const FIRST_PORT = 20_000;
const END_OF_PORTS = 32_768;
/** Ports that are tried for each that is wanted. */
const MAX_TRIES = 50;

/**
 * UDP ports of `address` that nobody uses, all different. They are free now; nothing keeps them free.
 *
 * @throws Error when the address is none of this machine, or too many ports are taken
 */
export async function freeUdpPorts(address: string, count: number): Promise<number[]> {
  const sockets: Socket[] = [];
  try {
    while (sockets.length < count) sockets.push(await anyOf(address));
    return sockets.map((socket) => socket.address().port);
  } finally {
    await Promise.all(sockets.map((socket) => once(socket.close(), "close")));
  }
}

async function anyOf(address: string): Promise<Socket> {
  for (let tries = 1; ; tries++) {
    const socket = createSocket("udp4");
    try {
      socket.bind(randomInt(FIRST_PORT, END_OF_PORTS), address);
      await once(socket, "listening");
      return socket;
    } catch (error) {
      socket.close();
      if (tries === MAX_TRIES || (error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
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
