import { DialogState } from "../dialog/index.ts";
import { readSourceKey, type SourceKey, sourceText } from "./source-key.ts";

/** What is read of a call. */
export interface PeerCall {
  readonly state: DialogState;
  readonly callerEndpoint: { readonly address: string };
  readonly calleeEndpoint: { readonly address: string } | undefined;
}

/** How many ongoing calls each source has: those that are up, as anybody can make one ring. */
export class CallPeers {
  readonly #calls = new Map<string, number>();
  /** Sources of each call that is up, as they were counted. */
  readonly #peers = new Map<PeerCall, readonly string[]>();
  readonly #key: SourceKey = { hi: 0, lo: 0 };

  /** A call has changed its state. */
  changed(call: PeerCall): void {
    const isUp = call.state === DialogState.ConfirmedNoAck || call.state === DialogState.Confirmed;
    const peers = this.#peers.get(call);
    if (isUp && peers === undefined) this.#began(call);
    else if (!isUp && peers !== undefined) {
      this.#peers.delete(call);
      for (const peer of peers) this.#count(peer, -1);
    }
  }

  /** Ongoing calls of a source. */
  callsOf(key: Readonly<SourceKey>): number {
    return this.#calls.size === 0 ? 0 : (this.#calls.get(sourceText(key)) ?? 0);
  }

  /** Whether a call is up with the source that an address belongs to. */
  has(address: string): boolean {
    return this.#calls.size > 0 && readSourceKey(address, this.#key) && this.callsOf(this.#key) > 0;
  }

  /** How many sources have calls. */
  get size(): number {
    return this.#calls.size;
  }

  #began(call: PeerCall): void {
    const peers: string[] = [];
    for (const endpoint of [call.callerEndpoint, call.calleeEndpoint]) {
      if (endpoint === undefined || !readSourceKey(endpoint.address, this.#key)) continue;
      const peer = sourceText(this.#key);
      peers.push(peer);
      this.#count(peer, 1);
    }
    this.#peers.set(call, peers);
  }

  #count(peer: string, change: number): void {
    const calls = (this.#calls.get(peer) ?? 0) + change;
    if (calls > 0) this.#calls.set(peer, calls);
    else this.#calls.delete(peer);
  }
}
