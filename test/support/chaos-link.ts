/** How bad a network is. */
export interface LinkQuality {
  /** Share of datagrams that are lost, 0 to 1. */
  readonly loss: number;
  /** Share of the others that arrive twice. */
  readonly duplication: number;
  /** Share of the others that are overtaken by those sent up to {@link OVERTAKEN_MS} later. */
  readonly reordering: number;
  /** Each takes up to this long, ms: a random time, so that those sent within it may change places too. */
  readonly delayMs: number;
}

/** Every datagram arrives, at once. */
export const PERFECT: LinkQuality = { loss: 0, duplication: 0, reordering: 0, delayMs: 0 };
const OVERTAKEN_MS = 60;
/** What was held is let go in portions: so many, each so many ms. */
const PORTION = 3;
const PORTION_MS = 5;

/** One way of a network between two peers, which loses, repeats, delays and reorders as chance says. It carries anything that can be done later. */
export class ChaosLink {
  quality: LinkQuality;
  /** Datagrams that arrived, copies included, and those that were lost. */
  carried = 0;
  lost = 0;
  readonly #random: () => number;
  readonly #timers = new Set<NodeJS.Timeout>();
  #held: (() => void)[] | undefined;
  #releasing: NodeJS.Timeout | undefined;
  #isCut = false;

  /** @param random uniform in [0, 1) */
  constructor(random: () => number, quality: LinkQuality = PERFECT) {
    this.#random = random;
    this.quality = quality;
  }

  /** Whether everything waits: see {@link hold}. */
  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  carry(deliver: () => void): void {
    if (this.#isCut) return;
    const { loss, duplication } = this.quality;
    if (loss > 0 && this.#random() < loss) {
      this.lost++;
      return;
    }
    this.#carryOne(deliver);
    if (duplication > 0 && this.#random() < duplication) this.#carryOne(deliver);
  }

  /** From now on everything waits, in its order, until {@link release}. */
  hold(): void {
    clearTimeout(this.#releasing);
    this.#held ??= [];
  }

  /** Lets go of what was held, some hundred datagrams a second, so that the end of a hold is no flood; what comes meanwhile waits behind. */
  release(): void {
    const held = this.#held ?? [];
    for (const deliver of held.splice(0, PORTION)) deliver();
    if (held.length === 0) {
      this.#held = undefined;
      return;
    }
    this.#releasing = setTimeout(() => this.release(), PORTION_MS);
  }

  /** What is on its way is lost. */
  drop(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    if (this.#held !== undefined) this.#held = [];
  }

  /** Drops what is on its way, and all that comes. */
  close(): void {
    clearTimeout(this.#releasing);
    this.drop();
    this.#isCut = true;
  }

  #carryOne(deliver: () => void): void {
    this.carried++;
    const { delayMs, reordering } = this.quality;
    let ms = delayMs > 0 ? this.#random() * delayMs : 0;
    if (reordering > 0 && this.#random() < reordering) ms += this.#random() * OVERTAKEN_MS;
    if (ms < 1) {
      this.#deliver(deliver);
      return;
    }
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#deliver(deliver);
    }, ms);
    this.#timers.add(timer);
  }

  #deliver(deliver: () => void): void {
    if (this.#held === undefined) deliver();
    else this.#held.push(deliver);
  }
}
