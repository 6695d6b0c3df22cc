import { type Config, parseListen } from "../../config/index.ts";
import { NodeSockets } from "../../transport/node-socket.ts";
import { bindHint, bracketed } from "../../transport/udp.ts";
import type { ThreadPlace } from "./messages.ts";

/**
 * The ports of all threads: those that the configuration names, and one for each thread and each of them. Nobody else has them: each was bound alone.
 *
 * @throws Error that names the address when one cannot be bound
 */
export async function threadPlaces({ listen, workers, worker_ports: firstPort }: Config["sip"]): Promise<ThreadPlace[]> {
  const places: ThreadPlace[] = [];
  for (const [i, configured] of listen.entries()) {
    const { address, port } = parseListen(configured);
    const bound = await tryPort(address, port, "change sip.listen");
    const first = firstPort > 0 ? firstPort + i * workers : bound.port + 1;
    const ownPorts = Array.from({ length: workers }, (_, thread) => first + thread);
    for (const own of ownPorts) await tryPort(address, own, "a worker thread wants it: set sip.worker_ports");
    places.push({ configured, ...bound, ownPorts });
  }
  return places;
}

async function tryPort(address: string, port: number, remedy: string): Promise<{ address: string; port: number }> {
  try {
    const socket = await new NodeSockets().bind(address, port, false);
    const place = socket.address();
    await socket.close();
    return place;
  } catch (error) {
    const isTaken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
    const reason = isTaken ? `another program uses this address and port; ${remedy}` : bindHint(error as NodeJS.ErrnoException);
    throw new Error(`Cannot listen on udp:${bracketed(address)}:${port}: ${reason}`, { cause: error });
  }
}
