import type { ChildProcess, SendHandle } from "node:child_process";

/** One end of the channel between two processes of Node.js. */
export type Channel = Pick<NodeJS.Process, "connected" | "disconnect" | "send" | "on"> | ChildProcess;

/** Messages that wait for the other process to read them: beyond that, what may be lost on the wire is lost. */
export const MAX_WAITING = 20_000;

/** What two processes say to each other, in order, and nothing of it lost but by the end of one of them. */
export class ProcessLink<Out extends object, In extends object> {
  /** Is told of each message, with the socket that came with it. It must not throw. */
  onMessage: (message: In, handle: unknown) => void = () => undefined;
  /** Is told once when the other process, or the channel, has ended. */
  onEnd: () => void = () => undefined;
  readonly #channel: Channel;
  #hasEnded = false;
  #waiting = 0;

  constructor(channel: Channel) {
    this.#channel = channel;
    const on = channel.on.bind(channel) as (event: string, listener: (...args: never[]) => void) => unknown;
    on("message", (message: In, handle: unknown) => this.onMessage(message, handle));
    on("disconnect", () => this.#ended());
    on("error", () => this.#ended());
  }

  get isOpen(): boolean {
    return !this.#hasEnded && this.#channel.connected === true;
  }

  /** What is sent after the end of the other process is lost. */
  send(message: Out): void {
    if (!this.isOpen) return;
    this.#waiting++;
    this.#channel.send?.(message, undefined, {}, () => this.#waiting--);
  }

  /** The other process does not keep up, or hangs. */
  get isBehind(): boolean {
    return this.#waiting >= MAX_WAITING;
  }

  /** Sends a socket along. Resolves when the other process has it, and rejects when it cannot get it. */
  sendHandle(message: Out, handle: SendHandle): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.isOpen) reject(new Error("the other process has ended"));
      else this.#channel.send?.(message, handle, { keepOpen: true }, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  close(): void {
    if (this.#channel.connected) this.#channel.disconnect?.();
    this.#ended();
  }

  #ended(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.onEnd();
  }
}
