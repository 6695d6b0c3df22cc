import { connect, createServer, type Server, type Socket } from "node:net";

/** Pieces that wait while the proxy delays; a connection with more is cut. */
const MAX_DELAYED = 100_000;

/** Carries bytes from 127.0.0.1 to a port of 127.0.0.1, and troubles them when it is told to. */
export class TcpProxy implements AsyncDisposable {
  readonly port: number;
  /** Connections that were opened to it. */
  accepted = 0;
  /** Bytes that were swallowed. */
  dropped = 0;
  readonly #server: Server;
  readonly #targetPort: number;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #mode: "carry" | "drop" | "refuse" = "carry";
  #delayMs = 0;

  constructor(server: Server, port: number, targetPort: number) {
    this.#server = server;
    this.port = port;
    this.#targetPort = targetPort;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** How many connections are open, on the side of whoever connects. */
  get connections(): number {
    return this.#sockets.size / 2;
  }

  /** Swallows all bytes both ways. Connections stay, new ones are taken, and nobody is told: a partition. */
  drop(): void {
    this.#mode = "drop";
  }

  /** Cuts all connections, and each new one at once. */
  refuse(): void {
    this.#mode = "refuse";
    this.cut();
  }

  /** Cuts all connections; new ones are carried. */
  cut(): void {
    for (const socket of [...this.#sockets]) socket.destroy();
  }

  /** Each byte comes so many milliseconds later, both ways: a round trip takes twice as long. */
  delay(ms: number): void {
    this.#mode = "carry";
    this.#delayMs = ms;
  }

  /** Carries as at first. What was swallowed is lost: connections from then are cut, as a firewall that has forgotten them does. */
  heal(): void {
    const lost = this.#mode === "drop";
    this.#mode = "carry";
    this.#delayMs = 0;
    if (!lost) return;
    for (const socket of [...this.#sockets]) if (lossy.has(socket)) socket.destroy();
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.refuse();
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accept(socket: Socket): void {
    if (this.#mode === "refuse") {
      socket.destroy();
      return;
    }
    this.accepted++;
    const onward = connect(this.#targetPort, "127.0.0.1");
    this.#join(socket, onward);
    this.#join(onward, socket);
  }

  #join(from: Socket, to: Socket): void {
    const delayed: Buffer[] = [];
    this.#sockets.add(from);
    from.setNoDelay(true);
    from.on("error", () => {}); // "close" follows
    from.on("close", () => {
      this.#sockets.delete(from);
      if (this.#mode === "drop") lossy.add(to);
      else to.destroy();
    });
    from.on("data", (bytes) => this.#carry(bytes, from, to, delayed));
    from.on("end", () => {
      if (this.#mode !== "drop") to.end();
    });
  }

  #carry(bytes: Buffer, from: Socket, to: Socket, delayed: Buffer[]): void {
    if (this.#mode === "drop") {
      this.dropped += bytes.length;
      lossy.add(from).add(to);
      return;
    }
    if (this.#delayMs === 0 && delayed.length === 0) {
      to.write(bytes);
      return;
    }
    if (delayed.length > MAX_DELAYED) from.destroy();
    delayed.push(bytes);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      const first = delayed.shift(); // not `bytes`: a delay that became shorter would let them overtake others
      if (first !== undefined && !to.destroyed && this.#mode === "carry") to.write(first);
    }, this.#delayMs);
    this.#timers.add(timer);
  }
}

/** Sockets whose bytes were swallowed: what follows would make no sense to their peer. */
const lossy = new WeakSet<Socket>();

/** Listens on a free port. Close it in `finally`. */
export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return new TcpProxy(server, (server.address() as { port: number }).port, targetPort);
}
