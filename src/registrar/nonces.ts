import { isSameSecret } from "./digest.ts";
import { MAX_USED_NONCES } from "./limits.ts";
import type { DigestHash } from "./ports.ts";

export interface NoncesOptions {
  readonly hash: DigestHash;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Unguessable; another one after a restart makes all nonces stale, which costs each client one more request. */
  readonly secret: string;
  readonly ttlMs: number;
}

const NONCE = /^([0-9a-z]{1,11})-([0-9a-z]{1,11})-([0-9a-f]{32})$/;
const MAC_CHARS = 32;

interface Used {
  readonly serial: number;
  readonly issuedMs: number;
  count: number;
}

/**
 * Nonces that need no memory until they are used: time, serial number and an HMAC over both and the address that asked (RFC 7616 §3.3). As
 * a nonce is good for one address only, whoever answers it with a guess has really received it there: a spoofed address gets nobody banned.
 */
export class Nonces {
  readonly #options: NoncesOptions;
  #serial = 0;
  /** Nonces that were answered with the right password, in order of their first use. */
  readonly #used = new Map<string, Used>();
  /** Nonces up to this one are stale: one of them may have been forgotten. */
  #forgotten = 0;

  constructor(options: NoncesOptions) {
    this.#options = options;
  }

  /** How many nonces take memory. */
  get size(): number {
    return this.#used.size;
  }

  issue(address: string): string {
    this.#serial++;
    const time = Math.floor(this.#options.nowMs()).toString(36);
    const serial = this.#serial.toString(36);
    return `${time}-${serial}-${this.#mac(time, serial, address)}`;
  }

  /** Whether the nonce was made here, for this address, not too long ago. */
  isFresh(nonce: string, address: string): boolean {
    const parts = NONCE.exec(nonce);
    if (parts === null) return false;
    const [, time, serial, mac] = parts as unknown as [string, string, string, string];
    if (!isSameSecret(this.#mac(time, serial, address), mac)) return false;
    const isYoung = this.#options.nowMs() - Number.parseInt(time, 36) <= this.#options.ttlMs;
    return isYoung && Number.parseInt(serial, 36) > this.#forgotten;
  }

  /**
   * To be asked once the answer to a fresh nonce has turned out right: false when this count, or a higher one, was used before.
   *
   * @param count from 1 (RFC 7616 §3.4)
   */
  use(nonce: string, count: number): boolean {
    const known = this.#used.get(nonce);
    if (count <= (known?.count ?? 0)) return false;
    if (known !== undefined) {
      known.count = count;
      return true;
    }
    this.#forgetOld();
    const [time = "", serial = ""] = nonce.split("-");
    this.#used.set(nonce, { serial: Number.parseInt(serial, 36), issuedMs: Number.parseInt(time, 36), count });
    return true;
  }

  #forgetOld(): void {
    const { nowMs, ttlMs } = this.#options;
    const oldestMs = nowMs() - ttlMs;
    for (const [nonce, { serial, issuedMs }] of this.#used) {
      const isFull = this.#used.size >= MAX_USED_NONCES;
      if (issuedMs >= oldestMs && !isFull) return;
      // A nonce whose count is forgotten must not be taken again.
      if (issuedMs >= oldestMs) this.#forgotten = Math.max(this.#forgotten, serial);
      this.#used.delete(nonce);
    }
  }

  #mac(time: string, serial: string, address: string): string {
    return this.#options.hash.mac(this.#options.secret, `${time} ${serial} ${address}`).slice(0, MAC_CHARS);
  }
}
