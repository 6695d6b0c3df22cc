import { parentPort, workerData } from "node:worker_threads";
import { asStoreError, type Connection, connect } from "./connection.ts";
import { readRows } from "./destination-rows.ts";
import type { DatabasePlace, DialogJobKind, JobKind, JobReply, JobRequest, Jobs } from "./jobs.ts";
import { writeRegistrations } from "./registration-row.ts";
import { writeStates } from "./state-row.ts";

/*
 * The thread that works on the database file while the main one handles calls. It does one job after the other: SQLite waits for a lock or a disk
 * without letting anything else of its thread run, so a second job would only wait for the first in a worse place.
 */

/** How long a job waits for another program's write, ms. Whoever asked tries again; a stop waits as long for a thread that waits. */
const BUSY_MS = 1_000;

type Here = Exclude<JobKind, DialogJobKind>;
type Work<Kind extends JobKind> = (db: Connection, input: Jobs[Kind]["input"]) => Promise<Jobs[Kind]["output"]>;

const place = workerData as DatabasePlace;
const work: { readonly [Kind in Here]: Work<Kind> } = {
  "write states": async (db, states) => void (await writeStates(db, place.table, states)),
  "write registrations": async (db, changes) => void (await writeRegistrations(db, place.table, changes)),
  "read destinations": (db) => readRows(db, place),
};

const port = parentPort;
if (port === null) throw new Error("Cannot run the database thread by itself: want a worker of WriterThread");
let turn: Promise<void> = Promise.resolve();
port.on("message", (request: JobRequest) => {
  turn = turn.then(async () => port.postMessage(await answer(request)));
});
port.postMessage({ ready: true } satisfies JobReply);

/** The file is opened for each job and closed after it, for the reason that the store gives. */
async function answer({ id, kind, input }: JobRequest): Promise<JobReply> {
  let db: Connection | undefined;
  try {
    ({ db } = await connect({ ...place, mode: "inspect", busyMs: BUSY_MS, durable: true }));
    return { id, output: await (work[kind as Here] as Work<JobKind>)(db, input) };
  } catch (cause) {
    const { code, message } = asStoreError(cause, place.file);
    return { id, code, message };
  } finally {
    await db?.destroy();
  }
}
