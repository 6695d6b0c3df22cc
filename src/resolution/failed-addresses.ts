import type { Address } from "../balancer/index.ts";

/** How long an address that did not answer is tried after the others of its name, in milliseconds: RFC 3263 §4.3 leaves it open; 32 s is 64*T1. */
export const FAILED_MS = 32_000;
/** Addresses remembered at a time. */
const MAX_FAILED = 1_000;

type Place = Pick<Address, "ip" | "port" | "transport">;

/** Addresses that did not answer lately, so that not every call finds that out anew. They are still tried when all others fail. */
export class FailedAddresses {
  readonly #nowMs: () => number;
  readonly #untilMs = new Map<string, number>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** An address did not answer, or nothing could be sent to it. */
  add(place: Place): void {
    const key = keyOf(place);
    this.#untilMs.delete(key);
    this.#untilMs.set(key, this.#nowMs() + FAILED_MS);
    for (const oldest of this.#untilMs.keys()) {
      if (this.#untilMs.size <= MAX_FAILED) break;
      this.#untilMs.delete(oldest);
    }
  }

  /** Those that failed lately come last; otherwise the order stays. */
  last(addresses: readonly Address[]): readonly Address[] {
    if (this.#untilMs.size === 0 || addresses.length < 2) return addresses;
    const failed = addresses.filter((address) => this.#has(address));
    return failed.length === 0 ? addresses : [...addresses.filter((address) => !failed.includes(address)), ...failed];
  }

  #has(place: Place): boolean {
    const key = keyOf(place);
    const untilMs = this.#untilMs.get(key);
    if (untilMs === undefined) return false;
    if (untilMs > this.#nowMs()) return true;
    this.#untilMs.delete(key);
    return false;
  }
}

function keyOf({ ip, port, transport }: Place): string {
  return `${transport} ${ip} ${port}`;
}
