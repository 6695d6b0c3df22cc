import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { onProcessExit } from "./cleanup.ts";
import { freeUdpPort, isTcpUsed, isUdpBound, waitFor } from "./net.ts";

const SCENARIOS = resolve(import.meta.dirname, "../e2e/scenarios");
const START_TIMEOUT_MS = 5_000;
const CALLEE_MAX_CALLS = 2_000; // at a time; sipp warns when this nears the limit of open files
const MAX_STARTS = 3;
const QUIT_TIMEOUT_MS = 3_000; // how long a callee may take to finish its last calls

/** What one sipp did, from the last row of its statistics. */
export interface SippStatistics {
  readonly created: number;
  readonly successful: number;
  readonly failed: number;
  /** Messages that sipp sent again. */
  readonly retransmissions: number;
  /** Counters that the scenario names with `counter="1"` … `counter="3"`. */
  readonly counters: readonly number[];
  /** Unexpected messages and what sipp thought of them; "" when all went as the scenario says. */
  readonly errors: string;
  /** Every message, when `trace` was asked for, else "". */
  readonly messages: string;
}

/** Options of one sipp. */
export interface SippOptions {
  /** A file of test/e2e/scenarios, without `.xml`. */
  readonly scenario: string;
  readonly address: string;
  /** Default: one that is free. */
  readonly port?: number;
  /** Keep a copy of each message. */
  readonly trace?: boolean;
  /** Final response that the scenario writes `@status@`. */
  readonly status?: number;
  /** How long a `<pause/>` without a length takes. Default 0. */
  readonly holdMs?: number;
  /** Default: UDP. Over TCP all calls share one connection. */
  readonly transport?: "udp" | "tcp";
  /** It speaks TCP to a program that puts TLS around it, and says so in Via and Contact. */
  readonly isWrapped?: boolean;
  /** `address:port` that its Contact names. Default: where it is. */
  readonly contact?: string;
  /** Answer OPTIONS, as a server that is probed does. */
  readonly answersProbes?: boolean;
}

/** Options of a sipp that makes calls. */
export interface CallerOptions extends SippOptions {
  /** `address:port` that the calls go to. */
  readonly target: string;
  readonly calls: number;
  /** Calls a second; default 10. */
  readonly rate?: number;
  /** After this long without an end, sipp is ended and the promise rejects. */
  readonly timeoutMs?: number;
  /** How often an INVITE is sent again before the call counts as failed. Default: sipp's, 5 times. */
  readonly inviteRetransmissions?: number;
  /** How often a BYE is sent again before the call counts as failed. Default: sipp's, for half a minute. */
  readonly byeRetransmissions?: number;
}

/** A running sipp. */
export interface Sipp {
  readonly address: string;
  readonly port: number;
  /** `sip:address:port` */
  readonly uri: string;
  /** What it has counted so far, as of the last whole second. */
  statistics(): SippStatistics;
  /** Lets it finish its calls and quit; ends it by force when it does not. */
  stop(): Promise<SippStatistics>;
  /** Ends it at once, as a power cut does. */
  kill(): Promise<void>;
  /** Resolves when it has ended by itself. */
  readonly ended: Promise<SippStatistics>;
}

/** Runs a callee: a sipp that waits for calls until it is stopped. */
export async function startCallee(options: SippOptions): Promise<Sipp> {
  return start(options, ["-l", String(CALLEE_MAX_CALLS)]);
}

/** Runs a caller and lets it go on while the test does something else. */
export async function startCaller(options: CallerOptions): Promise<Sipp> {
  const { calls, rate = 10, target, timeoutMs = 30_000, byeRetransmissions, inviteRetransmissions } = options;
  return start(options, [
    ...["-m", String(calls), "-r", String(rate), "-rp", "1000", "-l", String(calls + 1)],
    ...(byeRetransmissions === undefined ? [] : ["-max_non_invite_retrans", String(byeRetransmissions)]),
    ...(inviteRetransmissions === undefined ? [] : ["-max_invite_retrans", String(inviteRetransmissions)]),
    ...["-timeout", `${Math.ceil(timeoutMs / 1000)}s`, "-timeout_error", "-timer_resol", "1", target],
  ]);
}

/** Runs a caller to its end. */
export async function runCaller(options: CallerOptions): Promise<SippStatistics> {
  const caller = await startCaller(options);
  return caller.ended;
}

/** Another program may be given one of the ports before sipp takes it: then others are tried. */
async function start(options: SippOptions, more: readonly string[]): Promise<Sipp> {
  for (let left = MAX_STARTS; ; left--) {
    try {
      return await startOnce(options, more);
    } catch (error) {
      if (left <= 1 || !String(error).includes("Address already in use")) throw error;
    }
  }
}

async function startOnce(options: SippOptions, more: readonly string[]): Promise<Sipp> {
  const { scenario, address, trace = false, status = 503, holdMs = 0, answersProbes = false, transport = "udp" } = options;
  const port = options.port ?? (await freeUdpPort(address));
  const mediaPort = await freeUdpPort(address);
  const controlPort = await freeUdpPort("0.0.0.0"); // sipp takes it on every address
  const folder = mkdtempSync(join(tmpdir(), "headroom-sipp-"));
  const files = { statistics: join(folder, "statistics.csv"), errors: join(folder, "errors.log"), messages: join(folder, "messages.log") };
  const scenarioFile = join(folder, "scenario.xml");
  const text = readFileSync(join(SCENARIOS, `${scenario}.xml`), "latin1").replaceAll("@status@", String(status));
  const placed = options.contact === undefined ? text : text.replace(/^(Contact: <sip:[^@]*@)[^>]*>/gm, `$1${options.contact}>`);
  writeFileSync(scenarioFile, transport === "udp" ? placed : over(options.isWrapped === true ? "tls" : "tcp", placed));
  const child = spawn(
    "sipp",
    [
      ...["-sf", scenarioFile, "-d", String(holdMs), "-i", address, "-p", String(port), "-mi", address, "-mp", String(mediaPort)],
      ...[
        "-cp",
        String(controlPort),
        "-t",
        transport === "udp" ? "u1" : "t1",
        "-nostdin",
        "-trace_stat",
        "-stf",
        files.statistics,
        "-fd",
        "1",
      ],
      ...["-trace_err", "-error_file", files.errors, "-buff_size", "4194304"],
      ...(answersProbes ? ["-aa"] : []),
      ...(trace ? ["-trace_msg", "-message_file", files.messages] : []),
      ...more,
    ],
    { cwd: folder, stdio: ["ignore", "pipe", "pipe"] },
  );
  let screen = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("latin1").on("data", (text: string) => (screen = (screen + text).slice(-20_000)));
  const forget = onProcessExit(() => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  const statistics = (): SippStatistics => readStatistics(files);
  const exited = once(child, "exit");
  const ended = exited.then(() => {
    const last = statistics();
    forget();
    rmSync(folder, { recursive: true, force: true });
    return last;
  });
  ended.catch(() => {}); // whoever needs the statistics awaits `ended` or stop()

  try {
    await waitFor(`sipp listens on ${address}:${port}`, START_TIMEOUT_MS, () => {
      return child.exitCode !== null || child.signalCode !== null || (transport === "udp" ? isUdpBound(address, port) : isTcpUsed(address));
    });
    if (child.exitCode !== null && child.exitCode !== 0 && !existsSync(files.statistics)) {
      throw new Error(`sipp ended with ${child.exitCode}`);
    }
  } catch (error) {
    child.kill("SIGKILL");
    await exited;
    throw new Error(`Cannot start sipp with scenario "${scenario}": ${String(error)}\n${screen}`);
  }

  return {
    address,
    port,
    uri: `sip:${address}:${port}`,
    statistics,
    ended,
    async stop() {
      child.kill("SIGUSR1"); // finish what is going on, then quit
      const timer = setTimeout(() => child.kill("SIGKILL"), QUIT_TIMEOUT_MS);
      const last = await ended;
      clearTimeout(timer);
      return last;
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** What the scenario says of its transport, in Via and Contact. */
function over(transport: "tcp" | "tls", scenario: string): string {
  return scenario
    .replaceAll("SIP/2.0/UDP", `SIP/2.0/${transport.toUpperCase()}`)
    .replace(/^(Contact: <[^>]*)>/gm, `$1;transport=${transport}>`);
}

function readStatistics(files: { statistics: string; errors: string; messages: string }): SippStatistics {
  const text = (file: string): string => (existsSync(file) ? readFileSync(file, "latin1") : "");
  const lines = text(files.statistics)
    .split("\n")
    .filter((line) => line.includes(";"));
  const names = lines[0]?.split(";") ?? [];
  const values = lines.length > 1 ? (lines.at(-1)?.split(";") ?? []) : [];
  const count = (name: string): number => Number(values[names.indexOf(name)] ?? 0);
  return {
    created: count("TotalCallCreated"),
    successful: count("SuccessfulCall(C)"),
    failed: count("FailedCall(C)"),
    retransmissions: count("Retransmissions(C)"),
    counters: [1, 2, 3].map((number) => count(`GenericCounter${number}(C)`)),
    errors: text(files.errors),
    messages: text(files.messages),
  };
}
