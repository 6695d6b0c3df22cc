import { parentPort, workerData } from "node:worker_threads";
import { DialogFile, moveAside } from "./dialog-file.ts";
import { StoreError } from "./errors.ts";
import type { DatabasePlace, JobReply, JobRequest } from "./jobs.ts";

/*
 * The thread that writes calls down. It has the file open from the first job on: opening it forty times a second would take longer than writing. A file
 * that is gone, or another one, is opened anew, and whoever asked learns by its name that it has to write everything again. So it is with one that is
 * damaged: whoever asks has all calls, so it is moved aside.
 */

/** How long an opening waits for another program, ms: whoever asked tries again. */
const BUSY_MS = 250;

const { file } = workerData as DatabasePlace;
const port = parentPort;
if (port === null) throw new Error("Cannot run the thread of the calls by itself: want a worker of WriterThread");
let open: DialogFile | undefined;
port.on("message", (request: JobRequest) => port.postMessage(answer(request)));
port.postMessage({ ready: true } satisfies JobReply);

function answer({ id, kind, input }: JobRequest): JobReply {
  try {
    if (kind !== "write dialogs") throw new StoreError("FAILED", `Cannot do "${kind}" in the thread of the calls: want "write dialogs"`);
    if (open?.isCurrent === false) close();
    open ??= new DialogFile(file, BUSY_MS);
    open.write(input);
    return { id, output: open.identity };
  } catch (error) {
    close(); // the next attempt begins afresh: what failed may be the connection
    const code = error instanceof StoreError ? error.code : "FAILED";
    const message = error instanceof Error ? error.message : String(error);
    return { id, code, message: code === "DAMAGED" ? aside(message) : message };
  }
}

function aside(message: string): string {
  try {
    return `${message.split(";", 1)[0]}; it is now "${moveAside(file, Date.now())}"`;
  } catch (error) {
    return `${message.split(";", 1)[0]}; it cannot be moved aside: ${String(error)}`;
  }
}

function close(): void {
  const closing = open;
  open = undefined;
  closing?.close();
}
