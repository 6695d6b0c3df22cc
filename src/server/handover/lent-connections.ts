import type { Connection, Endpoint } from "../../transaction/index.ts";
import { LentConnection } from "../../transport/lent-connection.ts";

interface Lent {
  readonly connection: LentConnection;
  readonly endpoint: Endpoint;
}

/** Connections that the former process keeps, and that this one uses, by their numbers there. */
export class LentConnections {
  readonly #byId = new Map<number, Lent>();
  readonly #ids = new WeakMap<Connection, number>();
  readonly #write: (id: number, text: string) => void;

  /** @param write has the former process send on a connection */
  constructor(write: (id: number, text: string) => void) {
    this.#write = write;
  }

  /** A place with the connection that leads there. */
  lend(id: number, endpoint: Endpoint): Endpoint {
    const known = this.#byId.get(id);
    if (known !== undefined) return known.endpoint;
    const connection = new LentConnection((text) => this.#write(id, text));
    const lent = { connection, endpoint: { ...endpoint, connection } };
    this.#byId.set(id, lent);
    this.#ids.set(connection, id);
    return lent.endpoint;
  }

  /** The number of a connection; undefined when it is none of them. */
  idOf(connection: Connection | undefined): number | undefined {
    return connection && this.#ids.get(connection);
  }

  /** The place of a peer that is connected. */
  at(transport: Endpoint["transport"], address: string, port: number): Endpoint | undefined {
    for (const { endpoint, connection } of this.#byId.values()) {
      if (connection.isOpen && endpoint.transport === transport && endpoint.address === address && endpoint.port === port) return endpoint;
    }
    return undefined;
  }

  ended(id: number): void {
    this.#byId.get(id)?.connection.end();
    this.#byId.delete(id);
  }

  endAll(): void {
    for (const id of [...this.#byId.keys()]) this.ended(id);
  }
}
