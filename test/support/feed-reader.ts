import { waitFor } from "./net.ts";

/** One row of `figures`. */
export interface FeedRow {
  readonly id: number;
  readonly status: string;
  readonly why: string;
  readonly loads: readonly (readonly [load: number, max: number, capacity: number, remote: number, foreign: number])[];
  readonly calls: number;
  readonly drain: { readonly load: number; readonly deadline: number | null } | null;
  readonly probeMs: number | null;
  readonly probeAvgMs: number | null;
  readonly lastCode: number | null;
  readonly factor: number;
}

/** A reader of the dashboard's feed, with what it knows by now. */
export class FeedReader {
  /** Names of the frames, in their order. */
  readonly frames: string[] = [];
  readonly rows = new Map<number, FeedRow>();
  readonly events: { readonly event: string; readonly params: Record<string, unknown> }[] = [];
  // biome-ignore-start lint/suspicious/noExplicitAny: their shapes are in docs/management.md
  hello: any;
  table: any;
  totals: any;
  // biome-ignore-end lint/suspicious/noExplicitAny: their shapes are in docs/management.md
  /** The connection is over. */
  isOver = false;
  readonly #abort = new AbortController();

  /** @param miUrl of the node @throws Error that tells the status, when it is not served */
  static async open(miUrl: string, token?: string): Promise<FeedReader> {
    const reader = new FeedReader();
    const response = await fetch(new URL("/dashboard/feed", miUrl), {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      signal: reader.#abort.signal,
    });
    if (!response.ok || response.body === null) throw new Error(`Cannot read the feed: status ${response.status}`);
    void reader
      .#read(response.body)
      .catch(() => undefined) // it ends when the node or the test does
      .finally(() => {
        reader.isOver = true;
      });
    return reader;
  }

  /** Waits until something holds of what is known. */
  until(what: string, holds: () => boolean, timeoutMs = 8_000): Promise<unknown> {
    return waitFor(what, timeoutMs, () => holds() || undefined).catch((error: unknown) => {
      throw new Error(`${String(error)}; rows ${JSON.stringify([...this.rows.values()])}, totals ${JSON.stringify(this.totals)}`);
    });
  }

  close(): void {
    this.#abort.abort();
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of body) {
      rest += decoder.decode(chunk as Uint8Array, { stream: true });
      const blocks = rest.split("\n\n");
      rest = blocks.pop()!;
      for (const block of blocks) {
        const [, name = "", data = ""] = /^event: ([^\n]*)\ndata: ([^\n]*)$/.exec(block) ?? [];
        if (name !== "") this.#take(name, JSON.parse(data));
      }
    }
  }

  // biome-ignore lint/suspicious/noExplicitAny: each name has a shape of its own
  #take(name: string, data: any): void {
    this.frames.push(name);
    if (name === "hello") this.hello = data;
    else if (name === "table") this.table = data;
    else if (name === "totals") this.totals = data;
    else if (name === "figures") for (const row of data.rows) this.rows.set(row.id, row);
    else this.events.push(data);
  }
}
