import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import type { FloodOptions, FloodResult } from "./flood.ts";

const PAUSE_MS = 2;

async function connected(from: string, to: FloodOptions["to"]): Promise<Socket> {
  const socket = createSocket({ type: from.includes(":") ? "udp6" : "udp4", sendBufferSize: 4_194_304 });
  socket.on("error", () => undefined); // told to who sends
  socket.bind(0, from);
  await once(socket, "listening");
  socket.connect(to.port, to.address);
  await once(socket, "connect");
  return socket;
}

/** Sends at a steady rate from a thread of its own, and counts what the system took. */
async function flood({ to, from, sources = 1, ratePerS, durationMs, datagrams }: FloodOptions): Promise<FloodResult> {
  const sockets = await Promise.all(Array.from({ length: sources }, () => connected(from, to)));
  let received = 0;
  sockets[0]!.on("message", () => received++);
  const bytes = datagrams.map((text) => Buffer.from(text, "latin1"));
  let sent = 0;
  let failed = 0;
  let given = 0;
  const done = (error: Error | null): void => void (error === null ? sent++ : failed++);
  const beganMs = performance.now();
  for (let passedMs = 0; passedMs < durationMs; passedMs = performance.now() - beganMs) {
    for (const due = (passedMs * ratePerS) / 1000; given < due; given++) {
      sockets[given % sources]!.send(bytes[given % bytes.length]!, done);
    }
    await sleep(PAUSE_MS);
  }
  while (sent + failed < given) await sleep(PAUSE_MS);
  const tookMs = performance.now() - beganMs;
  await sleep(200); // what is answered late
  for (const socket of sockets) socket.close();
  return { sent, failed, received, tookMs };
}

parentPort?.postMessage(await flood(workerData as FloodOptions));
