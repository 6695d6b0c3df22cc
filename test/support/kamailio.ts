import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onProcessExit } from "./cleanup.ts";
import { freeUdpPort, isUdpBound, waitFor } from "./net.ts";

const START_TIMEOUT_MS = 10_000;
const QUIT_TIMEOUT_MS = 5_000;
const SMALL: KamailioMemory = { sharedMb: 32, privateMb: 4 };

/** With more of them a 200 may overtake its 180 inside Kamailio, which sipp takes for an error. */
const WORKERS = 1;

/** What Kamailio may use. Without `allocator` it uses its default, which is slow. */
export interface KamailioMemory {
  readonly sharedMb: number;
  readonly privateMb: number;
  readonly allocator?: "fm" | "qm" | "tlsf";
}

/** A Kamailio that runs. */
export interface Kamailio {
  readonly address: string;
  readonly port: number;
  /** Of its main process. */
  readonly pid: number;
  /** Where its files are; removed when it stops. */
  readonly folder: string;
  /** `sip:address:port` */
  readonly uri: string;
  log(): string;
  stop(): Promise<void>;
}

/**
 * Runs Kamailio as most people run it: stateful, with Record-Route and loose routing, every new call to one place.
 *
 * @param target `address:port` that new calls are relayed to; their Request-URIs stay as they are
 */
export async function startKamailio(address: string, target: string): Promise<Kamailio> {
  const port = await freeUdpPort(address);
  return runKamailio(address, port, configuration(address, port, target));
}

/**
 * Runs Kamailio until `stop`.
 *
 * @param text its configuration file, which listens on `address:port` over UDP
 * @param files further files by name; the configuration finds them in the folder that `{folder}` in its text stands for
 * @param memory what it may use; the default is enough for some calls
 */
export async function runKamailio(
  address: string,
  port: number,
  text: string,
  files: Readonly<Record<string, string>> = {},
  { sharedMb, privateMb, allocator }: KamailioMemory = SMALL,
): Promise<Kamailio> {
  const folder = mkdtempSync(join(tmpdir(), "headroom-kamailio-"));
  const file = join(folder, "kamailio.cfg");
  writeFileSync(file, text.replaceAll("{folder}", folder));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const memory = ["-m", String(sharedMb), "-M", String(privateMb), ...(allocator === undefined ? [] : ["-x", allocator, "-X", allocator])];
  const child = spawn(
    "kamailio",
    ["-DD", "-E", "-f", file, "-Y", folder, "-w", folder, ...memory],
    { cwd: folder, stdio: ["ignore", "pipe", "pipe"], detached: true }, // a group of its own: its workers must not outlive it
  );
  let log = "";
  let failure: Error | undefined;
  child.once("error", (error) => {
    failure = error;
  });
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("latin1").on("data", (text: string) => (log = (log + text).slice(-50_000)));
  const exited = once(child, "exit");
  exited.catch(() => undefined);
  const clear = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // all of them have ended
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const forget = onProcessExit(clear);
  try {
    await waitFor(`kamailio listens on ${address}:${port}`, START_TIMEOUT_MS, () => {
      if (failure !== undefined) throw failure;
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`);
      return isUdpBound(address, port);
    });
  } catch (error) {
    clear();
    forget();
    throw new Error(`Cannot start kamailio: ${String(error)}\n${log}`);
  }
  return {
    address,
    port,
    pid: child.pid ?? 0,
    folder,
    uri: `sip:${address}:${port}`,
    log: () => log,
    async stop() {
      child.kill("SIGTERM");
      const timer = setTimeout(clear, QUIT_TIMEOUT_MS);
      await exited;
      clearTimeout(timer);
      clear();
      forget();
    },
  };
}

function configuration(address: string, port: number, target: string): string {
  return `
debug=0
log_stderror=yes
fork=yes
children=${WORKERS}
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
listen=udp:${address}:${port}

loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"

request_route {
  if (!mf_process_maxfwd_header("10")) {
    sl_send_reply("483", "Too Many Hops");
    exit;
  }
  if (is_method("CANCEL")) {
    if (t_check_trans()) t_relay();
    exit;
  }
  if (has_totag()) {
    if (loose_route()) {
      t_relay();
      exit;
    }
    if (is_method("ACK") && t_check_trans()) t_relay();
    exit;
  }
  t_check_trans();
  record_route();
  $du = "sip:${target}";
  if (!t_relay()) sl_reply_error();
  exit;
}
`;
}
