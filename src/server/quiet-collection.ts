import type { TransactionLayer } from "../transaction/index.ts";

/** Time between two looks, ms. */
const LOOK_MS = 5_000;
/** Server and client transactions, together, below which what they leave behind is not worth a collection: 3 MB. */
const MANY = 2_000;
/** With more than these, one or two new ones a second, somebody would wait for the collection. */
const FEW = 50;
/** With more calls than this a collection takes longer than half a second, after which requests are sent again (timer T1, RFC 3261 §17.1.1.1)... */
const MANY_CALLS = 20_000;
/** ... so it waits until hardly anything is under way but probes. */
const HARDLY_ANY = 20;

export interface QuietCollectionPorts {
  readonly layer: Pick<TransactionLayer, "serverCount" | "clientCount">;
  /** Ongoing calls. */
  readonly dialogs: { readonly size: number };
  readonly collect: () => void;
  /** Runs something later; answers how to stop it. */
  readonly after: (ms: number, run: () => void) => () => void;
}

/**
 * Has garbage collected when it has become quiet. V8 collects when memory is asked for: what ten thousand transactions of a busy hour leave behind, 32 s after
 * its end, would stay resident until the next one, several hundred MB. While calls go on V8 does well by itself, and nothing is done here.
 */
export class QuietCollection {
  readonly #ports: QuietCollectionPorts;
  #stop: () => void;
  /** Most transactions at a look since the last collection. */
  #most = 0;

  constructor(ports: QuietCollectionPorts) {
    this.#ports = ports;
    this.#stop = ports.after(LOOK_MS, () => this.#look());
  }

  close(): void {
    this.#stop();
  }

  #look(): void {
    const { layer, dialogs, collect, after } = this.#ports;
    this.#stop = after(LOOK_MS, () => this.#look());
    const now = layer.serverCount + layer.clientCount;
    this.#most = Math.max(this.#most, now);
    if (this.#most < MANY || now > (dialogs.size > MANY_CALLS ? HARDLY_ANY : FEW)) return;
    this.#most = now;
    collect();
  }
}
