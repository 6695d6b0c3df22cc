import type { Logger } from "pino";
import type { Balancer } from "../../balancer/index.ts";
import type { Config } from "../../config/index.ts";
import type { Overload } from "../../overload/index.ts";
import type { Endpoint, Listener } from "../../transaction/index.ts";
import { chooseSockets } from "../../transport/datagram-sockets.ts";
import type { LocalAddresses } from "../../transport/local-address.ts";
import type { SipNetwork } from "../../transport/network.ts";
import { loadSystemCalls, type SystemCalls } from "../../transport/system-calls.ts";
import { TransportCounters, UdpListener, type UdpListenerOptions } from "../../transport/udp.ts";
import type { ThreadPlace } from "./messages.ts";

export interface ThreadListenersPorts {
  readonly config: Pick<Config, "sip">;
  readonly self: number;
  readonly places: readonly ThreadPlace[];
  readonly descriptors: SharedArrayBuffer;
  readonly network: SipNetwork;
  readonly overload: Pick<Overload, "admitDatagram" | "watchQueue">;
  readonly locals: LocalAddresses;
  readonly balancer: Pick<Balancer, "isDestination">;
  readonly nowMs: () => number;
  readonly receive: (text: string, source: Endpoint) => void;
  readonly log: Logger;
}

/** The sockets of a thread: for each place one at the port that all threads have, and one at a port of its own. */
export class ThreadListeners {
  readonly counters = new TransportCounters();
  readonly #ports: ThreadListenersPorts;
  /** By number of the place: at the port of all. */
  readonly #common: UdpListener[] = [];
  readonly #own: UdpListener[] = [];

  constructor(ports: ThreadListenersPorts) {
    this.#ports = ports;
  }

  /** Makes them known to the network; they have no sockets yet. */
  async prepare(): Promise<void> {
    const { config, self, places, network, log, descriptors, balancer, nowMs } = this.#ports;
    const { sockets, reason } = await chooseSockets(config.sip.udp_system_calls, async () =>
      remembering(await loadSystemCalls(), new Int32Array(descriptors)),
    );
    if (reason !== undefined && self === 0)
      log.info({ reason }, `UDP is read and written by Node.js, not by direct system calls: ${reason}`);
    for (const { address, port, ownPorts } of places) {
      const common = UdpListener.awaiting({ address, port }, true, { ...this.#options(address, port), sockets });
      const own = UdpListener.awaiting({ address, port: ownPorts[self]! }, true, {
        ...{ ...this.#options(address, ownPorts[self]!), sockets },
        peers: { nowMs, isLasting: (peer, peerPort) => balancer.isDestination(peer, peerPort) !== undefined },
      });
      common.outgoing = own;
      this.#common.push(common);
      this.#own.push(own);
      network.add(common);
      network.add(own, true);
    }
  }

  /** @throws Error that names the address when one cannot be bound */
  async open(): Promise<void> {
    for (const listener of [...this.#own, ...this.#common]) await listener.openAnew();
  }

  /** Closes all sockets before it returns. */
  close(): void {
    for (const listener of [...this.#own, ...this.#common]) void listener.close();
  }

  /** The number of the place that a listener is at with the port of all; -1 for others. */
  placeOf(listener: Listener): number {
    return this.#common.indexOf(listener as UdpListener);
  }

  common(place: number): UdpListener | undefined {
    return this.#common[place];
  }

  #options(address: string, port: number): UdpListenerOptions {
    const { config, locals, overload, receive, log } = this.#ports;
    const queue = overload.watchQueue();
    return {
      ...{ address, port, locals, receive, counters: this.counters },
      advertised: advertisedFor(config.sip.advertised_address),
      admit: (bytes, source, start, end) => overload.admitDatagram(bytes, source, start, end),
      backlog: (share) => queue.look(share),
      fault: (error, action) => log.error({ err: error }, `cannot ${action}`),
    };
  }
}

/** A port in it would be that of all threads, where replies must come to one. */
function advertisedFor(advertised: string | null): string | null {
  return advertised === null ? null : advertised.replace(/(?<=[^:\]]|\]):\d+$/, "");
}

/** Notes each descriptor that is open: Node.js knows nothing of them, so nobody closes them when the thread dies. */
function remembering(calls: SystemCalls, bits: Int32Array): SystemCalls {
  const note = (fd: number): number => {
    if (fd >= 0 && fd >> 5 < bits.length) Atomics.or(bits, fd >> 5, 1 << (fd & 31));
    return fd;
  };
  return {
    ...calls,
    socket: (...args) => note(calls.socket(...args)),
    duplicate: (fd) => note(calls.duplicate(fd)),
    close: (fd) => {
      if (fd >> 5 < bits.length) Atomics.and(bits, fd >> 5, ~(1 << (fd & 31)));
      return calls.close(fd);
    },
  };
}
