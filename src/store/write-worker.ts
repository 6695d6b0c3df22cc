import { parentPort, workerData } from "node:worker_threads";
import type { DatabasePlace, JobReply, JobRequest } from "./jobs.ts";

/*
 * The thread that works on the database file while the main one handles calls. It does one job after the other: SQLite waits for a lock or a disk
 * without letting anything else of its thread run, so a second job would only wait for the first in a worse place.
 *
 * What does the jobs is loaded with the first one: many a program never has one, and that is 15 MB.
 */

const place = workerData as DatabasePlace;
const port = parentPort;
if (port === null) throw new Error("Cannot run the database thread by itself: want a worker of WriterThread");
let isLoaded = false;
let turn: Promise<void> = Promise.resolve();
port.on("message", (request: JobRequest) => {
  turn = turn.then(async () => port.postMessage(await answer(request)));
});
port.postMessage({ ready: true } satisfies JobReply);

async function answer(request: JobRequest): Promise<JobReply> {
  const { doJob } = await import("./write-jobs.ts");
  if (!isLoaded) port?.postMessage({ loaded: true } satisfies JobReply);
  isLoaded = true;
  return doJob(place, request);
}
