import { type ClusterLink, LinkError, type LuaScript } from "../../src/cluster/ports.ts";
import { MemoryStore } from "./memory-store.ts";

/**
 * What a Lua script does, in TypeScript. Keys and arguments are text, as KEYS and ARGV are; what it answers becomes a reply as Lua's does (true: 1,
 * false and undefined: null, numbers lose their fraction). It runs in one step. Twins stand in test/support/memory-scripts.
 */
export type ScriptTwin = (store: MemoryStore, keys: readonly string[], args: readonly string[]) => unknown;

export interface MemoryRedisOptions {
  /** Time of Redis, milliseconds since 1970; a FakeClock's `now`. @default one that stands still */
  readonly nowMs?: () => number;
  /** "at-once": commands are answered and messages come as soon as the caller waits. "by-hand": each step is one {@link MemoryRedis.deliver}. */
  readonly delivery?: "at-once" | "by-hand";
}

/** Something under way between a link and the store. */
export interface Step {
  readonly link: MemoryLink;
  /** A command on its way to Redis, the answer on its way back, or a message. Each kind keeps its order for each link. */
  readonly kind: "command" | "answer" | "message";
  /** For people. */
  readonly what: string;
}

const STILL_MS = 1_700_000_000_000;
/** Rounds of {@link MemoryRedis.settle} after which two parts must be answering each other for ever. */
const MAX_ROUNDS = 100_000;

/** Redis without a server: one store, and links to it that a test cuts, stalls and delivers step by step. */
export class MemoryRedis {
  readonly store: MemoryStore;
  readonly isByHand: boolean;
  readonly links: MemoryLink[] = [];
  readonly #twins = new Map<string, ScriptTwin>();

  constructor({ nowMs = () => STILL_MS, delivery = "at-once" }: MemoryRedisOptions = {}) {
    this.isByHand = delivery === "by-hand";
    this.store = new MemoryStore(nowMs, (channel, message) => this.#broadcast(channel, message));
  }

  /** Another connection. It is up unless `isUp` is false; {@link MemoryLink.heal} brings it up. */
  link(name: string, { isUp = true }: { readonly isUp?: boolean } = {}): MemoryLink {
    const link = new MemoryLink(name, this, isUp);
    this.links.push(link);
    return link;
  }

  /** Says what a script does, by its name. */
  script(name: string, twin: ScriptTwin): this {
    this.#twins.set(name, twin);
    return this;
  }

  /** Says what several scripts do: a module of memory-scripts exports such a table. */
  scripts(twins: Readonly<Record<string, ScriptTwin>>): this {
    for (const [name, twin] of Object.entries(twins)) this.script(name, twin);
    return this;
  }

  /** Runs the twin of a script. @throws Error what it throws */
  runTwin(name: string, keys: readonly string[], args: readonly string[]): unknown {
    const twin = this.#twins.get(name);
    if (twin === undefined) throw new Error(`Cannot run script "${name}": give its twin with MemoryRedis.script()`);
    return luaReply(twin(this.store, keys, args));
  }

  /** Steps that {@link deliver} can do now: the first of each kind of each link that is not stalled. */
  get pending(): readonly Step[] {
    return this.links.flatMap((link) => link.pending);
  }

  /** Does one step, the oldest of the first link or one drawn from `random`. @returns what was done, undefined when nothing is under way */
  deliver(random?: () => number): Step | undefined {
    const steps = this.pending;
    const step = steps[random === undefined ? 0 : Math.floor(random() * steps.length)];
    step?.link.deliver(step.kind);
    return step;
  }

  /** Does all that is under way and all that comes of it. It waits for promises, not for timers. */
  async settle(random?: () => number): Promise<void> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      await new Promise(setImmediate); // all promises that are resolved run what waits for them
      if (this.deliver(random) === undefined) return;
      while (random === undefined && this.deliver() !== undefined);
    }
    throw new Error(`Cannot settle: after ${MAX_ROUNDS} rounds there is still "${this.pending[0]?.what}"`);
  }

  /** Redis loses all it has. Connections stay. */
  flush(): void {
    this.store.flush();
  }

  #broadcast(channel: string, message: string): number {
    return this.links.filter((link) => link.hear(channel, message)).length;
  }
}

interface Sent {
  readonly what: string;
  readonly run: () => unknown;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** A link to a {@link MemoryRedis}. */
export class MemoryLink implements ClusterLink {
  readonly name: string;
  /** Messages that nobody was told because the link was down. */
  lostPublishes = 0;
  readonly #redis: MemoryRedis;
  readonly #receivers = new Map<string, ((message: string) => void)[]>();
  readonly #ups: (() => void)[] = [];
  readonly #downs: (() => void)[] = [];
  #isUp: boolean;
  #isStalled = false;
  #commands: Sent[] = [];
  #answers: { sent: Sent; answer?: unknown; error?: Error }[] = [];
  #messages: { channel: string; message: string }[] = [];

  constructor(name: string, redis: MemoryRedis, isUp: boolean) {
    this.name = name;
    this.#redis = redis;
    this.#isUp = isUp;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  command(name: string, ...args: readonly (string | number)[]): Promise<unknown> {
    return this.#send(`${name} ${args[0] ?? ""}`, () => this.#redis.store.call(name, ...args));
  }

  run(script: LuaScript, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    const texts = args.map(String);
    return this.#send(`script ${script.name} ${keys[0] ?? ""}`, () => this.#redis.runTwin(script.name, keys, texts));
  }

  publish(channel: string, message: string): void {
    if (!this.#isUp) this.lostPublishes++;
    else this.command("publish", channel, message).catch(() => this.lostPublishes++);
  }

  subscribe(channel: string, receive: (message: string) => void): void {
    this.#receivers.set(channel, [...(this.#receivers.get(channel) ?? []), receive]);
  }

  onUp(run: () => void): void {
    this.#ups.push(run);
  }

  onDown(run: () => void): void {
    this.#downs.push(run);
  }

  /** The connection breaks and the node notices: commands under way fail (they may have been carried out), messages are lost. */
  cut(): void {
    const failed = [...this.#answers.map(({ sent }) => sent), ...this.#commands];
    [this.#commands, this.#answers, this.#messages, this.#isStalled] = [[], [], [], false];
    if (!this.#isUp) return;
    this.#isUp = false;
    for (const { reject, what } of failed) reject(new LinkError(`Connection to Redis lost: ${what}`));
    for (const run of this.#downs) run();
  }

  /** The connection is there again, or goes on after {@link stall} with all that waited. */
  heal(): void {
    this.#isStalled = false;
    if (this.#isUp) {
      this.#pump();
      return;
    }
    this.#isUp = true;
    for (const run of this.#ups) run();
  }

  /** Nothing moves either way and the node does not notice, until {@link heal} or {@link cut}. */
  stall(): void {
    this.#isStalled = true;
  }

  /** Loses the oldest message on its way to this node. @returns whether there was one */
  loseMessage(): boolean {
    return this.#messages.shift() !== undefined;
  }

  /** Doubles the oldest message on its way to this node. @returns whether there was one */
  doubleMessage(): boolean {
    const first = this.#messages[0];
    if (first !== undefined) this.#messages.push(first);
    return first !== undefined;
  }

  /** @internal A message leaves Redis. @returns whether this link receives the channel */
  hear(channel: string, message: string): boolean {
    if (!this.#isUp || !this.#receivers.has(channel)) return false;
    this.#messages.push({ channel, message });
    if (!this.#redis.isByHand) queueMicrotask(() => this.#pump());
    return true;
  }

  /** @internal */
  get pending(): Step[] {
    if (this.#isStalled) return [];
    const steps: Step[] = [];
    const [command, answer, message] = [this.#commands[0], this.#answers[0], this.#messages[0]];
    if (command !== undefined) steps.push({ link: this, kind: "command", what: `${this.name}: ${command.what}` });
    if (answer !== undefined) steps.push({ link: this, kind: "answer", what: `${this.name}: answer to ${answer.sent.what}` });
    if (message !== undefined) steps.push({ link: this, kind: "message", what: `${this.name}: message on ${message.channel}` });
    return steps;
  }

  /** @internal */
  deliver(kind: Step["kind"]): void {
    if (kind === "command") this.#execute(this.#commands.shift());
    else if (kind === "answer") this.#answer();
    else this.#receive();
  }

  #send(what: string, run: () => unknown): Promise<unknown> {
    if (!this.#isUp) return Promise.reject(new LinkError(`Cannot send "${what}" to Redis: there is no connection`));
    return new Promise((resolve, reject) => {
      this.#commands.push({ what, run, resolve, reject });
      if (!this.#redis.isByHand) this.#pump();
    });
  }

  #pump(): void {
    if (this.#redis.isByHand) return;
    for (let step = this.pending[0]; step !== undefined; step = this.pending[0]) {
      if (step.kind === "message") queueMicrotask(() => this.#isStalled || this.#receive());
      if (step.kind === "message") return;
      this.deliver(step.kind);
    }
  }

  #execute(sent: Sent | undefined): void {
    if (sent === undefined) return;
    try {
      this.#answers.push({ sent, answer: sent.run() });
    } catch (error) {
      this.#answers.push({ sent, error: error as Error });
    }
  }

  #answer(): void {
    const first = this.#answers.shift();
    if (first === undefined) return;
    if (first.error === undefined) first.sent.resolve(first.answer);
    else first.sent.reject(first.error);
  }

  #receive(): void {
    const first = this.#messages.shift();
    if (first === undefined) return;
    for (const receive of this.#receivers.get(first.channel) ?? []) receive(first.message);
    this.#pump();
  }
}

function luaReply(value: unknown): unknown {
  if (value === true) return 1;
  if (value === undefined || value === null || value === false) return null;
  if (typeof value === "number") return Math.trunc(value);
  if (Array.isArray(value)) return value.map(luaReply);
  return value;
}
