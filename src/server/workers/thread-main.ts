import { getHeapStatistics } from "node:v8";
import { parentPort, workerData } from "node:worker_threads";
import { createLog } from "../../observability/log.ts";
import type { ThreadSetup } from "./messages.ts";
import { startSipThread } from "./sip-thread.ts";

/** How often the memory is looked at, ms. */
const MEMORY_MS = 500;
/** A thread that uses so much of the memory that it may have ends: beyond that Node.js would end it in the middle of something. */
const MAX_MEMORY_SHARE = 0.95;
const EXIT_NO_MEMORY = 12;

const setup = workerData as ThreadSetup;
const log = createLog(setup.config.log.level).child({ worker: setup.self });
// As in the main thread: an exit would cost every ongoing call of this thread, for the moment until they are restored.
process.on("uncaughtException", (error) => log.error({ err: error }, "unexpected fault: going on"));
process.on("unhandledRejection", (error) => log.error({ err: error }, "unexpected rejection: going on"));

const exit = process.exit.bind(process);
let close = (): void => undefined;
try {
  close = await startSipThread(setup, parentPort!, log, leave);
} catch (error) {
  // A thread that cannot start must end, so that another one is tried.
  parentPort!.postMessage({ kind: "failed", reason: error instanceof Error ? error.message : String(error) });
  exit(1);
}
// What waits for sockets by system calls must be told of nothing in a thread that is no more, and a thread must not end while it is being told: either would
// end the whole program. So whoever ends the thread, a route module say, closes the sockets first, and it ends a moment later.
process.exit = (code) => {
  leave(Number(code ?? 0));
  throw new Error("the thread that handles this call ends");
};
setInterval(() => {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics();
  if (used < limit * MAX_MEMORY_SHARE) return;
  log.error({ used, limit }, "SIP thread has no memory left: it ends, and another one takes its place");
  leave(EXIT_NO_MEMORY);
}, MEMORY_MS);

function leave(code: number): void {
  close();
  setImmediate(() => exit(code));
}
