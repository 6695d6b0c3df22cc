import { writeFileSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";

/* A database thread that takes a while to load what its first job needs, and leaves a mark when it has. It never does the job. */
const LOADING_MS = 300;
parentPort?.once("message", () => {
  setTimeout(() => {
    writeFileSync(`${(workerData as { file: string }).file}.loaded`, "");
    parentPort?.postMessage({ loaded: true });
  }, LOADING_MS);
});
parentPort?.postMessage({ ready: true });
