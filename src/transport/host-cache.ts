/** How long an address that was found is used, in milliseconds: the system's resolver tells no time to live. */
const FOUND_MS = 30_000;
/** How long a failure is remembered, so that a dead name server is not asked for every message. */
const FAILED_MS = 5_000;
/** Names remembered at a time. They come from Contact headers, so from anybody who may call. */
const MAX_HOSTS = 1_000;

interface Entry {
  readonly address: string | undefined;
  readonly untilMs: number;
}

/** Host names of Contacts and Routes, looked up once in a while. Names of destinations are resolved when the table is loaded. */
export class HostCache {
  readonly #lookup: (host: string) => Promise<readonly string[]>;
  readonly #nowMs: () => number;
  readonly #entries = new Map<string, Entry>();
  readonly #underWay = new Map<string, Promise<string | undefined>>();

  constructor(lookup: (host: string) => Promise<readonly string[]>, nowMs: () => number) {
    this.#lookup = lookup;
    this.#nowMs = nowMs;
  }

  /** Its first address; a promise while it is looked up. */
  resolve(host: string): string | undefined | Promise<string | undefined> {
    const known = this.#entries.get(host);
    if (known !== undefined && known.untilMs > this.#nowMs()) return known.address;
    const running = this.#underWay.get(host);
    if (running !== undefined) return running;
    if (this.#underWay.size >= MAX_HOSTS) return undefined;
    const search = this.#search(host);
    this.#underWay.set(host, search);
    return search;
  }

  async #search(host: string): Promise<string | undefined> {
    let address: string | undefined;
    try {
      address = (await this.#lookup(host))[0];
    } catch {
      address = undefined; // no such name, or nobody to ask: for the call it is the same
    }
    this.#underWay.delete(host);
    if (this.#entries.size >= MAX_HOSTS) this.#entries.clear();
    this.#entries.set(host, { address, untilMs: this.#nowMs() + (address === undefined ? FAILED_MS : FOUND_MS) });
    return address;
  }
}
