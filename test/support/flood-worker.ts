import { createSocket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import type { FloodOptions, FloodResult } from "./flood.ts";

const PAUSE_MS = 2;

/** Sends at a steady rate from a thread of its own, and counts what the system took. */
async function flood({ to, from, ratePerS, durationMs, datagrams }: FloodOptions): Promise<FloodResult> {
  const socket = createSocket({ type: "udp4", sendBufferSize: 4_194_304 });
  let received = 0;
  socket.on("message", () => received++);
  socket.bind(0, from);
  await once(socket, "listening");
  socket.connect(to.port, to.address);
  await once(socket, "connect");
  const bytes = datagrams.map((text) => Buffer.from(text, "latin1"));
  let sent = 0;
  let failed = 0;
  let given = 0;
  const done = (error: Error | null): void => void (error === null ? sent++ : failed++);
  const beganMs = performance.now();
  for (let passedMs = 0; passedMs < durationMs; passedMs = performance.now() - beganMs) {
    for (const due = (passedMs * ratePerS) / 1000; given < due; given++) socket.send(bytes[given % bytes.length]!, done);
    await sleep(PAUSE_MS);
  }
  while (sent + failed < given) await sleep(PAUSE_MS);
  const tookMs = performance.now() - beganMs;
  await sleep(200); // what is answered late
  socket.close();
  return { sent, failed, received, tookMs };
}

parentPort?.postMessage(await flood(workerData as FloodOptions));
