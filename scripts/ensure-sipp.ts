import { spawnSync } from "node:child_process";

/** Debian and Ubuntu package that holds the `sipp` command, the SIP traffic generator of the end-to-end tests. */
const PACKAGE = "sip-tester";
/** Seconds that apt-get waits for another package manager to finish (a fresh machine often updates itself when it starts). */
const LOCK_TIMEOUT_SECONDS = 120;

function canRun(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).error === undefined;
}

function succeeds(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

/** Words to put before `apt-get` to become root, or undefined when this user may not. */
function rootPrefix(): string[] | undefined {
  if (process.getuid?.() === 0) return [];
  return succeeds("sudo", ["-n", "true"]) ? ["sudo", "-n"] : undefined;
}

/**
 * Makes sure that `sipp` can be run, and installs it with apt-get when it is missing and this user may install packages.
 *
 * @returns undefined when sipp is there, else a sentence that says what to install
 */
export function ensureSipp(): string | undefined {
  if (canRun("sipp", ["-v"])) return undefined;
  const wanted = `Cannot run the end-to-end tests: the command "sipp" is missing, install it with "apt-get install ${PACKAGE}"`;
  const prefix = rootPrefix();
  if (prefix === undefined) return `${wanted} (this user is neither root nor allowed to use sudo without a password)`;
  if (!canRun("apt-get", ["--version"])) return `${wanted} or, where there is no apt-get, from https://sipp.sourceforge.net/`;

  process.stdout.write(`sipp is missing: installing ${PACKAGE} with apt-get\n`);
  const aptGet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", `DPkg::Lock::Timeout=${LOCK_TIMEOUT_SECONDS}`];
  for (const action of [["update"], ["install", "--yes", "--no-install-recommends", PACKAGE]]) {
    const [command = "", ...args] = [...prefix, ...aptGet, ...action];
    const { status } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"] });
    // A failing update (one unreachable source of many) does not matter as long as the install works.
    if (status !== 0 && action[0] === "install") return `${wanted} (apt-get ended with ${status})`;
  }
  return canRun("sipp", ["-v"]) ? undefined : wanted;
}
