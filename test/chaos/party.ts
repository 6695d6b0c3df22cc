import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { ChaosLink } from "../support/chaos-link.ts";
import { seededRandom } from "../support/random.ts";
import { soakHeader, soakResponse } from "../support/soak-messages.ts";

/** Timers of RFC 3261 §17: T1, T2, and 64 * T1, ms. */
const T1_MS = 500;
const T2_MS = 4_000;
export const GIVE_UP_MS = 64 * T1_MS;

/** What a party is. */
export interface PartyOptions {
  /** Loopback address. */
  readonly address: string;
  readonly seed: number;
  /** How long it repeats what nobody answers, and remembers what may come again, ms: {@link GIVE_UP_MS}, or less where there is no time. */
  readonly giveUpMs: number;
}

/** Where something is. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

interface Repeated {
  readonly text: string;
  readonly to: Place;
  readonly maxWaitMs: number;
  readonly untilMs: number;
  readonly over: (() => void) | undefined;
  waitMs: number;
  timer: NodeJS.Timeout;
}

/** One SIP user agent over UDP: a socket behind a bad network, and what it says again because it may be lost. It may die, as a process does by SIGKILL. */
export abstract class ChaosParty {
  readonly name: string;
  /** What it sends, and what it gets, goes through these. */
  readonly out: ChaosLink;
  readonly in: ChaosLink;
  readonly #repeated = new Map<string, Repeated>();
  readonly #timers = new Set<NodeJS.Timeout>();
  /** Final responses to requests that are over, by branch and method: a copy gets the same one (RFC 3261 §17.2.2). */
  readonly #answered = new Map<string, string>();
  #socket: Socket | undefined;
  #place: Place;

  protected readonly giveUpMs: number;

  protected constructor(name: string, { address, seed, giveUpMs }: PartyOptions) {
    this.name = name;
    this.giveUpMs = giveUpMs;
    this.#place = { address, port: 0 };
    const random = seededRandom(seed);
    this.out = new ChaosLink(random);
    this.in = new ChaosLink(random);
  }

  get isAlive(): boolean {
    return this.#socket !== undefined;
  }

  get place(): Place {
    return this.#place;
  }

  /** `address:port` */
  get sentBy(): string {
    return `${this.#place.address}:${this.#place.port}`;
  }

  /** What is said again until it is answered. */
  get unanswered(): number {
    return this.#repeated.size;
  }

  /** What it still waits for, in words. */
  get waiting(): string[] {
    return [...this.#repeated.keys()].map((key) => `no answer to ${key}`);
  }

  /** Comes to life, at the same place as before. */
  async open(): Promise<void> {
    const socket = createSocket({ type: "udp4", recvBufferSize: 4_194_304 });
    socket.bind(this.#place.port, this.#place.address);
    await once(socket, "listening");
    socket.on("error", () => {}); // what cannot be sent is lost
    socket.on("message", (bytes, from) => {
      const text = bytes.toString("latin1");
      this.in.carry(() => {
        if (this.#socket === socket) this.take(text, from as unknown as AddressInfo);
      });
    });
    this.#place = { address: this.#place.address, port: socket.address().port };
    this.#socket = socket;
  }

  /** Is gone, with all it knew: from now on its host says that nobody listens there. */
  die(): void {
    const socket = this.#socket;
    if (socket === undefined) return;
    this.#socket = undefined;
    socket.close();
    for (const { timer } of this.#repeated.values()) clearTimeout(timer);
    for (const timer of this.#timers) clearTimeout(timer);
    this.#repeated.clear();
    this.#timers.clear();
    this.#answered.clear();
    this.out.drop();
    this.in.drop();
    this.forget();
  }

  /** Drops what it knows of calls. */
  protected abstract forget(): void;
  protected abstract take(text: string, from: Place): void;

  protected send(text: string, to: Place): void {
    const socket = this.#socket;
    this.out.carry(() => {
      if (this.#socket === socket) socket?.send(Buffer.from(text, "latin1"), to.port, to.address);
    });
  }

  /** Does something later, unless it dies before. What it does waits like what it sends. */
  protected later(ms: number, act: () => void): void {
    const socket = this.#socket;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.out.isHeld) act();
      else
        this.out.carry(() => {
          if (this.#socket === socket) act();
        });
    }, ms);
    this.#timers.add(timer);
  }

  /**
   * Says something again and again, first after T1, then after twice the time before (RFC 3261, timers A, E, G).
   *
   * @param isInvite timer A: the waits have no bound of T2
   * @param over is called when nobody has answered for 64 * T1
   */
  protected repeat(key: string, text: string, to: Place, { isInvite = false, over }: { isInvite?: boolean; over?: () => void } = {}): void {
    this.settle(key);
    const untilMs = performance.now() + this.giveUpMs;
    const timer = setTimeout(() => this.#again(key), T1_MS);
    this.#repeated.set(key, { text, to, maxWaitMs: isInvite ? this.giveUpMs : T2_MS, untilMs, over, waitMs: T1_MS, timer });
    this.send(text, to);
  }

  /** It was answered. False: nobody waited for that. */
  protected settle(key: string): boolean {
    const repeated = this.#repeated.get(key);
    if (repeated === undefined) return false;
    clearTimeout(repeated.timer);
    return this.#repeated.delete(key);
  }

  /** Answers a request other than INVITE, and its copies with the same. */
  protected answer(request: string, status: number, from: Place, tag: string): void {
    const text = soakResponse(request, status, tag, this.sentBy);
    const key = keyOf(request);
    this.#answered.set(key, text);
    this.later(this.giveUpMs, () => this.#answered.delete(key));
    this.send(text, from);
  }

  /** Whether it is a copy of a request that was answered; it is answered again. */
  protected isCopy(request: string, from: Place): boolean {
    const text = this.#answered.get(keyOf(request));
    if (text !== undefined) this.send(text, from);
    return text !== undefined;
  }

  #again(key: string): void {
    const repeated = this.#repeated.get(key);
    if (repeated === undefined) return;
    if (performance.now() >= repeated.untilMs) {
      this.#repeated.delete(key);
      repeated.over?.();
      return;
    }
    if (!this.out.isHeld) this.send(repeated.text, repeated.to); // one copy waits already
    repeated.waitMs = Math.min(repeated.maxWaitMs, repeated.waitMs * 2);
    repeated.timer = setTimeout(() => this.#again(key), repeated.waitMs);
  }
}

/** Branch of the top Via and method: what a transaction is known by (RFC 3261 §17.2.3). */
export function keyOf(request: string): string {
  return `${branchOf(request)} ${soakHeader(request, "CSeq").split(" ")[1] ?? ""}`;
}

export function branchOf(message: string): string {
  return /;branch=([^;,\s]+)/.exec(soakHeader(message, "Via"))?.[1] ?? "";
}

export function tagOf(message: string, header: "From" | "To"): string {
  return soakHeader(message, header).split(";tag=")[1] ?? "";
}
