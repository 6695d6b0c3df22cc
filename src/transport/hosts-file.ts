import { readFile, stat } from "node:fs/promises";
import { canonicalIp } from "../balancer/index.ts";

const HOSTS_FILE = "/etc/hosts";
/** How long the file is not looked at again, in milliseconds. */
const LOOK_AGAIN_MS = 5_000;
/** A larger file is not read: it is a block list, and the system's resolver would have its pains with it as well. */
const MAX_BYTES = 4_194_304;

/** The hosts that this machine itself knows (`hosts(5)`), read again when the file has changed. */
export class HostsFile {
  readonly #file: string;
  readonly #nowMs: () => number;
  #hosts: ReadonlyMap<string, readonly string[]> = new Map();
  #seen = "";
  #lookAgainMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | undefined;

  constructor(nowMs: () => number, file = HOSTS_FILE) {
    this.#nowMs = nowMs;
    this.#file = file;
  }

  /** Addresses of a host, in lower case, IPv4 first; undefined when the file does not name it. Never rejects. */
  async addresses(host: string): Promise<readonly string[] | undefined> {
    if (this.#nowMs() >= this.#lookAgainMs) {
      this.#looking ??= this.#look();
      await this.#looking;
    }
    return this.#hosts.get(host);
  }

  async #look(): Promise<void> {
    try {
      const { mtimeMs, size, ino } = await stat(this.#file);
      const seen = `${mtimeMs} ${size} ${ino}`;
      if (seen !== this.#seen && size <= MAX_BYTES) this.#hosts = parseHosts(await readFile(this.#file, "latin1"));
      this.#seen = seen;
    } catch {
      this.#hosts = new Map(); // no such file: this machine knows no hosts
      this.#seen = "";
    }
    this.#lookAgainMs = this.#nowMs() + LOOK_AGAIN_MS;
    this.#looking = undefined;
  }
}

/** Hosts and their addresses of a hosts file; lines that are none are passed over. */
export function parseHosts(text: string): Map<string, string[]> {
  const hosts = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [ip = "", ...names] = line
      .split("#", 1)[0]!
      .trim()
      .split(/[ \t]+/);
    if (canonicalIp(ip) === undefined || ip.startsWith("[")) continue;
    for (const name of names) {
      const host = name.toLowerCase().replace(/\.$/, "");
      const known = hosts.get(host);
      if (known === undefined) hosts.set(host, [ip]);
      else if (!known.includes(ip)) known.push(ip);
    }
  }
  for (const ips of hosts.values()) ips.sort((a, b) => Number(a.includes(":")) - Number(b.includes(":")));
  return hosts;
}
