import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";

/** Seconds that apt-get waits for another package manager to finish (a fresh machine often updates itself when it starts). */
const LOCK_TIMEOUT_SECONDS = 120;

/** A command that tests run, and where it comes from. */
export interface Tool {
  readonly command: string;
  /** Where it may be when no folder of PATH has it: a pattern of paths. */
  readonly elsewhere?: string;
  /** Makes the command say its version and end. */
  readonly versionOption: string;
  /** Debian and Ubuntu package that holds it; several with spaces between. */
  readonly package: string;
  readonly website: string;
  /** Tests that need it, for a sentence. */
  readonly tests: string;
}

/** The SIP traffic generator. */
export const SIPP: Tool = {
  command: "sipp",
  versionOption: "-v",
  package: "sip-tester",
  website: "https://sipp.sourceforge.net/",
  tests: "end-to-end tests",
};

/** Redis; a test starts its own ones on free ports. */
export const REDIS: Tool = {
  command: "redis-server",
  versionOption: "--version",
  package: "redis-server",
  website: "https://redis.io/",
  tests: "tests of the cluster",
};

/** The SIP proxy that stands before or behind Headroom in tests; they run their own, on free ports. */
export const KAMAILIO: Tool = {
  command: "kamailio",
  versionOption: "-v",
  package: "kamailio",
  website: "https://www.kamailio.org/",
  tests: "end-to-end tests",
};

/** The compiler of C, for the generator of calls of the bench. */
export const GCC: Tool = {
  command: "gcc",
  versionOption: "--version",
  package: "gcc libc6-dev",
  website: "https://gcc.gnu.org/",
  tests: "bench of calls",
};

/** `promtool`, which reads metrics, rules and configurations as Prometheus does. */
export const PROMTOOL: Tool = {
  command: "promtool",
  versionOption: "--version",
  package: "prometheus",
  website: "https://prometheus.io/",
  tests: "tests of metrics",
};

/** The softphone. */
export const BARESIP: Tool = {
  command: "baresip",
  versionOption: "-h",
  package: "baresip-core",
  website: "https://github.com/baresip/baresip",
  tests: "end-to-end tests",
};

/** The browser that tests look at the dashboard with. */
export const CHROMIUM: Tool = {
  command: "chromium",
  versionOption: "--version",
  package: "chromium",
  website: "https://www.chromium.org/",
  tests: "end-to-end tests",
};

/** The database servers; tests start their own ones in folders of their own. */
export const MARIADB: Tool = {
  command: "mariadbd",
  elsewhere: "/usr/sbin/mariadbd",
  versionOption: "--version",
  package: "mariadb-server",
  website: "https://mariadb.org/",
  tests: "tests of databases",
};
export const POSTGRES: Tool = {
  command: "postgres",
  elsewhere: "/usr/lib/postgresql/*/bin/postgres",
  versionOption: "--version",
  package: "postgresql",
  website: "https://www.postgresql.org/",
  tests: "tests of databases",
};

/**
 * A package of a server starts it once installed, on ports that somebody may want. Neither init system does so under these: systemctl takes itself to be
 * where nothing runs, and invoke-rc.d to be in single-user mode.
 */
const WITHOUT_STARTING = ["SYSTEMD_OFFLINE=1", "RUNLEVEL=1"];

/** What to run for a tool: its command, or where it is elsewhere. Undefined: it is not installed. */
export function commandOf({ command, elsewhere, versionOption }: Tool): string | undefined {
  const places = elsewhere === undefined ? [] : globSync(elsewhere).sort().reverse(); // the newest version first
  return [command, ...places].find((place) => canRun(place, [versionOption]));
}

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
 * Makes sure that a command can be run, and installs it with apt-get when it is missing and this user may install packages.
 *
 * @returns undefined when it is there, else a sentence that says what to install
 */
export function ensureTool(tool: Tool): string | undefined {
  if (commandOf(tool) !== undefined) return undefined;
  const wanted = `Cannot run the ${tool.tests}: the command "${tool.command}" is missing, install it with "apt-get install ${tool.package}"`;
  const prefix = rootPrefix();
  if (prefix === undefined) return `${wanted} (this user is neither root nor allowed to use sudo without a password)`;
  if (!canRun("apt-get", ["--version"])) return `${wanted} or, where there is no apt-get, from ${tool.website}`;

  process.stdout.write(`${tool.command} is missing: installing ${tool.package} with apt-get\n`);
  const aptGet = [
    "env",
    ...WITHOUT_STARTING,
    "DEBIAN_FRONTEND=noninteractive",
    "apt-get",
    "-q",
    "-o",
    `DPkg::Lock::Timeout=${LOCK_TIMEOUT_SECONDS}`,
  ];
  for (const action of [["update"], ["install", "--yes", "--no-install-recommends", ...tool.package.split(" ")]]) {
    const [command = "", ...args] = [...prefix, ...aptGet, ...action];
    const { status } = spawnSync(command, args, { stdio: ["ignore", "inherit", "inherit"] });
    // A failing update (one unreachable source of many) does not matter as long as the install works.
    if (status !== 0 && action[0] === "install") return `${wanted} (apt-get ended with ${status})`;
  }
  return commandOf(tool) !== undefined ? undefined : wanted;
}
