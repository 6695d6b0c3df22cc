import { execFile } from "node:child_process";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";

/** How long the service manager may take, ms: it answers at once, or is not there. */
const NOTIFY_MS = 5_000;

export interface ServicePorts {
  /** Where the number of this process is written; undefined: nowhere. */
  readonly pidFile: string | undefined;
  readonly log: { warn(fields: object, message: string): void };
}

/**
 * Tells those who watch over the program that it runs, and that it is this process: by a file, and systemd by its own tool where it asks for that
 * (`Type=notify`, `NotifyAccess=all`). What cannot be told is logged: calls are more important. Resolves when all was told, or cannot be; never rejects.
 */
export function announceProcess({ pidFile, log }: ServicePorts): Promise<void> {
  if (pidFile !== undefined) {
    try {
      // Whoever reads it finds the one number or the other.
      writeFileSync(`${pidFile}.new`, `${process.pid}\n`);
      renameSync(`${pidFile}.new`, pidFile);
    } catch (error) {
      log.warn({}, `Cannot write the number of this process: ${String(error)}`);
    }
  }
  if (process.env["NOTIFY_SOCKET"] === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    execFile("systemd-notify", ["--ready", `--pid=${process.pid}`], { timeout: NOTIFY_MS }, (error) => {
      if (error !== null) log.warn({}, `Cannot tell systemd that this process is the main one: ${error.message}`);
      resolve();
    });
  });
}

/** Removes the file, unless another process has written its own number there. */
export function removePidFile(pidFile: string | undefined): void {
  try {
    if (pidFile !== undefined && Number(readFileSync(pidFile, "utf8")) === process.pid) rmSync(pidFile);
  } catch {
    // It is gone, or was never written: the log has said why.
  }
}
