import type { Address } from "../balancer/index.ts";
import type { SipResponse } from "../sip/index.ts";
import { type Endpoint, facingListener, TransactionLayer, type Wire } from "../transaction/index.ts";
import type { LineOptions, ProbeSocket } from "./ports.ts";

/** By what a probe leaves, and whose transaction waits for its reply. */
export interface ProbeWay {
  readonly target: Endpoint;
  readonly layer: Pick<TransactionLayer, "send">;
}

/**
 * How probes reach destinations. Over UDP they have sockets and transactions of their own: calls and probes do not get in each other's way. Over streams
 * they go on the connection that calls use, as it is this one that must be alive, and only who has asked gets the replies.
 */
export class ProbeWays {
  readonly #options: LineOptions;
  readonly #layer: TransactionLayer;
  readonly #sockets: ProbeSocket[] = [];

  /** @param strayResponse is told of each reply that nobody waits for */
  constructor(options: LineOptions, strayResponse: () => void) {
    const { wheel, chance, nowMs } = options;
    this.#options = options;
    const wire: Wire = { send: (text, to, owner) => (to.listener as ProbeSocket).send(text, to, owner) };
    this.#layer = new TransactionLayer({ wire, wheel, chance, nowMs });
    this.#layer.user = { request: () => undefined, ack: () => undefined, strayResponse };
  }

  /** Opens a socket on each address. @throws Error when one cannot be bound; those before it stay open until `close` */
  async open(receive: (text: string, source: Endpoint) => void): Promise<void> {
    const { addresses, openSocket } = this.#options;
    for (const address of new Set(addresses)) this.#sockets.push(await openSocket(address, receive));
  }

  async close(): Promise<void> {
    await Promise.all(this.#sockets.splice(0).map((socket) => socket.close()));
  }

  /** A reply that came to one of the sockets. */
  receive(response: SipResponse, source: Endpoint): void {
    this.#layer.receive(response, source);
  }

  /**
   * Undefined when nothing of ours reaches the address.
   *
   * @param uri of the destination
   * @param leaveFrom address of ours to leave from over UDP, when there is a socket on it
   */
  to(address: Address, uri: string, leaveFrom?: string): ProbeWay | undefined {
    if (address.transport === "udp") {
      const wanted = leaveFrom === undefined ? undefined : this.#sockets.find((socket) => socket.address === leaveFrom);
      const socket = wanted ?? this.#socketTo(address.ip);
      return socket && { target: { transport: "udp", address: address.ip, port: address.port, listener: socket }, layer: this.#layer };
    }
    const { streams } = this.#options;
    const target = streams?.endpoint(address, uri);
    return streams && target && { target, layer: streams.layer };
  }

  /**
   * The socket on the address that calls to there leave from. Those prefer the listener that they came to; a probe came to none, and prefers the one
   * in the network of the destination.
   */
  #socketTo(ip: string): ProbeSocket | undefined {
    const near = this.#sockets.length > 1 ? this.#options.towards(ip) : undefined;
    return facingListener(
      ip,
      this.#sockets,
      this.#sockets.find((socket) => socket.address === near),
    );
  }
}
