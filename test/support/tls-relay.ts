import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer, connect as tlsConnect } from "node:tls";
import { StreamFramer } from "../../src/sip/index.ts";

const FIXTURES = join(import.meta.dirname, "..", "fixtures", "tls");
const CA = readFileSync(join(FIXTURES, "ca.pem"));
const CERT = readFileSync(join(FIXTURES, "proxy.pem"));
const KEY = readFileSync(join(FIXTURES, "proxy.key"));

interface Place {
  readonly address: string;
  readonly port: number;
}

export interface RelayOptions {
  readonly listen: Place;
  readonly target: Place;
  /** Changes each message that comes from the side with TLS, or goes to it. It must not change its length. */
  readonly rewrite?: (message: string, direction: "from-tls" | "to-tls") => string;
}

/** Carries SIP between TCP and TLS, for peers that know no TLS. Each connection that comes leads to one of its own. */
export class TlsRelay {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  /** TCP comes, TLS goes; the certificate of the target is checked. */
  static async toTls({ listen, target, rewrite }: RelayOptions): Promise<TlsRelay> {
    const relay: TlsRelay = new TlsRelay(
      createServer((plain) => {
        const secure = tlsConnect({ host: target.address, port: target.port, ca: CA, checkServerIdentity: () => undefined });
        relay.#join(plain, secure, rewrite);
      }),
    );
    return relay.#listen(listen);
  }

  /** TLS comes, TCP goes. */
  static async fromTls({ listen, target, rewrite }: RelayOptions): Promise<TlsRelay> {
    const relay: TlsRelay = new TlsRelay(
      createTlsServer({ cert: CERT, key: KEY }, (secure) => {
        relay.#join(connect({ host: target.address, port: target.port }), secure, rewrite);
      }),
    );
    relay.#server.on("tlsClientError", () => undefined);
    return relay.#listen(listen);
  }

  /** Connections that are open, each with both its sides. */
  get connections(): number {
    return this.#sockets.size / 2;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #listen({ address, port }: Place): Promise<this> {
    this.#server.listen(port, address);
    await once(this.#server, "listening");
    return this;
  }

  #join(plain: Socket, secure: Socket, rewrite: RelayOptions["rewrite"] = (message) => message): void {
    for (const [from, to, direction] of [
      [plain, secure, "to-tls"],
      [secure, plain, "from-tls"],
    ] as const) {
      const framer = new StreamFramer();
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.setEncoding("latin1");
      from.on("error", () => undefined);
      from.on("close", () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      from.on("data", (chunk: string) => {
        framer.push(chunk);
        for (let frame = framer.next(); frame !== undefined; frame = framer.next())
          if (frame.kind === "message") to.write(rewrite(frame.text, direction), "latin1");
        if (framer.fault !== undefined) from.destroy();
      });
    }
  }
}
