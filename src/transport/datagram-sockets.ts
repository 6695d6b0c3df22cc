import { randomUUID } from "node:crypto";
import type { Listener } from "../transaction/index.ts";
import type { DatagramHandler, DatagramSockets } from "./datagram-socket.ts";
import { NodeSockets } from "./node-socket.ts";
import { SocketMemory } from "./socket-memory.ts";
import { SourceTable } from "./source-table.ts";
import { loadSystemCalls, type SystemCalls } from "./system-calls.ts";
import { SystemSockets } from "./system-socket.ts";

/** How long a datagram may take from a socket to itself, in milliseconds, before system calls are taken for unusable here. */
const TRIAL_MS = 2_000;
const TRIAL_ADDRESS = "127.0.0.1";

export interface ChosenSockets {
  readonly sockets: DatagramSockets;
  /** Why they are those of node:dgram. Undefined: they are on direct system calls. */
  readonly reason: string | undefined;
}

/**
 * How this thread has its UDP sockets.
 *
 * @param mode `auto`: on direct system calls where they work, which a datagram to itself shows; `off`: by node:dgram
 */
export async function chooseSockets(mode: "auto" | "off", load: () => Promise<SystemCalls> = loadSystemCalls): Promise<ChosenSockets> {
  if (mode === "off") return { sockets: new NodeSockets(), reason: "sip.udp_system_calls is off" };
  try {
    const calls = await load();
    const sockets = new SystemSockets(calls, new SocketMemory(calls));
    await tryOut(sockets);
    return { sockets, reason: undefined };
  } catch (error) {
    return { sockets: new NodeSockets(), reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Sends something to itself. @throws Error when it does not arrive as it was sent */
async function tryOut(sockets: SystemSockets): Promise<void> {
  const socket = await sockets.bind(TRIAL_ADDRESS, 0, false);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error("a datagram does not arrive at its own socket")), TRIAL_MS);
  try {
    const { port } = socket.address();
    const text = randomUUID();
    const handler: DatagramHandler = {
      received: (bytes, start, end, source) => {
        if (source.port === port && source.address === TRIAL_ADDRESS && bytes.toString("latin1", start, end) === text) resolve();
      },
      receiveFailed: reject,
      sendFailed: (_text, _owner, error) => reject(error),
      lost: () => undefined,
    };
    socket.start(
      handler,
      new SourceTable({ transport: "udp", address: TRIAL_ADDRESS, port, family: 4, sentByFor: () => TRIAL_ADDRESS } as Listener),
    );
    socket.send(text, TRIAL_ADDRESS, port, undefined);
    await promise;
  } finally {
    clearTimeout(timer);
    await socket.close();
  }
}
