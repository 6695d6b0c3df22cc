import { QueuedStateStore } from "../../src/store/state-store.ts";
import { WriterThread } from "../../src/store/writer-thread.ts";

/* A program that stops while its database thread hangs. Argument: "close" closes first, "exit" ends at once, after the thread has hung for a while. */
const log = {
  info: (_: object, message: string) => process.stdout.write(`${message}\n`),
  error: (_: object, message: string) => process.stdout.write(`${message}\n`),
};
const thread = new WriterThread({ file: "stuck.db", table: "load_balancer" }, log, {
  worker: new URL("./worker-that-hangs.ts", import.meta.url),
  closeMs: 200,
});
const states = new QueuedStateStore(
  { read: async () => ({ states: [], problems: [] }), write: (batch) => thread.run("write states", batch) },
  log,
  { flushMs: 300 },
);
while (!thread.isUp) await new Promise((resolve) => setTimeout(resolve, 10));
states.save({
  id: 1,
  group: 1,
  uri: "sip:192.0.2.1",
  enabled: false,
  autoReenable: false,
  draining: false,
  drainDeadlineMs: 0,
  drainBye: false,
  changedAtMs: 0,
  cause: "mi",
});
const from = performance.now();
if (process.argv[2] === "close") {
  await states.close();
  await thread.close();
} else {
  void states.settled();
  await new Promise((resolve) => setTimeout(resolve, 2_600));
}
process.stdout.write(`stopped after ${Math.round((performance.now() - from) / 100) * 100} ms\n`);
process.exit(0);
