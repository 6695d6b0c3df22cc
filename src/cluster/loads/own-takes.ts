import { MAX_TAKEN_NODES, NONE_TAKEN, type Taken } from "./load-message.ts";

/** Of a node that is gone: longer than anybody counts its loads after the last call that was taken, ms. */
const KEEP_MS = 30_000;
/** Of a node that is alive: by then it has told its loads without the calls, or it is gone, ms. */
const KEEP_OF_LIVING_MS = 5_000;

/** How far a node had told its loads. */
export interface Mark {
  readonly incarnation: string;
  readonly seq: number;
}

/** Calls that came from one other node. */
interface Source {
  mark: Mark;
  takenAtMs: number;
  readonly bySlot: Map<string, number>;
}

/** The calls that this node has taken over from others, by slot, for as long as others may count them with their former node. */
export class OwnTakes {
  /** Slots of which something else is to be told than before. */
  readonly changed = new Set<string>();
  readonly #isAlive: (nodeId: number) => boolean;
  readonly #onChange: (slot: string) => void;
  readonly #sources = new Map<number, Source>();

  /** @param onChange a slot for which {@link of} answers otherwise than before */
  constructor(isAlive: (nodeId: number) => boolean, onChange: (slot: string) => void) {
    this.#isAlive = isAlive;
    this.#onChange = onChange;
  }

  /**
   * A call came from another node, which counts in these slots. Of more than {@link MAX_TAKEN_NODES} nodes it is not known: such calls are counted with
   * their former node, too, until that one is released.
   * @param mark how far that node had told its loads
   */
  add(nodeId: number, mark: Mark, slots: readonly string[], nowMs: number): void {
    let source = this.#sources.get(nodeId);
    if (source !== undefined && (source.mark.seq !== mark.seq || source.mark.incarnation !== mark.incarnation)) {
      this.forget(nodeId); // it has told more since, without what was taken before
      source = undefined;
    }
    if (source === undefined) {
      if (this.#sources.size >= MAX_TAKEN_NODES && !this.#forgetOneAlive()) return;
      source = { mark: { ...mark }, takenAtMs: nowMs, bySlot: new Map() };
      this.#sources.set(nodeId, source);
    }
    source.takenAtMs = nowMs;
    for (const slot of slots) {
      source.bySlot.set(slot, (source.bySlot.get(slot) ?? 0) + 1);
      this.#touch(nodeId, slot);
    }
  }

  /** All that was taken in a slot. */
  of(slot: string): readonly Taken[] {
    return this.#list(slot, () => true);
  }

  /** What others are told: of nodes that are gone. One that is alive tells its own loads without the calls, at once. */
  told(slot: string): readonly Taken[] {
    return this.#list(slot, (nodeId) => !this.#isAlive(nodeId));
  }

  /** A node is gone: what was taken from it is to be told. */
  gone(nodeId: number): void {
    for (const slot of this.#sources.get(nodeId)?.bySlot.keys() ?? []) this.changed.add(slot);
  }

  /** What was taken from a node is its own again, or it tells its loads without it. */
  forget(nodeId: number): void {
    const source = this.#sources.get(nodeId);
    if (source === undefined) return;
    this.#sources.delete(nodeId);
    for (const slot of source.bySlot.keys()) {
      this.changed.add(slot);
      this.#onChange(slot);
    }
  }

  /** Nobody could hear or forget anything meanwhile. */
  keep(nowMs: number): void {
    for (const source of this.#sources.values()) source.takenAtMs = nowMs;
  }

  /** Forgets what nobody counts with its former node any more. */
  forgetOld(nowMs: number): void {
    for (const [nodeId, { takenAtMs }] of this.#sources) {
      if (nowMs - takenAtMs > (this.#isAlive(nodeId) ? KEEP_OF_LIVING_MS : KEEP_MS)) this.forget(nodeId);
    }
  }

  #forgetOneAlive(): boolean {
    const alive = [...this.#sources.keys()].find(this.#isAlive);
    if (alive !== undefined) this.forget(alive);
    return alive !== undefined;
  }

  #touch(nodeId: number, slot: string): void {
    if (!this.#isAlive(nodeId)) this.changed.add(slot);
    this.#onChange(slot);
  }

  #list(slot: string, isWanted: (nodeId: number) => boolean): readonly Taken[] {
    if (this.#sources.size === 0) return NONE_TAKEN;
    const list: Taken[] = [];
    for (const [nodeId, { mark, bySlot }] of this.#sources) {
      const calls = bySlot.get(slot);
      if (calls !== undefined && isWanted(nodeId)) list.push({ nodeId, ...mark, calls });
    }
    return list;
  }
}
