import type { Headroom } from "./headroom.ts";

/** One event as `/events` tells it. */
export interface HeardEvent {
  readonly name: string;
  readonly params: Record<string, unknown>;
  /** Milliseconds on the clock of `performance.now()`. */
  readonly atMs: number;
}

/** Listens to the events of a node until it is closed. */
export class EventListener {
  readonly events: HeardEvent[] = [];
  /** Is told of each event when it comes. */
  onEvent: ((event: HeardEvent) => void) | undefined;
  readonly #abort = new AbortController();

  /** Resolves once the node tells its events. */
  static async open(node: Headroom): Promise<EventListener> {
    const listener = new EventListener();
    const response = await fetch(node.miUrl.replace(/\/mi$/, "/events"), {
      headers: { accept: "text/event-stream" },
      signal: listener.#abort.signal,
    });
    if (!response.ok || response.body === null) throw new Error(`Cannot listen to events: status ${response.status}`);
    void listener.#read(response.body).catch(() => undefined); // it ends when the node or the test does
    return listener;
  }

  close(): void {
    this.#abort.abort();
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of body) {
      rest += decoder.decode(chunk as Uint8Array, { stream: true });
      for (let end = rest.indexOf("\n\n"); end !== -1; end = rest.indexOf("\n\n")) {
        this.#take(rest.slice(0, end));
        rest = rest.slice(end + 2);
      }
    }
  }

  #take(block: string): void {
    const lines = block.split("\n");
    const name = lines
      .find((line) => line.startsWith("event:"))
      ?.slice(6)
      .trim();
    const data = lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
    if (name === undefined || data.length === 0) return;
    const parsed = JSON.parse(data.join("\n")) as { params?: Record<string, unknown> };
    const event = { name, params: parsed.params ?? (parsed as Record<string, unknown>), atMs: performance.now() };
    this.events.push(event);
    this.onEvent?.(event);
  }
}
