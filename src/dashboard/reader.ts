import type { ServerResponse } from "node:http";

/** Pieces that wait for a reader besides what one look has found: events, most of them. Who takes none for so long is dropped. */
export const MAX_WAITING = 2_000;
/** What is written in one go: a fraction of a millisecond. */
const BYTES_A_TURN = 32_768;
/** Heartbeats that may pass while the connection takes nothing. */
const PATIENCE_BEATS = 2;

export interface ReaderPorts {
  readonly soon: (run: () => void) => void;
  readonly onEnd: (reader: Reader, wasDropped: boolean) => void;
  readonly maxWaiting: number;
}

/**
 * One who reads the feed. What it is to get waits in a queue and is written piece by piece, others having their turn in between, and never within the call
 * that it comes from. While something of that waits it gets no new figures: what is so by then is told whole once it has taken the rest.
 */
export class Reader {
  /** It is to get everything, not only what has changed: it is new, or was left out. */
  wantsAll = true;
  /** It has got everything once. */
  isServed = false;
  readonly #response: ServerResponse;
  readonly #ports: ReaderPorts;
  #waiting: Buffer[] = [];
  #written = 0;
  /** Pieces of a look among those that wait. */
  #exempt = 0;
  #isFlushing = false;
  #isBlocked = false;
  #blockedBeats = 0;
  #isOver = false;

  constructor(response: ServerResponse, ports: ReaderPorts) {
    this.#response = response;
    this.#ports = ports;
    response.on("drain", () => {
      this.#isBlocked = false;
      this.#blockedBeats = 0;
      this.#flushSoon();
    });
    response.on("close", () => this.#end(false));
    response.on("error", () => this.#end(false));
  }

  /** Whether it has taken all that it got. */
  get isIdle(): boolean {
    return !this.#isBlocked && this.#written === this.#waiting.length;
  }

  /** Whether it may be told what a look has found. The first time it may always be: nothing but a greeting waits. */
  get isReady(): boolean {
    return this.isIdle || !this.isServed;
  }

  /** @param isLook what a look has found, which is as long as the table is */
  send(pieces: readonly Buffer[], isLook = false): void {
    if (this.#isOver) return;
    if (isLook) this.#exempt += pieces.length;
    else if (this.#waiting.length - this.#written - this.#exempt + pieces.length > this.#ports.maxWaiting) {
      this.drop();
      return;
    }
    for (const piece of pieces) this.#waiting.push(piece);
    this.#flushSoon();
  }

  /** Something now and then, as proxies on the way close connections on which nothing moves. */
  beat(): void {
    if (this.isIdle) this.send([HEARTBEAT]);
    else if (this.#isBlocked && ++this.#blockedBeats >= PATIENCE_BEATS) this.drop();
  }

  drop(): void {
    this.#end(true);
    this.#response.destroy();
  }

  #flushSoon(): void {
    if (this.#isFlushing || this.isIdle || this.#isBlocked || this.#isOver) return;
    this.#isFlushing = true;
    this.#ports.soon(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#isBlocked || this.#isOver || this.#written === this.#waiting.length) return;
    const pieces: Buffer[] = [];
    for (let bytes = 0; bytes < BYTES_A_TURN && this.#written < this.#waiting.length; this.#written++) {
      const piece = this.#waiting[this.#written]!;
      bytes += piece.length;
      pieces.push(piece);
    }
    if (this.#written === this.#waiting.length) {
      this.#waiting = [];
      this.#written = 0;
      this.#exempt = 0;
    }
    this.#isBlocked = !this.#response.write(pieces.length === 1 ? pieces[0] : Buffer.concat(pieces));
    this.#flushSoon();
  }

  #end(wasDropped: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting = [];
    this.#written = 0;
    this.#ports.onEnd(this, wasDropped);
  }
}

const HEARTBEAT = Buffer.from(": alive\n\n");
