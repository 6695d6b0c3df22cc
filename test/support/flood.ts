import { Worker } from "node:worker_threads";

/** A flood of datagrams. */
export interface FloodOptions {
  readonly to: { readonly address: string; readonly port: number };
  /** Address that it comes from. */
  readonly from: string;
  /** Ports that it comes from in turn; one when it is not said. What comes back is counted on the first. */
  readonly sources?: number;
  readonly ratePerS: number;
  readonly durationMs: number;
  /** Sent in turn, one character a byte. */
  readonly datagrams: readonly string[];
}

/** What really was sent. */
export interface FloodResult {
  readonly sent: number;
  /** Datagrams that the system did not take. */
  readonly failed: number;
  /** Datagrams that came back. */
  readonly received: number;
  readonly tookMs: number;
}

/** Sends a flood from a thread of its own, and tells what it sent. */
export async function flood(options: FloodOptions): Promise<FloodResult> {
  const { to, from, sources = 1, ratePerS, durationMs, datagrams } = options;
  const workerData: FloodOptions = { to: { address: to.address, port: to.port }, from, sources, ratePerS, durationMs, datagrams };
  const worker = new Worker(new URL("./flood-worker.ts", import.meta.url), { workerData });
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}
