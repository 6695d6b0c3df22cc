import { type Connection, connect } from "./connection.ts";
import { writeCopy } from "./destination-copy.ts";
import { readRows } from "./destination-rows.ts";
import { writeDispatcherStates } from "./dispatcher-state-row.ts";
import { readOrMakeDispatcherTable } from "./dispatcher-table.ts";
import { asStoreError } from "./fault.ts";
import type { DatabasePlace, DialogJobKind, JobKind, JobReply, JobRequest, Jobs } from "./jobs.ts";
import { writeRegistrations } from "./registration-row.ts";
import { writeStates } from "./state-row.ts";

/** How long a job waits for another program's write, ms. Whoever asked tries again; a stop waits as long for a thread that waits. */
const BUSY_MS = 1_000;

type Here = Exclude<JobKind, DialogJobKind | "read dispatcher">;
type Work<Kind extends JobKind> = (db: Connection, place: DatabasePlace, input: Jobs[Kind]["input"]) => Promise<Jobs[Kind]["output"]>;

const work: { readonly [Kind in Here]: Work<Kind> } = {
  "write states": async (db, place, states) => void (await writeStates(db, place.table, states)),
  "write registrations": async (db, place, changes) => void (await writeRegistrations(db, place.table, changes)),
  "write dispatcher states": async (db, place, changes) => void (await writeDispatcherStates(db, place.table, changes)),
  "write destination copy": async (db, _place, copy) => void (await writeCopy(db, copy)),
  "read destinations": (db, place) => readRows(db, place),
};

/** Does one job, and answers what came of it. The file is opened for each job and closed after it, for the reason that the store gives. Never rejects. */
export async function doJob(place: DatabasePlace, { id, kind, input }: JobRequest): Promise<JobReply> {
  if (kind === "read dispatcher") return doOther(place, id, () => readOrMakeDispatcherTable(input));
  let db: Connection | undefined;
  try {
    ({ db } = await connect({ ...place, mode: "inspect", busyMs: BUSY_MS, durable: true }));
    return { id, output: await (work[kind as Here] as Work<JobKind>)(db, place, input) };
  } catch (cause) {
    const { code, message } = asStoreError(cause, place.file);
    return { id, code, message };
  } finally {
    await db?.destroy();
  }
}

/** A job on a table that is not the one of the store. */
function doOther(place: DatabasePlace, id: number, run: () => Jobs[JobKind]["output"]): JobReply {
  try {
    return { id, output: run() };
  } catch (cause) {
    const { code, message } = asStoreError(cause, place.file);
    return { id, code, message };
  }
}
