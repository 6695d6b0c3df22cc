import type { IncomingMessage, ServerResponse } from "node:http";
import { EVENT_NAMES, isEventName } from "../event-names.ts";
import type { BusEvent, EventBus, Missed } from "./bus.ts";
import { eventMessage } from "./event-text.ts";

/** Clients that listen at the same time: panels and scripts need a handful, and management must stay reachable beside them. */
export const MAX_CLIENTS = 16;
/** Events that wait for a client that reads too slowly, or that is still getting those that it asked to have again, which do not count. */
export const MAX_WAITING = 10_000;
/** Time between two heartbeats, ms: proxies on the way close connections on which nothing moves, often after 30 or 60 s. */
export const HEARTBEAT_MS = 15_000;
/** Events that are written in one piece, within a millisecond or two. Then all else that happens has its turn. */
const EVENTS_A_PIECE = 100;
/** Time after which a client whose connection broke should come back, ms. */
const RETRY_MS = 2_000;

/** Told to a client that was away for so long that not all events are kept. It has no id: ids go on with the next event. */
const LOST_MESSAGE = 'event: E_EVENTS_LOST\ndata: {"event":"E_EVENTS_LOST"}\n\n';

export interface EventStreamOptions {
  readonly bus: EventBus;
  /** Runs something again and again; what it answers ends that. */
  readonly every: (ms: number, run: () => void) => () => void;
  /** Runs something once, soon, but not within the call that asks for it. */
  readonly soon: (run: () => void) => void;
  /** @default MAX_CLIENTS */
  readonly maxClients?: number;
  /** @default MAX_WAITING */
  readonly maxWaiting?: number;
}

/** How often each thing happened since the start; `clients` is how many listen now. */
export interface StreamCounters {
  clients: number;
  clients_refused: number;
  /** Clients that read too slowly. */
  clients_dropped: number;
}

interface Client {
  readonly response: ServerResponse;
  readonly names: ReadonlySet<string>;
  /** What it asked to have again: all of it comes before what waits. */
  missed: Missed | undefined;
  /** Events since it came that are not written yet, oldest first; those before `written` are. */
  waiting: BusEvent[];
  written: number;
  /** A piece will be written soon. */
  flushing: boolean;
  /** The connection took less than was written; heartbeats since then. */
  blockedBeats: number;
  blocked: boolean;
}

/**
 * Events as a stream of server-sent events (WHATWG HTML §9.2): a client that comes back with `Last-Event-ID` gets what it missed.
 * Writing is never done within the call that publishes, and a client that reads too slowly is dropped.
 */
export class EventStream {
  readonly counters: StreamCounters = { clients: 0, clients_refused: 0, clients_dropped: 0 };
  readonly #options: EventStreamOptions;
  readonly #clients = new Set<Client>();
  readonly #unsubscribe: () => void;
  readonly #stopHeartbeat: () => void;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#unsubscribe = options.bus.subscribe((event) => this.#published(event));
    this.#stopHeartbeat = options.every(HEARTBEAT_MS, () => this.#beat());
  }

  /** Answers a GET: for as long as the client stays, or with an error. `?events=A,B` asks for these names only. */
  handle(request: IncomingMessage, response: ServerResponse): void {
    const query = new URL(request.url ?? "/", "http://localhost").searchParams;
    const names = new Set((query.get("events") ?? "").split(",").filter((name) => name !== ""));
    const unknown = [...names].find((name) => !isEventName(name));
    if (unknown !== undefined) {
      refuse(response, 400, `Cannot send events "${unknown.slice(0, 60)}": want some of ${EVENT_NAMES.join(", ")}`);
    } else if (this.#clients.size >= (this.#options.maxClients ?? MAX_CLIENTS)) {
      this.counters.clients_refused++;
      refuse(response, 503, `Cannot serve more than ${this.#options.maxClients ?? MAX_CLIENTS} clients of events at a time`);
    } else {
      this.#serve(response, names, request.headers["last-event-id"]);
    }
  }

  /** Ends every stream. */
  close(): void {
    this.#stopHeartbeat();
    this.#unsubscribe();
    for (const { response } of this.#clients) response.destroy();
    this.#clients.clear();
    this.counters.clients = 0;
  }

  #serve(response: ServerResponse, names: ReadonlySet<string>, lastId: string | string[] | undefined): void {
    const { bus } = this.#options;
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
    });
    response.write(`retry: ${RETRY_MS}\n\n`);
    const missed = typeof lastId === "string" ? bus.since(lastId, names) : undefined;
    if (missed?.lost === true) response.write(LOST_MESSAGE);
    const client: Client = { response, names, missed, waiting: [], written: 0, flushing: false, blocked: false, blockedBeats: 0 };
    this.#clients.add(client);
    this.counters.clients = this.#clients.size;
    response.on("drain", () => {
      client.blocked = false;
      client.blockedBeats = 0;
      this.#flushSoon(client);
    });
    response.on("close", () => this.#forget(client));
    response.on("error", () => this.#forget(client));
    this.#flushSoon(client);
  }

  #published(event: BusEvent): void {
    const { maxWaiting = MAX_WAITING } = this.#options;
    for (const client of this.#clients) {
      if (client.names.size > 0 && !client.names.has(event.name)) continue;
      if (client.waiting.length - client.written >= maxWaiting) {
        this.#drop(client);
        continue;
      }
      client.waiting.push(event);
      this.#flushSoon(client);
    }
  }

  #flushSoon(client: Client): void {
    if (client.flushing || client.blocked) return;
    client.flushing = true;
    this.#options.soon(() => {
      client.flushing = false;
      this.#flush(client);
    });
  }

  /** Writes one piece of what the client is to get, and sees to it that the next one follows. */
  #flush(client: Client): void {
    const piece = this.#nextPiece(client);
    if (piece.length === 0 || !this.#clients.has(client)) return;
    client.blocked = !client.response.write(piece.map((event) => eventMessage(this.#options.bus, event)).join(""));
    this.#flushSoon(client);
  }

  #nextPiece(client: Client): readonly BusEvent[] {
    if (client.missed !== undefined) {
      const piece = client.missed.take(EVENTS_A_PIECE);
      if (client.missed.left === 0) client.missed = undefined;
      if (piece.length > 0) return piece;
    }
    const piece = client.waiting.slice(client.written, client.written + EVENTS_A_PIECE);
    client.written += piece.length;
    if (client.written === client.waiting.length) {
      client.waiting = [];
      client.written = 0;
    } else if (client.written >= EVENTS_A_PIECE * 10) {
      client.waiting = client.waiting.slice(client.written);
      client.written = 0;
    }
    return piece;
  }

  /** A connection that took nothing between two heartbeats is dead or as good as. */
  #beat(): void {
    for (const client of this.#clients) {
      if (!client.blocked) client.response.write(": alive\n\n");
      else if (++client.blockedBeats >= 2) this.#drop(client);
    }
  }

  #drop(client: Client): void {
    this.counters.clients_dropped++;
    this.#forget(client);
    client.response.destroy();
  }

  #forget(client: Client): void {
    this.#clients.delete(client);
    this.counters.clients = this.#clients.size;
  }
}

function refuse(response: ServerResponse, status: number, sentence: string): void {
  const body = Buffer.from(`${sentence}\n`);
  response.writeHead(status, { "content-type": "text/plain", "content-length": body.length, connection: "close" });
  response.end(body);
}
