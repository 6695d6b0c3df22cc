import { sourceOf } from "../overload/index.ts";
import { FAILED_LOGIN_BURST, FAILED_LOGIN_REFILL_MS, MAX_CLIENTS } from "./limits.ts";

interface Allowance {
  /** Requests that may still be sent, on the clock of `atMs`. */
  requests: number;
  atMs: number;
}

interface Client extends Allowance {
  /** Wrong tokens that it may still send. */
  failures: number;
  /** Holders whose token was right from here, each with requests of its own. */
  readonly known: Map<string, Allowance>;
}

export interface ClientRateSettings {
  /** Requests a second that one client may send in the long run; twice as many at once. 0: as many as it likes. */
  readonly perSecond: number;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** For tests. @default MAX_CLIENTS */
  readonly maxClients?: number;
}

/**
 * How much one client, an IPv4 address or an IPv6 block of 64 bits, may ask of management, which runs on the thread that carries the calls; and how often it
 * may send a wrong token. Clients that cannot be remembered any more, the one that was quiet for longest, begin anew.
 */
export class ClientRates {
  readonly #settings: ClientRateSettings;
  readonly #clients = new Map<string, Client>();

  constructor(settings: ClientRateSettings) {
    this.#settings = settings;
  }

  /** How many clients are remembered. */
  get size(): number {
    return this.#clients.size;
  }

  /**
   * Counts one request. False: it is one too many. Those whose token was right from there before have requests of their own, so that a neighbour cannot
   * use theirs up.
   *
   * @param holder whose token it is, undefined when nobody's
   */
  take(address: string, holder?: string): boolean {
    if (this.#settings.perSecond === 0) return true;
    const client = this.#clientOf(address);
    const known = holder === undefined ? undefined : client.known.get(holder);
    if (known !== undefined) this.#refill(known, client.atMs);
    const allowance = known ?? client;
    if (allowance.requests < 1) return false;
    allowance.requests--;
    return true;
  }

  /**
   * Whether a token of this client may be judged. Who has sent too many wrong ones waits; those whose token was right from there before go on, so that
   * a neighbour behind the same address, such as that of a proxy, cannot keep them out.
   *
   * @param holder whose token it is, undefined when nobody's
   */
  mayTry(address: string, holder: string | undefined): boolean {
    const client = this.#clientOf(address);
    return client.failures >= 1 || (holder !== undefined && client.known.has(holder));
  }

  /** Counts a wrong token. */
  failed(address: string): void {
    const client = this.#clientOf(address);
    client.failures = Math.max(0, client.failures - 1);
  }

  /** Remembers a right one. */
  succeeded(address: string, holder: string): void {
    const { known, atMs } = this.#clientOf(address);
    if (!known.has(holder)) known.set(holder, { requests: this.#burst, atMs });
  }

  get #burst(): number {
    return this.#settings.perSecond * 2;
  }

  /** @returns ms since the last time */
  #refill(allowance: Allowance, nowMs: number): number {
    const passedMs = Math.max(0, nowMs - allowance.atMs);
    allowance.requests = Math.min(this.#burst, allowance.requests + (passedMs * this.#settings.perSecond) / 1000);
    allowance.atMs = nowMs;
    return passedMs;
  }

  #clientOf(address: string): Client {
    const key = sourceOf(address);
    const now = this.#settings.nowMs();
    let client = this.#clients.get(key);
    if (client === undefined) {
      const { maxClients = MAX_CLIENTS } = this.#settings;
      if (this.#clients.size >= maxClients) this.#clients.delete(this.#clients.keys().next().value!);
      client = { requests: this.#burst, failures: FAILED_LOGIN_BURST, atMs: now, known: new Map() };
    } else {
      this.#clients.delete(key);
      client.failures = Math.min(FAILED_LOGIN_BURST, client.failures + this.#refill(client, now) / FAILED_LOGIN_REFILL_MS);
    }
    this.#clients.set(key, client); // the last one is the one that was here last
    return client;
  }
}
