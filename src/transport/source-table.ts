import type { Endpoint, Listener } from "../transaction/index.ts";

/** Places that are remembered: a power of two. Each costs about 100 bytes once somebody has sent from it. */
const SLOTS = 16_384;
const SHIFT = 32 - Math.log2(SLOTS);
/** Words of a `sockaddr_in` that tell places apart: family and port, address. */
const WORDS_IPV4 = [0, 1];
/** Those of a `sockaddr_in6`: family and port, four of the address, scope. The flow label, word 1, is none of the place. */
const WORDS_IPV6 = [0, 2, 3, 4, 5, 6];

/**
 * Who sends to a listener: one object for a place, by the bytes of its address, so that an ordinary message makes neither a text of the address nor an object.
 *
 * A place has one slot, by its hash, and who needs it for another takes it: the size is fixed, and made-up sources cost what every message cost without it.
 */
export class SourceTable {
  readonly #listener: Listener;
  readonly #words: readonly number[];
  /** Made with the first message: sockets of probes need none. */
  #keys: Uint32Array | undefined;
  #endpoints: (Endpoint | undefined)[] = [];

  constructor(listener: Listener) {
    this.#listener = listener;
    this.#words = listener.family === 6 ? WORDS_IPV6 : WORDS_IPV4;
  }

  /** A place as an object that nobody changes. */
  of(address: string, port: number): Endpoint {
    return Object.freeze({ transport: "udp", address, port, listener: this.#listener } as const);
  }

  /**
   * The place that a socket address names.
   *
   * @param memory has the address from word `at` on, of the family of the listener
   * @param read makes a text and a port of it
   */
  find(memory: Uint32Array, at: number, read: (at: number) => { readonly address: string; readonly port: number }): Endpoint {
    const words = this.#words;
    const count = words.length;
    let hash = 0;
    for (let i = 0; i < count; i++) hash = Math.imul(hash ^ memory[at + words[i]!]!, 0x9e3779b1) ^ (hash >>> 15);
    const slot = (hash ^ (hash >>> 16)) >>> SHIFT;
    this.#keys ??= this.#makeRoom();
    const keys = this.#keys;
    const first = slot * count;
    const known = this.#endpoints[slot];
    if (known !== undefined) {
      let i = 0;
      while (i < count && keys[first + i] === memory[at + words[i]!]) i++;
      if (i === count) return known;
    }
    for (let i = 0; i < count; i++) keys[first + i] = memory[at + words[i]!]!;
    const { address, port } = read(at);
    const endpoint = this.of(address, port);
    this.#endpoints[slot] = endpoint;
    return endpoint;
  }

  #makeRoom(): Uint32Array {
    this.#endpoints = new Array<Endpoint | undefined>(SLOTS).fill(undefined);
    return new Uint32Array(SLOTS * this.#words.length);
  }
}
