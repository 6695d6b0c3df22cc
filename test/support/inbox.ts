import { MESSAGE_TIMEOUT_MS, waitFor } from "./net.ts";

/** Messages that came to a peer which does nothing by itself. */
export class Inbox {
  /** In order of arrival. */
  readonly received: string[] = [];
  #taken = 0;

  /** The next message that `wanted` accepts; those before it are passed over. */
  async next(what: string, wanted: (message: string) => boolean, timeoutMs = MESSAGE_TIMEOUT_MS): Promise<string> {
    return waitFor(what, timeoutMs, () => {
      while (this.#taken < this.received.length) {
        const message = this.received[this.#taken] as string;
        this.#taken += 1;
        if (wanted(message)) return message;
      }
      return undefined;
    });
  }
}
