import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer, type SecureContextOptions, type TLSSocket } from "node:tls";

/** One end of it. */
export interface Place {
  readonly address: string;
  readonly port: number;
}

/** Puts TLS around the TCP of a program that has none, such as Debian's sipp. */
export class TlsWrap implements Place {
  readonly address: string;
  readonly port: number;
  /** Connections that were carried. */
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket | TLSSocket>();

  private constructor(server: Server) {
    this.#server = server;
    ({ address: this.address, port: this.port } = server.address() as AddressInfo);
  }

  /** Takes TCP and carries it over TLS to a server. @param ca who may have signed its certificate */
  static async toServer(address: string, server: Place, ca: Buffer): Promise<TlsWrap> {
    return TlsWrap.#listen(createServer(), "connection", address, (near) => {
      const far = connectTls({ host: server.address, port: server.port, ca, checkServerIdentity: () => undefined });
      return [near, far];
    });
  }

  /** Takes TLS and carries it over TCP to a program. */
  static async toProgram(address: string, program: Place, secure: SecureContextOptions): Promise<TlsWrap> {
    return TlsWrap.#listen(createTlsServer(secure), "secureConnection", address, (near) => [near, connect(program.port, program.address)]);
  }

  static async #listen(server: Server, event: string, address: string, join: (near: Socket) => [Socket, Socket]): Promise<TlsWrap> {
    server.listen(0, address);
    await once(server, "listening");
    const wrap = new TlsWrap(server);
    server.on("tlsClientError", () => undefined);
    server.on(event, (socket: Socket) => {
      wrap.connections++;
      const [near, far] = join(socket);
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        wrap.#sockets.add(one);
        one.setNoDelay(true);
        one.on("error", () => undefined); // "close" follows
        one.on("close", () => {
          wrap.#sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
    return wrap;
  }

  async close(): Promise<void> {
    const closed = once(this.#server.close(), "close");
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
