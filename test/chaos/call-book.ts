/** Something that happened to a call at a destination. */
export interface CallChange {
  /** Milliseconds on the clock of `performance.now()`. */
  readonly atMs: number;
  /** Name of the destination, or of the caller. */
  readonly at: string;
  readonly what: string;
}

/**
 * What destinations have: each writes down when a call begins and ends for it. It has a call from the INVITE on, as that is when the balancer counts it,
 * to a negative answer, to a BYE either way, or to its own death.
 */
export class CallBook {
  readonly #held = new Map<string, Set<string>>();
  readonly #changes = new Map<string, CallChange[]>();
  /** Calls that began anywhere. */
  begun = 0;

  /** Call-IDs that a destination has now. */
  held(destination: string): ReadonlySet<string> {
    return this.#of(destination);
  }

  /** A copy of what all have, by the name of the destination. */
  snapshot(): Map<string, Set<string>> {
    return new Map([...this.#held].map(([name, calls]) => [name, new Set(calls)]));
  }

  /** Everything that was written down of a call, oldest first. */
  changes(callId: string): readonly CallChange[] {
    return this.#changes.get(callId) ?? [];
  }

  begins(destination: string, callId: string): void {
    this.begun++;
    this.#of(destination).add(callId);
    this.note(destination, callId, "INVITE came");
  }

  ends(destination: string, callId: string, what: string): void {
    if (this.#of(destination).delete(callId)) this.note(destination, callId, what);
  }

  note(at: string, callId: string, what: string): void {
    const change = { atMs: performance.now(), at, what };
    const changes = this.#changes.get(callId);
    if (changes === undefined) this.#changes.set(callId, [change]);
    else changes.push(change);
  }

  /** A sentence on a call for whoever looks into a difference. @param endMs what times are told before, such as a kill */
  tell(callId: string, endMs: number): string {
    const changes = this.changes(callId).map(({ atMs, at, what }) => `${what} (${at}) ${Math.round(endMs - atMs)} ms before`);
    return `${callId}: ${changes.join(", ") || "no destination ever saw it"}`;
  }

  #of(destination: string): Set<string> {
    let calls = this.#held.get(destination);
    if (calls === undefined) {
      calls = new Set();
      this.#held.set(destination, calls);
    }
    return calls;
  }
}
