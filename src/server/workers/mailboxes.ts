import type { MessagePort } from "node:worker_threads";
import type { HandedMessage } from "./messages.ts";

/** Messages that may wait for a thread: what comes beyond is lost, as if the wire had lost it. */
const MAX_WAITING = 10_000;

/** What threads hand to each other. Those of one moment go together. */
export class Mailboxes {
  readonly counters = { handed_on: 0, taken_over: 0, not_handed_on: 0 };
  readonly #waiting: Int32Array;
  readonly #self: number;
  readonly #take: (message: HandedMessage) => void;
  readonly #ports: (MessagePort | undefined)[] = [];
  readonly #batches: HandedMessage[][] = [];
  #isDue = false;

  /** @param waiting by thread: messages that wait for it, in memory that all see */
  constructor(waiting: Int32Array, self: number, take: (message: HandedMessage) => void) {
    this.#waiting = waiting;
    this.#self = self;
    this.#take = take;
  }

  /** There is another thread, in place of one with the same number. */
  connect(thread: number, port: MessagePort): void {
    this.#ports[thread]?.close();
    this.#ports[thread] = port;
    const lost = this.#batches[thread]?.length ?? 0;
    if (lost > 0) Atomics.sub(this.#waiting, thread, lost);
    this.#batches[thread] = [];
    port.on("message", (messages: readonly HandedMessage[]) => {
      Atomics.sub(this.#waiting, this.#self, messages.length);
      for (const message of messages) {
        this.counters.taken_over++;
        this.#take(message);
      }
    });
  }

  hand(thread: number, message: HandedMessage): void {
    const batch = this.#batches[thread];
    if (batch === undefined || Atomics.load(this.#waiting, thread) >= MAX_WAITING) {
      this.counters.not_handed_on++;
      return;
    }
    this.counters.handed_on++;
    Atomics.add(this.#waiting, thread, 1);
    batch.push(message);
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(this.#post); // behind what else was read in the same go
  }

  readonly #post = (): void => {
    this.#isDue = false;
    for (let thread = 0; thread < this.#batches.length; thread++) {
      const batch = this.#batches[thread];
      if (batch === undefined || batch.length === 0) continue;
      this.#ports[thread]?.postMessage(batch);
      this.#batches[thread] = [];
    }
  };
}
