import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { seededRandom } from "./random.ts";

/** What a relay does. */
export interface LossyRelayOptions {
  /** Loopback address of its own. */
  readonly address: string;
  /** Where it carries what comes from the one peer in front of it. */
  readonly target: { readonly address: string; readonly port: number };
  /**
   * Port that it sends to the target from. As the Via of a peer names the peer's port, and responses go to the address that a request came from at that
   * port (RFC 3261 §18.2.2), this is the port of a peer that makes calls. Default: a free one.
   */
  readonly port?: number;
  /** Share of datagrams that is lost, each way, 0 to 1. */
  readonly loss: number;
  readonly seed: number;
}

/** A bad network between one peer and a target: it carries datagrams both ways and loses some. */
export class LossyRelay {
  /** Datagrams that were carried and lost on the way to the target, and back. */
  readonly there = { carried: 0, lost: 0 };
  readonly back = { carried: 0, lost: 0 };
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #random: () => number;
  readonly #loss: number;
  /** The peer: who sent last from the near side. */
  #peer: AddressInfo | undefined;

  private constructor(near: Socket, far: Socket, options: LossyRelayOptions) {
    const { loss, seed, target } = options;
    this.#near = near;
    this.#far = far;
    this.#loss = loss;
    this.#random = seededRandom(seed);
    near.on("message", (bytes, from) => {
      this.#peer = from as unknown as AddressInfo;
      if (this.#survives(this.there)) far.send(bytes, target.port, target.address);
    });
    far.on("message", (bytes) => {
      if (this.#peer !== undefined && this.#survives(this.back)) near.send(bytes, this.#peer.port, this.#peer.address);
    });
  }

  static async open(options: LossyRelayOptions): Promise<LossyRelay> {
    const near = createSocket({ type: "udp4", recvBufferSize: 4_194_304 }).unref().bind(0, options.address);
    const far = createSocket({ type: "udp4", recvBufferSize: 4_194_304 })
      .unref()
      .bind(options.port ?? 0, options.address);
    await Promise.all([once(near, "listening"), once(far, "listening")]);
    return new LossyRelay(near, far, options);
  }

  /** `address:port` that the peer sends to. */
  get front(): string {
    return textOf(this.#near);
  }

  async close(): Promise<void> {
    await Promise.all([this.#near, this.#far].map((socket) => once(socket.close(), "close")));
  }

  #survives(counts: { carried: number; lost: number }): boolean {
    const survives = this.#random() >= this.#loss;
    if (survives) counts.carried++;
    else counts.lost++;
    return survives;
  }
}

function textOf(socket: Socket): string {
  const { address, port } = socket.address();
  return `${address}:${port}`;
}
