import type { Balancer } from "../../balancer/index.ts";
import type { Keys } from "../keys.ts";
import type { ClusterLink, NodeIdentity } from "../ports.ts";
import type { Wire } from "../wire.ts";
import { changeOf, fieldOf, type LoadMessage, MAX_CHANGES_IN_MESSAGE, META_FIELD, NONE_TAKEN, type NodeLoad } from "./load-message.ts";
import type { OwnTakes } from "./own-takes.ts";
import type { Slots } from "./slots.ts";

/** Writes that wait for their answers; while there are so many, changes are gathered. */
const MAX_WRITES_UNDER_WAY = 4;

/** Most fields in one command. */
const MAX_FIELDS_IN_COMMAND = 2000;

/** What happened since the start. */
export class LoadPublisherCounters {
  messages = 0;
  changes = 0;
  /** The hash was written as a whole: at the start, after a loss of the connection, when Redis had lost it. */
  whole_writes = 0;
  write_failures = 0;
}

export interface LoadPublisherPorts {
  readonly link: ClusterLink;
  readonly keys: Keys;
  readonly wire: Wire;
  readonly self: Pick<NodeIdentity, "nodeId">;
  readonly slots: Slots;
  readonly balancer: Pick<Balancer, "load">;
  /** What is told together with the loads that rose by it. */
  readonly takes: OwnTakes;
  /** The hash lives so long without a beat, ms. */
  readonly leaseMs: number;
}

/**
 * Writes this node's loads into its hash and tells the others what changed. The hash holds loads above 0 and the number of the last message; it is
 * written before the message is sent, so whoever reads it after a message finds at least what that said.
 */
export class LoadPublisher {
  readonly counters = new LoadPublisherCounters();
  readonly #ports: LoadPublisherPorts;
  readonly #key: string;
  #names: string[] = [];
  #cells = new Int32Array(0);
  /** By position: what was told last. */
  #told = new Int32Array(0);
  /** Slots of which it was told, too, what was taken over. */
  readonly #toldTaken = new Set<string>();
  /** Slots that are shared no more, and whose calls the others still count. */
  #vanished: string[] = [];
  #seq = 0;
  #underWay = 0;
  #isWholeWanted = true;
  #generation: string | undefined;

  constructor(ports: LoadPublisherPorts) {
    this.#ports = ports;
    this.#key = ports.keys.load(ports.self.nodeId);
    ports.link.onDown(() => {
      this.#isWholeWanted = true;
    });
    this.tableChanged();
  }

  /** The slots are others: what was told of those that stay holds. */
  tableChanged(): void {
    const told = new Map<string, number>(this.#vanished.map((name) => [name, 1]));
    for (const [i, name] of this.#names.entries()) if (this.#told[i] !== 0) told.set(name, this.#told[i]!);
    for (const name of this.#toldTaken) if (!told.has(name)) told.set(name, 0);
    const shared = this.#ports.slots.all.filter(({ sharing }) => sharing !== "off");
    this.#names = shared.map(({ name }) => name);
    this.#cells = Int32Array.from(shared, ({ slotCell }) => slotCell);
    // -1 is no load: what was told of a slot that had vanished is told anew.
    this.#told = Int32Array.from(this.#names, (name) => (this.#vanished.includes(name) ? -1 : (told.get(name) ?? 0)));
    const known = new Set(this.#names);
    this.#vanished = [...told.keys()].filter((name) => !known.has(name));
  }

  /** Looks at the loads, and tells those that changed. Cheap when none did. */
  scan(): void {
    if (!this.#ports.link.isUp || this.#underWay >= MAX_WRITES_UNDER_WAY || this.#isIdle) return;
    if (this.#isWholeWanted) this.#writeWhole();
    else this.#writeChanges();
  }

  /** Keeps the hash alive, and says how far it is. @param generation of what Redis holds: another one says that it has lost the hash */
  beat(generation: string): void {
    if (generation !== this.#generation) this.#isWholeWanted = true;
    this.#generation = generation;
    this.scan();
    if (this.#isWholeWanted || this.#isIdle || !this.#ports.link.isUp) return;
    this.#send([["pexpire", this.#key, this.#ports.leaseMs]], ([renewed]) => renewed === 1);
    this.#publish({ seq: this.#seq, changes: [] });
  }

  /** Nothing is shared, and nothing ever was. */
  get #isIdle(): boolean {
    return this.#names.length === 0 && this.#seq === 0;
  }

  #writeChanges(): void {
    const changes: [string, NodeLoad][] = this.#vanished.map((name) => [name, NOTHING]);
    const { balancer, takes } = this.#ports;
    let added = 0;
    for (let i = 0; i < this.#cells.length; i++) {
      const calls = balancer.load(this.#cells[i]!);
      const isSame = calls === this.#told[i];
      if (isSame && takes.changed.size === 0) continue;
      const name = this.#names[i]!;
      if (isSame && !takes.changed.has(name)) continue;
      const taken = takes.told(name);
      if (isSame && taken.length === 0 && !this.#toldTaken.has(name)) continue;
      if (this.#told[i] === 0 && !this.#toldTaken.has(name)) added++;
      changes.push([name, { calls, taken }]);
      this.#told[i] = calls;
    }
    takes.changed.clear();
    if (changes.length === 0) return;
    this.#vanished = [];
    this.#noteTaken(changes);
    const messages = this.#messages(changes);
    this.counters.changes += changes.length;
    const gone = changes.filter(([, load]) => isNothing(load)).map(([name]) => name);
    const removals = chunks(gone, MAX_FIELDS_IN_COMMAND).map((names) => ["hdel", this.#key, ...names]);
    const writes = this.#setCommands(changes);
    // Had the hash expired or been flushed meanwhile, more fields would be new than those that were 0.
    this.#send([...removals, ...writes], (answers) => {
      const news = answers.slice(removals.length).reduce<number>((sum, answer) => sum + Number(answer), 0);
      return news === added;
    });
    for (const message of messages) this.#publish(message);
  }

  /** What was taken over weighs as much as a load. */
  #messages(changes: readonly (readonly [string, NodeLoad])[]): LoadMessage[] {
    const messages: LoadMessage[] = [];
    let room = 0;
    for (const [name, load] of changes) {
      const weight = 1 + load.taken.length;
      if (room < weight) {
        messages.push({ seq: ++this.#seq, changes: [] });
        room = MAX_CHANGES_IN_MESSAGE;
      }
      messages.at(-1)!.changes.push(changeOf(name, load));
      room -= weight;
    }
    return messages;
  }

  #noteTaken(loads: readonly (readonly [string, NodeLoad])[]): void {
    for (const [name, { taken }] of loads) {
      if (taken.length > 0) this.#toldTaken.add(name);
      else this.#toldTaken.delete(name);
    }
  }

  #writeWhole(): void {
    const { balancer, takes } = this.#ports;
    this.#isWholeWanted = false;
    this.#vanished = [];
    const loads: [string, NodeLoad][] = [];
    for (let i = 0; i < this.#cells.length; i++) {
      const calls = balancer.load(this.#cells[i]!);
      this.#told[i] = calls;
      const load = { calls, taken: takes.told(this.#names[i]!) };
      if (!isNothing(load)) loads.push([this.#names[i]!, load]);
    }
    takes.changed.clear();
    this.#toldTaken.clear();
    this.#noteTaken(loads);
    this.#seq++;
    this.counters.whole_writes++;
    this.#send([["unlink", this.#key], ...this.#setCommands(loads), ["pexpire", this.#key, this.#ports.leaseMs]], () => true);
    this.#publish({ seq: this.#seq, changes: [] });
  }

  /** The number comes last: a hash without it is still being written. */
  #setCommands(loads: readonly (readonly [string, NodeLoad])[]): (string | number)[][] {
    const fields = loads.filter(([, load]) => !isNothing(load)).map(([name, load]) => [name, fieldOf(load)] as const);
    const meta = [META_FIELD, this.#ports.wire.encode({ seq: this.#seq })];
    return chunks([...fields, meta] as const, MAX_FIELDS_IN_COMMAND).map((some) => ["hset", this.#key, ...some.flat()]);
  }

  #send(commands: readonly (readonly (string | number)[])[], isRight: (answers: readonly unknown[]) => boolean): void {
    this.#underWay++;
    const sent = commands.map(([name, ...args]) => this.#ports.link.command(String(name), ...args));
    Promise.all(sent)
      .then((answers) => {
        if (!isRight(answers)) this.#isWholeWanted = true;
      })
      .catch(() => {
        this.counters.write_failures++;
        this.#isWholeWanted = true;
      })
      .finally(() => {
        this.#underWay--;
      });
  }

  #publish(message: LoadMessage): void {
    this.counters.messages++;
    const { keys, link, wire } = this.#ports;
    link.publish(keys.channel("load"), wire.encode(message));
  }
}

const NOTHING: NodeLoad = { calls: 0, taken: NONE_TAKEN };

/** No field of the hash. */
function isNothing({ calls, taken }: NodeLoad): boolean {
  return calls === 0 && taken.length === 0;
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
