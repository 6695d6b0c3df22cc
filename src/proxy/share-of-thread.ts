import type { SipRequest, SipResponse } from "../sip/index.ts";
import type { Endpoint } from "../transaction/index.ts";
import type { Divide } from "./divide.ts";

/** FNV-1a, 32 bits. */
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * The thread that a call belongs to: one and the same for its INVITE, copies of that, its CANCEL and whatever else of it comes, so that each thread knows without asking.
 *
 * @returns from 0 to `threads - 1`
 */
export function threadOfCall(callId: string, threads: number): number {
  let hash = FNV_OFFSET;
  for (let i = 0; i < callId.length; i++) hash = Math.imul(hash ^ callId.charCodeAt(i), FNV_PRIME);
  // Its low bits depend on the low bits of the characters alone, and Call-IDs may count up: every bit is mixed into every other (the end of MurmurHash3).
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % threads;
}

/**
 * Threads share the address that peers know; which of them gets a datagram the kernel decides by where it comes from. What comes to an address that a thread has alone is
 * for its calls; of the rest each thread keeps the calls that are its own, and hands the others on.
 */
export class ShareOfThread implements Divide {
  readonly #threads: number;
  readonly #self: number;
  readonly #isCommon: (source: Endpoint) => boolean;
  readonly #hand: (thread: number, text: string, source: Endpoint) => void;

  /**
   * @param isCommon whether it came to an address that all threads have
   * @param hand gives a message to another thread
   */
  constructor(
    threads: number,
    self: number,
    isCommon: (source: Endpoint) => boolean,
    hand: (thread: number, text: string, source: Endpoint) => void,
  ) {
    this.#threads = threads;
    this.#self = self;
    this.#isCommon = isCommon;
    this.#hand = hand;
  }

  takes(message: SipRequest | SipResponse, text: string, source: Endpoint): boolean {
    if (!this.#isCommon(source)) return false;
    const thread = threadOfCall(message.callId, this.#threads);
    if (thread === this.#self) return false;
    this.#hand(thread, text, source);
    return true;
  }
}
