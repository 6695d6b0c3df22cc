import type { Connection } from "../../transaction/index.ts";
import { PeerConnection } from "../../transport/peer-connection.ts";
import type { Listeners } from "../listeners.ts";

/** A connection on which nothing has come or gone for so long is closed once nothing else is left to do, ms. */
const QUIET_MS = 5_000;

/** Ends what is quiet: a peer opens another connection to the next process when it needs it; a client over WebSocket can be reached on this one only. */
export function endQuiet(listeners: Pick<Listeners, "connections">, nowMs: number): void {
  for (const [, connection] of listeners.connections()) {
    const isClient = connection.transport === "ws" || connection.transport === "wss";
    if (!isClient && connection.activeAtMs < nowMs - QUIET_MS) connection.end("stopped");
  }
}

/** Connections that this process keeps, and that the next one uses, by their numbers. */
export class KeptConnections {
  readonly #byId = new Map<number, Connection>();
  readonly #ids = new WeakMap<Connection, number>();
  #last = 0;

  /** The number of a connection of this process that is open. */
  idOf(connection: Connection | undefined): number | undefined {
    if (connection === undefined || !connection.isOpen || !(connection instanceof PeerConnection)) return undefined;
    const known = this.#ids.get(connection);
    if (known !== undefined) return known;
    const id = ++this.#last;
    this.#ids.set(connection, id);
    this.#byId.set(id, connection);
    return id;
  }

  get(id: number | undefined): Connection | undefined {
    return id === undefined ? undefined : this.#byId.get(id);
  }

  /** Sends what the next process wants to have sent. @returns false when the connection is no more */
  write(id: number, text: string): boolean {
    const connection = this.#byId.get(id);
    if (!(connection instanceof PeerConnection) || !connection.isOpen) return false;
    connection.send(text, undefined);
    return true;
  }

  /** Forgets those that have ended. @returns their numbers */
  ended(): number[] {
    const ended: number[] = [];
    for (const [id, connection] of this.#byId) {
      if (connection.isOpen) continue;
      this.#byId.delete(id);
      ended.push(id);
    }
    return ended;
  }
}
