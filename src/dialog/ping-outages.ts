/** Calls that may end for want of answers from one address, or from anybody, which meanwhile shows no sign of life at all: so many may have vanished at once. */
export const MAX_SILENT_ENDS = 10;
/** Addresses that are remembered for their silence; beyond it the oldest are forgotten, and their calls end one by one as others do. */
export const MAX_SILENT_ADDRESSES = 10_000;

/** What of it shows no sign of life: everybody, for which the network of this machine is the likely reason, or one address. */
export const EVERYBODY = "";

/** Nobody at an address answers pings any more ("began"), somebody does again ("ended"), or it has lasted too long ("timeout"). */
export interface PingOutage {
  readonly kind: "began" | "ended" | "timeout";
  /** {@link EVERYBODY} when nobody answers anything. */
  readonly address: string;
  /** Times that a call was kept. */
  readonly held: number;
}

export interface PingOutagesOptions {
  /** How long calls are kept for an outage, in milliseconds; 0: not at all. */
  readonly holdMs: number;
  readonly nowMs: () => number;
  /** Answers that have come to anything that we sent, to anybody, so far. */
  readonly answers: () => number;
  readonly changed: (outage: PingOutage) => void;
}

/** One address, or everybody, since its first call was about to end for its silence. */
interface Silence {
  readonly address: string;
  readonly sinceMs: number;
  /** When the last of its calls was about to end. */
  lastMs: number;
  ended: number;
  held: number;
  /** Answers of anybody when it began. */
  readonly answers: number;
  /** When it was over; 0 before. What was left unanswered until then says nothing of a call. */
  overMs: number;
  isTimedOut: boolean;
}

/**
 * Tells parties that have vanished from networks that are down: when many calls are about to end for want of answers while an address, or anybody at all,
 * has answered nothing in the meantime, their calls are kept for a while. To end them all would count a farm as empty that is full, once it can be reached again.
 */
export class PingOutages {
  readonly #options: PingOutagesOptions;
  /** Oldest first. */
  readonly #silences = new Map<string, Silence>();

  constructor(options: PingOutagesOptions) {
    this.#options = options;
  }

  /** A party at this address has answered a ping, whatever it said. */
  alive(address: string): void {
    if (this.#silences.size === 0) return;
    this.#over(this.#silences.get(address));
    this.#over(this.#silences.get(EVERYBODY));
  }

  /**
   * Whether a call may end for pings that a party at this address has left unanswered. False: it is to be asked again.
   * @param sinceMs when the first of these pings was sent
   */
  mayEnd(address: string, sinceMs: number): boolean {
    const { holdMs, answers } = this.#options;
    if (holdMs === 0) return true;
    const all = this.#silences.get(EVERYBODY);
    if (all !== undefined && all.answers !== answers()) this.#over(all);
    // Both are asked: each has to know of the calls that it keeps.
    const silences = [this.#silence(EVERYBODY, sinceMs), this.#silence(address, sinceMs)];
    const isKept = silences.map((silence) => this.#keeps(silence)).includes(true);
    if (!isKept) for (const silence of silences) silence.ended++;
    return !isKept;
  }

  #keeps(silence: Silence): boolean {
    if (silence.overMs > 0) return true;
    if (silence.ended < MAX_SILENT_ENDS || silence.isTimedOut) return false;
    if (this.#options.nowMs() - silence.sinceMs >= this.#options.holdMs) {
      silence.isTimedOut = true;
      if (silence.held > 0) this.#tell("timeout", silence);
      return false;
    }
    silence.held++;
    if (silence.held === 1) this.#tell("began", silence);
    return true;
  }

  #over(silence: Silence | undefined): void {
    if (silence === undefined || silence.overMs > 0) return;
    if (silence.held === 0) {
      this.#silences.delete(silence.address);
      return;
    }
    silence.overMs = this.#options.nowMs();
    this.#tell("ended", silence);
  }

  /** The silence that a call of this address is part of. */
  #silence(address: string, sinceMs: number): Silence {
    const nowMs = this.#options.nowMs();
    const known = this.#silences.get(address);
    if (known !== undefined && !this.#isHistory(known, sinceMs, nowMs)) {
      known.lastMs = nowMs;
      return known;
    }
    this.#silences.delete(address);
    if (this.#silences.size >= MAX_SILENT_ADDRESSES) this.#forgetOldest();
    const answers = this.#options.answers();
    const silence: Silence = { address, sinceMs: nowMs, lastMs: nowMs, ended: 0, held: 0, answers, overMs: 0, isTimedOut: false };
    this.#silences.set(address, silence);
    return silence;
  }

  #isHistory({ overMs, held, lastMs }: Silence, sinceMs: number, nowMs: number): boolean {
    return overMs > 0 ? sinceMs > overMs : held === 0 && nowMs - lastMs >= this.#options.holdMs;
  }

  #forgetOldest(): void {
    for (const address of this.#silences.keys()) {
      if (address === EVERYBODY) continue;
      this.#silences.delete(address);
      return;
    }
  }

  #tell(kind: PingOutage["kind"], { address, held }: Silence): void {
    this.#options.changed({ kind, address, held });
  }
}
