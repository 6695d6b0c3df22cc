import { getPriority, setPriority } from "node:os";
import { parentPort, workerData } from "node:worker_threads";
import Database from "better-sqlite3";
import { DialogFile, moveAside } from "./dialog-file.ts";
import { StoreError } from "./errors.ts";
import type { DatabasePlace, DialogJobKind, JobReply, JobRequest, Jobs } from "./jobs.ts";

/*
 * The thread that reads calls at the start, and puts their logs into their file. It is there when there is work, and has the file open, and locked, from its first job
 * on. A file that is gone, or another one, is opened anew, and whoever asked learns by its name that everything has to be written again. So it is with
 * one that is damaged: whoever asks has all calls, so it is moved aside.
 */

/** How long an opening waits for another program, ms: whoever asked to write tries again; at the start the program before may be about to end. */
const BUSY_MS = 250;
const START_BUSY_MS = 2_000;
/** Logs wait for nobody, while calls do: the thread that puts them into the file gets a third of the time that others get, where there is not enough. */
const MERGE_NICE = 5;
const MOST_NICE = 19;
/** Calls that are told at a time: what is copied from one thread to another stays below some 1 MB. */
const PAGE_CALLS = 1_000;

const { file } = workerData as DatabasePlace;
const port = parentPort;
if (port === null) throw new Error("Cannot run the thread of the calls by itself: want a worker of WriterThread");
new Database(":memory:").close(); // loads SQLite: who waits for another process to close the file wants it at once then
let open: DialogFile | undefined;
let hasSteppedBack = false;
port.on("message", (request: JobRequest) => port.postMessage(answer(request)));
port.postMessage({ loaded: true } satisfies JobReply);
port.postMessage({ ready: true } satisfies JobReply);

function answer(request: JobRequest): JobReply {
  const { id, kind } = request;
  try {
    if (open?.isCurrent === false) close();
    open ??= new DialogFile(file, kind === "open dialogs" ? START_BUSY_MS : BUSY_MS);
    return { id, output: outputOf(open, request) };
  } catch (error) {
    close(); // the next attempt begins afresh: what failed may be the connection
    const code = error instanceof StoreError ? error.code : "FAILED";
    const message = error instanceof Error ? error.message : String(error);
    return { id, code, message: code === "DAMAGED" && isOfOneWhoKnows(kind) ? aside(message) : message };
  }
}

/** Whether whoever asks has all calls, whatever is in the file. */
function isOfOneWhoKnows(kind: JobRequest["kind"]): boolean {
  return kind !== "open dialogs" && kind !== "read dialogs";
}

function outputOf(calls: DialogFile, { kind, input }: JobRequest): Jobs[DialogJobKind]["output"] {
  switch (kind) {
    case "open dialogs":
      return calls.begin(input);
    case "take dialogs":
      return calls.which;
    case "list dialogs":
      return calls.list();
    case "read dialogs":
      return calls.page(input, PAGE_CALLS);
    case "reopen dialogs":
      return calls.check(input);
    case "merge dialogs":
      stepBack();
      return calls.merge(input);
    default:
      throw new StoreError("FAILED", `Cannot do "${kind}" in the thread of the calls: want a job of calls`);
  }
}

function aside(message: string): string {
  try {
    return `${message.split(";", 1)[0]}; it is now "${moveAside(file, Date.now())}"`;
  } catch (error) {
    return `${message.split(";", 1)[0]}; it cannot be moved aside: ${String(error)}`;
  }
}

/** Linux has a priority for each thread; elsewhere it would be that of the whole program. */
function stepBack(): void {
  if (hasSteppedBack || process.platform !== "linux") return;
  hasSteppedBack = true;
  try {
    setPriority(Math.min(MOST_NICE, getPriority() + MERGE_NICE));
  } catch {
    // it is not allowed here: then it takes its full share
  }
}

function close(): void {
  const closing = open;
  open = undefined;
  closing?.close();
}
