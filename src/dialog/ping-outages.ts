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

/** When a party that is about to be taken for gone was asked, by the clock of {@link PingOutagesOptions.nowMs}. */
export interface UnansweredPings {
  /** The first of the pings for which its call is to end, and the last of them. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** The first that it has left unanswered since it was heard last: before {@link firstMs} when its call was kept already. */
  readonly silentMs: number;
}

/** One address, or everybody, since its first call was about to end for its silence. */
interface Silence {
  readonly address: string;
  /** When it was alive last, or was looked at for the first time. */
  sinceMs: number;
  /** When the last of its calls was about to end. */
  lastMs: number;
  ended: number;
  held: number;
  /** The last sign of life, or a moment before it when all that is known is that there was one. */
  aliveMs: number;
  /** Answers of anybody when it was looked at last. */
  answers: number;
  /** The last time that it was silent and calls were kept for that, from a sign of life to the next. */
  gapFromMs: number;
  gapToMs: number;
  isTimedOut: boolean;
}

/** What a silence says of one call: it was not asked in it, it is one of the few that may end in it, or it is to be kept for it. */
type Opinion = "unrelated" | "counted" | "kept";

/** A ping is lost, too, when the network goes down while its answer is on the way, ms. */
const ON_THE_WAY_MS = 1_000;

/**
 * Tells parties that have vanished from networks that are down: when many calls are about to end for want of answers while an address, or anybody at all,
 * has answered nothing in the meantime, their calls are kept for a while. To end them all would count a farm as empty that is full, once it can be reached again.
 * Silence of one party while another one at its address answers is none of the network, however many such parties there are.
 */
export class PingOutages {
  readonly #options: PingOutagesOptions;
  /** Those that were looked at longest ago first. */
  readonly #silences = new Map<string, Silence>();

  constructor(options: PingOutagesOptions) {
    this.#options = options;
  }

  /** A party at this address has answered a ping, whatever it said. */
  alive(address: string): void {
    if (this.#silences.size === 0) return;
    const nowMs = this.#options.nowMs();
    for (const place of [address, EVERYBODY]) {
      const silence = this.#silences.get(place);
      if (silence !== undefined) this.#over(silence, nowMs, nowMs);
    }
  }

  /** Whether a call may end for pings that a party at this address has left unanswered. False: it is to be asked again. */
  mayEnd(address: string, pings: UnansweredPings): boolean {
    const { holdMs, nowMs } = this.#options;
    if (holdMs === 0) return true;
    const now = nowMs();
    // Both are asked: each has to know of the calls that it keeps.
    const silences = [this.#silence(EVERYBODY, now), this.#silence(address, now)];
    const opinions = silences.map((silence) => this.#opinionOf(silence, pings, now));
    if (opinions.includes("kept")) return false;
    for (const [i, silence] of silences.entries()) if (opinions[i] === "counted") silence.ended++;
    return true;
  }

  #opinionOf(silence: Silence, { firstMs, lastMs, silentMs }: UnansweredPings, nowMs: number): Opinion {
    const { holdMs } = this.#options;
    // What was left unanswered until a network came back says nothing of a call.
    if (firstMs <= silence.gapToMs && firstMs >= silence.gapFromMs - ON_THE_WAY_MS) return "kept";
    if (silence.aliveMs >= lastMs) return "unrelated";
    if (silence.ended < MAX_SILENT_ENDS || silence.isTimedOut) return "counted";
    if (nowMs - silence.sinceMs >= holdMs) {
      silence.isTimedOut = true;
      if (silence.held > 0) this.#tell("timeout", silence);
      return "counted";
    }
    if (nowMs - silentMs >= holdMs) return "counted"; // it was kept in other silences for as long as any call is
    silence.held++;
    if (silence.held === 1) this.#tell("began", silence);
    return "kept";
  }

  /** It has shown a sign of life. @param fromMs when that was, or a moment before @param toMs the same, or a moment after */
  #over(silence: Silence, fromMs: number, toMs: number): void {
    if (silence.held > 0) {
      silence.gapFromMs = silence.aliveMs;
      silence.gapToMs = toMs;
      this.#tell("ended", silence);
    }
    [silence.aliveMs, silence.sinceMs] = [Math.max(silence.aliveMs, fromMs), toMs];
    [silence.ended, silence.held, silence.isTimedOut] = [0, 0, false];
  }

  /** The silence that a call of this address may be part of. */
  #silence(address: string, nowMs: number): Silence {
    const answers = this.#options.answers();
    const known = this.#silences.get(address);
    this.#silences.delete(address);
    if (known !== undefined && (known.held > 0 || nowMs - known.lastMs < this.#options.holdMs)) {
      this.#silences.set(address, known);
      if (address === EVERYBODY && known.answers !== answers) this.#over(known, known.lastMs, nowMs);
      [known.lastMs, known.answers] = [nowMs, answers];
      return known;
    }
    if (this.#silences.size >= MAX_SILENT_ADDRESSES) this.#forgetOldest();
    const never = Number.NEGATIVE_INFINITY;
    const [aliveMs, gapFromMs, gapToMs] = [never, never, never];
    const silence = { address, sinceMs: nowMs, lastMs: nowMs, ended: 0, held: 0, aliveMs, answers, gapFromMs, gapToMs, isTimedOut: false };
    this.#silences.set(address, silence);
    return silence;
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
