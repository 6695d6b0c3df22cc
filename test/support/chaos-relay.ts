import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { ChaosLink, type LinkQuality, PERFECT } from "./chaos-link.ts";
import { seededRandom } from "./random.ts";

/** What a relay does. */
export interface ChaosRelayOptions {
  /** Loopback address of its own. */
  readonly address: string;
  /** Where it carries what comes from the one peer in front of it. */
  readonly target: { readonly address: string; readonly port: number };
  /**
   * Port that it sends to the target from. As the Via of a peer names the peer's port, and responses go to the address that a request came from at that
   * port (RFC 3261 §18.2.2), this is the port of a peer that makes calls. Default: a free one.
   */
  readonly port?: number;
  /** What it does to the datagrams of either way, until somebody sets another quality of a link. */
  readonly quality: Partial<LinkQuality>;
  readonly seed: number;
}

/** A bad network between one peer, which may be a program of its own, and a target. */
export class ChaosRelay {
  /** The way to the target, and back. */
  readonly there: ChaosLink;
  readonly back: ChaosLink;
  readonly #near: Socket;
  readonly #far: Socket;
  /** The peer: who sent last from the near side. */
  #peer: AddressInfo | undefined;

  private constructor(near: Socket, far: Socket, { seed, target, quality }: ChaosRelayOptions) {
    this.#near = near;
    this.#far = far;
    const random = seededRandom(seed);
    this.there = new ChaosLink(random, { ...PERFECT, ...quality });
    this.back = new ChaosLink(random, { ...PERFECT, ...quality });
    near.on("message", (bytes, from) => {
      this.#peer = from as unknown as AddressInfo;
      this.there.carry(() => far.send(bytes, target.port, target.address));
    });
    far.on("message", (bytes) => {
      const peer = this.#peer;
      if (peer !== undefined) this.back.carry(() => near.send(bytes, peer.port, peer.address));
    });
    for (const socket of [near, far]) socket.on("error", () => {}); // what cannot be sent is lost
  }

  static async open(options: ChaosRelayOptions): Promise<ChaosRelay> {
    const near = createSocket({ type: "udp4", recvBufferSize: 4_194_304 }).unref().bind(0, options.address);
    const far = createSocket({ type: "udp4", recvBufferSize: 4_194_304 })
      .unref()
      .bind(options.port ?? 0, options.address);
    await Promise.all([once(near, "listening"), once(far, "listening")]);
    return new ChaosRelay(near, far, options);
  }

  /** `address:port` that the peer sends to. */
  get front(): string {
    const { address, port } = this.#near.address();
    return `${address}:${port}`;
  }

  async close(): Promise<void> {
    this.there.close();
    this.back.close();
    await Promise.all([this.#near, this.#far].map((socket) => once(socket.close(), "close")));
  }
}
