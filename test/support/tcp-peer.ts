import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { StreamFramer } from "../../src/sip/index.ts";
import { Inbox } from "./inbox.ts";
import { MESSAGE_TIMEOUT_MS, waitFor } from "./net.ts";

/** One connection of a SIP peer that does nothing by itself. */
export class TcpPeer extends Inbox {
  readonly socket: Socket;
  /** All bytes that came. */
  raw = "";
  isClosed = false;

  constructor(socket: Socket) {
    super();
    this.socket = socket;
    const framer = new StreamFramer();
    socket.setEncoding("latin1");
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.isClosed = true;
    });
    socket.on("data", (chunk: string) => {
      this.raw += chunk;
      framer.push(chunk);
      for (let frame = framer.next(); frame !== undefined; frame = framer.next())
        if (frame.kind === "message") this.received.push(frame.text);
    });
  }

  static async connect(to: { readonly address: string; readonly port: number }, localAddress?: string): Promise<TcpPeer> {
    const socket = connect({ host: to.address, port: to.port, ...(localAddress !== undefined && { localAddress }) });
    const peer = new TcpPeer(socket);
    await once(socket, "connect");
    return peer;
  }

  get address(): string {
    return this.socket.localAddress ?? "";
  }

  get port(): number {
    return this.socket.localPort ?? 0;
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  async close(): Promise<void> {
    this.socket.destroy();
  }
}

/** A SIP peer that is connected to. */
export class TcpServer {
  readonly #server: Server;
  readonly peers: TcpPeer[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket) => this.peers.push(new TcpPeer(socket)));
  }

  static async open(address: string, port = 0): Promise<TcpServer> {
    const server = createServer();
    const opened = new TcpServer(server);
    server.listen(port, address);
    await once(server, "listening");
    return opened;
  }

  get address(): string {
    return (this.#server.address() as { address: string }).address;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  /** The connection of this number, from 0. */
  async peer(at = 0, timeoutMs = MESSAGE_TIMEOUT_MS): Promise<TcpPeer> {
    return waitFor(`connection ${at}`, timeoutMs, () => this.peers[at]);
  }

  async close(): Promise<void> {
    for (const { socket } of this.peers) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
