import type { Socket } from "node:net";
import { sourceOf } from "../overload/index.ts";

/** What is looked at of a connection. */
export interface Connection extends Pick<Socket, "remoteAddress" | "remotePort"> {
  destroy(): unknown;
  once(event: "close", listener: () => void): unknown;
}

/**
 * The connections that are open at the same time. Whoever can connect can also hold connections without saying who he is, and open others when they are
 * closed. So when all places are taken such a stranger makes room for who comes: the oldest one of the client, an IPv4 address or an IPv6 block of 64
 * bits, that has most of them. Who was let in keeps his place.
 */
export class Places {
  readonly #max: number;
  /** By client and port, the oldest first. */
  readonly #strangers = new Map<string, Map<number, Connection>>();
  readonly #holders = new Set<Connection>();

  constructor(max: number) {
    this.#max = max;
  }

  /** How many are taken. */
  get taken(): number {
    return this.#holders.size;
  }

  /** Gives a place to a connection, for as long as it is open; ends it when all others were let in. */
  take(connection: Connection): void {
    const { remoteAddress, remotePort } = connection;
    const isGone = remoteAddress === undefined || remotePort === undefined;
    if (isGone || (this.#holders.size >= this.#max && !this.#makeRoom())) return void connection.destroy();
    this.#holders.add(connection);
    const client = sourceOf(remoteAddress);
    const strangers = this.#strangers.get(client) ?? new Map<number, Connection>();
    this.#strangers.set(client, strangers.set(remotePort, connection));
    connection.once("close", () => {
      this.#holders.delete(connection);
      if (strangers.get(remotePort) === connection) this.#isNoStranger(client, remotePort);
    });
  }

  /** Somebody was let in on the connection from there. With TLS it is not the object that was given to {@link take}, so addresses say which it is. */
  keep({ remoteAddress, remotePort }: Pick<Connection, "remoteAddress" | "remotePort">): void {
    if (remoteAddress !== undefined && remotePort !== undefined) this.#isNoStranger(sourceOf(remoteAddress), remotePort);
  }

  #makeRoom(): boolean {
    const [client, strangers] = [...this.#strangers].reduce<[string, Map<number, Connection>] | []>(
      (most, entry) => (most[1] === undefined || entry[1].size > most[1].size ? entry : most),
      [],
    );
    const oldest = strangers?.entries().next().value;
    if (client === undefined || oldest === undefined) return false;
    const [port, connection] = oldest;
    this.#isNoStranger(client, port);
    this.#holders.delete(connection);
    connection.destroy();
    return true;
  }

  #isNoStranger(client: string, port: number): void {
    const strangers = this.#strangers.get(client);
    strangers?.delete(port);
    if (strangers?.size === 0) this.#strangers.delete(client);
  }
}
