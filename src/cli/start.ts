import { type ChildProcess, spawn } from "node:child_process";
import type { Command } from "commander";
import { type Config, ConfigError, loadConfig } from "../config/index.ts";
import { createLog } from "../observability/log.ts";
import { collectGarbage } from "../server/collect-garbage.ts";
import { FormerProcess } from "../server/handover/former-process.ts";
import { HANDOVER_VARIABLE } from "../server/handover/messages.ts";
import { type RunningServer, startServer } from "../server.ts";
import { VERSION } from "../version.ts";
import { announceProcess, removePidFile } from "./service.ts";

/** `headroom start`: runs the balancer until it is told to stop. */
export function register(program: Command): void {
  program
    .command("start")
    .description("run the balancer until SIGTERM or SIGINT")
    .option("-c, --config <file>", "configuration file (default: ./headroom.yaml when there is one)")
    .option("--force-empty", "when the file of ongoing calls is damaged, move it aside and start without them")
    .option("--pid-file <file>", "write the number of the process there, also after a restart without a stop (SIGUSR2)")
    .action(async (options: StartCommand) => run(options));
}

/** Holds for one start only. */
const FORCE_EMPTY = "--force-empty";
const RELOADED = "configuration and destinations reloaded";

interface StartCommand {
  readonly config?: string;
  readonly forceEmpty?: boolean;
  readonly pidFile?: string;
}

async function run({ config: file, forceEmpty = false, pidFile }: StartCommand): Promise<void> {
  const isHandover = process.env[HANDOVER_VARIABLE] === String(process.ppid) && process.connected;
  delete process.env[HANDOVER_VARIABLE];
  let config: Config;
  try {
    config = loadConfig(file, process.env);
  } catch (error) {
    fail(error);
  }
  const log = createLog(config.log.level);
  // A fault that nobody foresaw is logged and survived: an exit would cost every ongoing call.
  process.on("uncaughtException", (error) => log.error({ err: error }, "unexpected fault: going on"));
  process.on("unhandledRejection", (error) => log.error({ err: error }, "unexpected rejection: going on"));
  for (const notice of config.notices) log.warn({}, notice);

  // A signal may come before everything is up: a stop is then a plain exit, a reload finds what it wants in the files anyway.
  let server: RunningServer | undefined;
  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping || server === undefined) process.exit(0); // asked twice: leave at once
    stopping = true;
    log.info({ signal }, "stopping: new calls are refused");
    server.stop().then(
      () => {
        log.info({}, "stopped");
        process.exit(0);
      },
      (error: unknown) => {
        log.error({ err: error }, "stopped with an error");
        process.exit(0);
      },
    );
  };
  process.on("exit", () => removePidFile(pidFile));
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  // Somebody may have changed the files since they were read.
  let isReloadDue = false;
  process.on("SIGHUP", () => {
    if (server === undefined) {
      isReloadDue = true;
      return;
    }
    reload(server, file).then(
      (newPid) => log.info({ newPid }, newPid === undefined ? RELOADED : "the process that has taken over is told to reload"),
      (error: unknown) => log.error({}, `reload refused, everything stays as it was: ${textOf(error)}`),
    );
  });

  process.on("SIGUSR2", () => {
    if (server === undefined) return;
    server.restart().catch((error: unknown) => log.error({}, textOf(error)));
  });

  let former: FormerProcess | undefined;
  try {
    former = isHandover ? await FormerProcess.greet(process, config.cluster.redis_url !== null) : undefined;
    // What the start has left behind is 20 MB. More than that, V8 lets a heap of which it has collected nothing yet grow by several hundred MB first.
    const loaded = (): void => collectGarbage("regular");
    server = await startServer(config, log, { forceEmpty, former, spawn: spawnNext, loaded, leave: (code) => process.exit(code) });
  } catch (error) {
    fail(error);
  }
  log.info(
    { version: VERSION, node: process.version, sip: server.sip, management: server.managementUrl, config: config.file ?? "defaults" },
    "headroom is running",
  );
  void announceProcess({ pidFile, log }).then(() => former?.announced()); // systemd takes the end of its main process for that of the program
  if (isReloadDue) process.kill(process.pid, "SIGHUP");
}

/** The program as it is on the disk now, started as this one was. */
function spawnNext(): ChildProcess {
  return spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1).filter((argument) => argument !== FORCE_EMPTY)], {
    env: { ...process.env, [HANDOVER_VARIABLE]: String(process.pid) },
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    serialization: "advanced",
  });
}

/** Reloads, or has the process that has taken over do it. @returns its id */
async function reload(server: RunningServer, file: string | undefined): Promise<number | undefined> {
  const newPid = await server.successor();
  if (newPid === undefined) await server.reload(loadConfig(file, process.env));
  else process.kill(newPid, "SIGHUP");
  return newPid;
}

function textOf(error: unknown): string {
  if (error instanceof ConfigError) return error.message;
  return error instanceof Error ? error.message : String(error);
}

function fail(error: unknown): never {
  process.stderr.write(`${textOf(error)}\n`);
  process.exit(1);
}
