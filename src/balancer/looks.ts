import type { CallLoad, LbSession } from "./call-load.ts";
import type { Candidates } from "./candidates.ts";
import type { LbCode } from "./codes.ts";
import type { Destination } from "./destination.ts";
import {
  type Decision,
  displacingOne,
  keptPosition,
  type LookShape,
  MAX_LOOK_DESTINATIONS,
  numbersIn,
  shapeOf,
  writeNumbers,
} from "./look.ts";
import { ownText } from "./own-text.ts";
import { readLook, type TableView } from "./table-view.ts";

/** Numbers for each look that is kept: enough for {@link MAX_LOOK_DESTINATIONS} with one resource. Where looks are larger, fewer are kept. */
const NUMBERS_A_LOOK = MAX_LOOK_DESTINATIONS * 3;

/** Numbers before those of the destinations: flags, code, failed open, position among those that are kept, attempt. */
const HEADER = 5;

/** One decision, as {@link Looks} remembers it. */
export interface RememberedLook {
  /** By the clock that was given. */
  readonly atMs: number;
  readonly group: number;
  readonly resources: string;
  /** Bit set of `FLAG_*`. */
  readonly flags: number;
  /** 1 for a start, one more for each destination that the session had tried before. */
  readonly attempt: number;
  readonly view: TableView;
}

/**
 * Remembers what the latest starts and nexts looked at, as numbers, to be made readable when somebody asks. It is written in each call, so it is laid out
 * for that: numbers one after the other in one array, round and round, references only where they differ from what stands there. All that it allocates
 * for each is a copy of the Call-ID, and memory is written in order. Finding a call takes a walk over all.
 */
export class Looks {
  readonly #size: number;
  readonly #clock: () => number;
  #numbers: Int32Array;
  /** Where the next numbers go, without turning round: places are taken modulo the length. */
  #end = 0;
  /** Looks that were ever taken; the next one's place is that modulo the size. */
  #taken = 0;
  /** By place. */
  readonly #callIds: string[] = [];
  readonly #shapes: LookShape[] = [];
  readonly #displacing: (Destination | undefined)[] = [];
  readonly #passedOver: (readonly string[])[] = [];
  readonly #starts: Float64Array;
  readonly #times: Float64Array;
  /** They live as long as their candidates, that is until the next reload, or as long as a look tells of them. */
  readonly #shapeOf = new WeakMap<Candidates, LookShape>();

  /**
   * @param size looks that are kept at most, from 1
   * @param clock tells when each was taken
   */
  constructor(size: number, clock: () => number) {
    this.#size = size;
    this.#clock = clock;
    this.#numbers = new Int32Array(size * NUMBERS_A_LOOK);
    this.#starts = new Float64Array(size);
    this.#times = new Float64Array(size);
  }

  /** Looks that were ever taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Writes down what a selection for this session of the call looked at: as much as is kept of each, and the chosen one in any case. */
  take(call: CallLoad, session: LbSession, decision: Decision): void {
    const shape = this.#shapeOf.get(decision.candidates) ?? this.#newShape(session, decision);
    const wanted = HEADER + numbersIn(shape);
    let n = this.#reserve(wanted);
    const place = this.#taken++ % this.#size;
    this.#starts[place] = this.#end;
    this.#times[place] = this.#clock();
    const numbers = this.#numbers;
    numbers[n++] = decision.flags;
    numbers[n++] = decision.code;
    numbers[n++] = decision.failedOpen ? 1 : 0;
    numbers[n++] = keptPosition(shape, decision.position);
    numbers[n++] = session.tried.length + 1;
    writeNumbers(numbers, n, shape, decision);
    this.#end += wanted;
    this.#callIds[place] = ownText(call.callId);
    if (this.#shapes[place] !== shape) this.#shapes[place] = shape;
    if (this.#passedOver[place] !== call.passedOver) this.#passedOver[place] = call.passedOver;
    const displacing = displacingOne(shape, decision);
    if (this.#displacing[place] !== displacing) this.#displacing[place] = displacing;
  }

  /** What is kept of the call with this Call-ID, oldest first. */
  of(callId: string): RememberedLook[] {
    const found: RememberedLook[] = [];
    for (let look = Math.max(0, this.#taken - this.#size); look < this.#taken; look++) {
      const place = look % this.#size;
      if (this.#callIds[place] === callId && this.#isKept(place)) found.push(this.#read(place));
    }
    return found;
  }

  /** Makes room for `wanted` numbers in one piece, and answers where it begins. */
  #reserve(wanted: number): number {
    if (wanted > this.#numbers.length) {
      this.#end = 0;
      this.#taken = 0;
      this.#numbers = new Int32Array(wanted);
    }
    const at = this.#end % this.#numbers.length;
    if (at + wanted <= this.#numbers.length) return at;
    this.#end += this.#numbers.length - at;
    return 0;
  }

  /** Later looks have not written over its numbers. */
  #isKept(place: number): boolean {
    return this.#starts[place]! >= this.#end - this.#numbers.length;
  }

  #read(place: number): RememberedLook {
    const shape = this.#shapes[place]!;
    const { group, resources } = shape;
    const start = this.#starts[place]! % this.#numbers.length;
    const [flags = 0, code = 0, failedOpen = 0, position = 0, attempt = 0] = this.#numbers.subarray(start);
    const view = readLook({
      flags,
      code: code as LbCode,
      failedOpen: failedOpen === 1,
      position,
      shape,
      displacing: this.#displacing[place],
      passedOver: this.#passedOver[place]!,
      numbers: this.#numbers.slice(start + HEADER, start + HEADER + numbersIn(shape)),
    });
    return { atMs: this.#times[place]!, group, resources, flags, attempt, view };
  }

  #newShape({ group, resources }: LbSession, decision: Decision): LookShape {
    const shape = shapeOf(group, resources, decision);
    this.#shapeOf.set(decision.candidates, shape);
    return shape;
  }
}
