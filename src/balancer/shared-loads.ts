/** Cells that a thread may make for itself alone: of rows that are gone, and of resources that a row lacks. */
const PRIVATE_CELLS = 1_024;
/** Cells that all threads know, one for each destination and resource that there ever was since the start. */
const COMMON_CELLS = 131_072;
/** Changes of each writer that readers find; a power of two. */
const NEWS_KEPT = 2_048;
/** A reader that is further behind looks at everything anew: what it reads might be written over meanwhile. */
const NEWS_READ = NEWS_KEPT / 2;
/** Head and entries of one writer. */
const RING_NUMBERS = NEWS_KEPT + 16;
/** Most threads that share loads. */
export const MAX_THREADS = 64;

/** Which thread a {@link SharedLoads} is for, and who keeps the table. */
export const TABLE_KEEPER = -1;

/** A cell by what it is called: all threads know it by the same number. */
export type CellName = readonly [ownerKey: string, resource: string, cell: number];

/**
 * The load table of several threads. Loads, and what they are compared with, stand in memory that all of them see; whoever counts does so in one step that
 * cannot be divided (`Atomics`), and only as long as there is room. One of them keeps the table: it alone gives cells their numbers and says
 * what capacity they have; the others choose and count.
 *
 * Each thread also notes what it counts itself, for all to see: when it dies, that is taken back, and nothing else.
 * The numbers of cells are not given to others while the program runs: a thread with the table of before may still count in them.
 */
export class SharedLoads {
  readonly load: Int32Array;
  readonly maxLoad: Int32Array;
  readonly capacity: Int32Array;
  /** Of {@link load}, what this thread holds; the keeper's: what it knows of the threads' calls. */
  readonly own: Int32Array;
  readonly isKeeper: boolean;
  readonly #buffer: SharedArrayBuffer;
  readonly #threads: number;
  readonly #numbers = new Map<string, number>();
  /** By thread, the keeper last: what each has counted. */
  readonly #rings: readonly Int32Array[];
  readonly #ring: Int32Array;
  readonly #seen: Int32Array;
  #nextPrivate: number;
  #nextCommon: number;
  readonly #endOfPrivate: number;

  /** Memory for so many threads, to be given to each. */
  static allocate(threads: number): SharedArrayBuffer {
    return new SharedArrayBuffer(4 * ((4 + threads) * sizeFor(threads) + (threads + 1) * RING_NUMBERS));
  }

  /** @param self number of the thread from 0, or {@link TABLE_KEEPER} */
  constructor(buffer: SharedArrayBuffer, threads: number, self: number) {
    const size = sizeFor(threads);
    this.#buffer = buffer;
    this.#threads = threads;
    this.isKeeper = self === TABLE_KEEPER;
    this.load = new Int32Array(buffer, 0, size);
    this.maxLoad = new Int32Array(buffer, 4 * size, size);
    this.capacity = new Int32Array(buffer, 8 * size, size);
    this.own = this.#ownOf(this.isKeeper ? threads : self);
    const rings = 4 * (4 + threads) * size;
    this.#rings = Array.from({ length: threads + 1 }, (_, k) => new Int32Array(buffer, rings + 4 * k * RING_NUMBERS, RING_NUMBERS));
    this.#ring = this.#rings[this.isKeeper ? threads : self]!;
    this.#seen = Int32Array.from(this.#rings, (ring) => Atomics.load(ring, NEWS_KEPT));
    this.#nextPrivate = Math.max(self, 0) * PRIVATE_CELLS;
    this.#endOfPrivate = this.#nextPrivate + PRIVATE_CELLS;
    this.#nextCommon = threads * PRIVATE_CELLS;
  }

  /** Numbers that the keeper can still give. */
  get left(): number {
    return this.load.length - this.#nextCommon;
  }

  /** The keeper's numbers, for the threads. */
  names(): CellName[] {
    return [...this.#numbers].map(([name, cell]) => {
      const at = name.indexOf(" ");
      return [name.slice(at + 1), name.slice(0, at), cell];
    });
  }

  /** Takes over the numbers that the keeper gives. To be called before the table that they are for. */
  learn(names: Iterable<CellName>): void {
    for (const [ownerKey, resource, cell] of names) this.#numbers.set(`${resource} ${ownerKey}`, cell);
  }

  /**
   * The number of a new cell. A thread that is not told of it counts by itself; once it has no numbers for such cells either, it counts all in one.
   */
  numberFor(ownerKey: string, resource: string): number {
    const name = `${resource} ${ownerKey}`;
    const known = this.#numbers.get(name);
    if (known !== undefined) return known;
    if (!this.isKeeper) return this.#nextPrivate < this.#endOfPrivate ? this.#nextPrivate++ : this.#endOfPrivate - 1;
    const number = this.#nextCommon++;
    this.#numbers.set(name, number);
    return number;
  }

  /** Counts one call of this thread if there is room, in one step with looking: false when there is none. */
  reserve(cell: number): boolean {
    const { load } = this;
    for (let seen = Atomics.load(load, cell); seen < Atomics.load(this.maxLoad, cell); ) {
      const found = Atomics.compareExchange(load, cell, seen, seen + 1);
      if (found === seen) {
        this.own[cell]!++;
        return true;
      }
      seen = found;
    }
    return false;
  }

  /** Counts calls of this thread, or takes them back, whatever the capacity. The keeper only notes what it knows of those of the threads. */
  count(cell: number, calls: number): void {
    if (!this.isKeeper) Atomics.add(this.load, cell, calls);
    this.own[cell]! += calls;
  }

  /** Counts calls that are no thread's. Only the keeper may. */
  add(cell: number, calls: number): void {
    if (this.isKeeper) Atomics.add(this.load, cell, calls);
  }

  /** What a thread has counted. */
  heldBy(thread: number, cell: number): number {
    return Atomics.load(this.#ownOf(thread), cell);
  }

  /** A thread has died: takes back what it has counted, and answers how many units that was. Only the keeper may, once the thread does nothing any more. */
  takeBack(thread: number): number {
    const held = this.#ownOf(thread);
    let taken = 0;
    for (let cell = 0; cell < held.length; cell++) {
      const calls = held[cell]!;
      if (calls === 0) continue;
      held[cell] = 0;
      taken += calls;
      Atomics.sub(this.load, cell, calls);
      this.tell(cell);
    }
    return taken;
  }

  /** Load or capacity of a cell has changed: the other threads find it when they look for news. */
  tell(cell: number): void {
    const ring = this.#ring;
    const at = ring[NEWS_KEPT]!;
    ring[at & (NEWS_KEPT - 1)] = cell;
    Atomics.store(ring, NEWS_KEPT, (at + 1) | 0);
  }

  /** Calls back with each cell that others have changed since the last time, or answers false when that is not known any more. */
  news(changed: (cell: number) => void): boolean {
    let isWhole = true;
    for (let k = 0; k < this.#rings.length; k++) {
      const ring = this.#rings[k]!;
      if (ring === this.#ring) continue;
      const head = Atomics.load(ring, NEWS_KEPT);
      const missed = (head - this.#seen[k]!) | 0;
      if (missed === 0) continue;
      if (missed < NEWS_READ) {
        for (let i = this.#seen[k]!; i !== head; i = (i + 1) | 0) changed(ring[i & (NEWS_KEPT - 1)]!);
        if (((Atomics.load(ring, NEWS_KEPT) - this.#seen[k]!) | 0) >= NEWS_KEPT) isWhole = false;
      } else isWhole = false;
      this.#seen[k] = head;
    }
    return isWhole;
  }

  #ownOf(thread: number): Int32Array {
    const size = sizeFor(this.#threads);
    return new Int32Array(this.#buffer, 4 * (3 + thread) * size, size);
  }
}

function sizeFor(threads: number): number {
  return threads * PRIVATE_CELLS + COMMON_CELLS;
}
