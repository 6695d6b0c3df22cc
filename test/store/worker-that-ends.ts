import { existsSync, rmSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";

/* A database thread that ends with its first job, in the way that a file DATABASE.throw or DATABASE.exit says, and afterwards does as the real one. */
const { file } = workerData as { file: string };
const mark = [`${file}.throw`, `${file}.exit`].find((path) => existsSync(path));
if (mark === undefined) await import("../../src/store/write-worker.ts");
else {
  parentPort?.once("message", () => {
    rmSync(mark);
    if (mark.endsWith(".exit")) process.exit(7);
    throw new Error("a fault of the thread");
  });
}
