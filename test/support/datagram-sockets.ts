import type { DatagramSockets } from "../../src/transport/datagram-socket.ts";
import { chooseSockets } from "../../src/transport/datagram-sockets.ts";
import { NodeSockets } from "../../src/transport/node-socket.ts";

/** Each way to have UDP sockets that this machine offers, with its name. */
export async function allSockets(): Promise<{ readonly name: string; readonly sockets: DatagramSockets }[]> {
  const all: { name: string; sockets: DatagramSockets }[] = [{ name: "node:dgram", sockets: new NodeSockets() }];
  const { reason, sockets } = await chooseSockets("auto");
  if (reason === undefined) all.push({ name: "system calls", sockets });
  else if (process.platform === "linux") throw new Error(`no system calls: ${reason}`);
  return all;
}
