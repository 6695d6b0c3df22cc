import { type CountedPeers, DialogState } from "../dialog/index.ts";
import { readSourceKey, type SourceKey, sourceText } from "./source-key.ts";

/** What is read of a call, and what is remembered there: a map of calls that are up would cost each of them 40 bytes. */
export interface PeerCall {
  readonly state: DialogState;
  readonly callerEndpoint: { readonly address: string };
  readonly calleeEndpoint: { readonly address: string } | undefined;
  /** Sources for which the call was counted; undefined: it is not counted. */
  peers: CountedPeers | undefined;
}

/** Sources that calls were counted for, shared by all calls between the same ones: of many calls most are between few. */
class SharedPeers implements CountedPeers {
  readonly sources: readonly string[];
  readonly name: string;
  calls = 0;

  constructor(sources: readonly string[], name: string) {
    this.sources = sources;
    this.name = name;
  }
}

/** How many ongoing calls each source has: those that are up, as anybody can make one ring. */
export class CallPeers {
  readonly #calls = new Map<string, number>();
  readonly #shared = new Map<string, SharedPeers>();
  readonly #key: SourceKey = { hi: 0, lo: 0 };

  /** A call has changed its state. */
  changed(call: PeerCall): void {
    const isUp = call.state === DialogState.ConfirmedNoAck || call.state === DialogState.Confirmed;
    const { peers } = call;
    if (isUp && peers === undefined) this.#began(call);
    else if (!isUp && peers !== undefined) {
      call.peers = undefined;
      for (const source of peers.sources) this.#count(source, -1);
      if (peers instanceof SharedPeers && --peers.calls === 0) this.#shared.delete(peers.name);
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

  /** How many sources have calls, and sets of them that calls are between. */
  get size(): number {
    return this.#calls.size + this.#shared.size;
  }

  #began(call: PeerCall): void {
    const sources: string[] = [];
    for (const endpoint of [call.callerEndpoint, call.calleeEndpoint]) {
      if (endpoint === undefined || !readSourceKey(endpoint.address, this.#key)) continue;
      sources.push(sourceText(this.#key));
    }
    for (const source of sources) this.#count(source, 1);
    const name = sources.join(" ");
    let peers = this.#shared.get(name);
    if (peers === undefined) {
      peers = new SharedPeers(sources, name);
      this.#shared.set(name, peers);
    }
    peers.calls++;
    call.peers = peers;
  }

  #count(source: string, change: number): void {
    const calls = (this.#calls.get(source) ?? 0) + change;
    if (calls > 0) this.#calls.set(source, calls);
    else this.#calls.delete(source);
  }
}
