import { headerOf, responseTo } from "./sip-messages.ts";
import { UdpPeer } from "./udp-peer.ts";

const POLL_MS = 10;

/** A destination that answers whatever comes, probes above all, with a status that the test sets; 0: silence. */
export class ProbedPeer {
  status = 200;
  readonly peer: UdpPeer;
  readonly #timer: NodeJS.Timeout;
  #seen = 0;

  private constructor(peer: UdpPeer) {
    this.peer = peer;
    this.#timer = setInterval(() => this.#answer(), POLL_MS);
  }

  static async open(address: string): Promise<ProbedPeer> {
    return new ProbedPeer(await UdpPeer.open(address));
  }

  get uri(): string {
    return `sip:${this.peer.sentBy}`;
  }

  get probes(): string[] {
    return this.peer.received.filter((text) => text.startsWith("OPTIONS "));
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.peer.close();
  }

  #answer(): void {
    for (const text of this.peer.received.slice(this.#seen)) {
      const [, address = "", port = ""] = /^SIP\/2\.0\/UDP ([^:]+):(\d+);/.exec(headerOf(text, "Via")) ?? [];
      if (this.status > 0) this.peer.send(responseTo(text, this.status, { toTag: "peer" }), { address, port: Number(port) });
    }
    this.#seen = this.peer.received.length;
  }
}
