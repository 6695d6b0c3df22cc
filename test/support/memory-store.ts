type Value = string | Map<string, string> | Set<string> | Map<string, number>;
type Kind = "string" | "hash" | "set" | "zset";
type Words = string[];

interface Entry {
  readonly kind: Kind;
  value: Value;
  /** Redis time. */
  expiresAtMs: number | undefined;
}

const EMPTY = { string: () => "", hash: () => new Map(), set: () => new Set(), zset: () => new Map() } as const;

/** What Redis keeps, with the commands that the parts of the cluster use. Replies have the shape of RESP 2: text, numbers, null, flat arrays. */
export class MemoryStore {
  readonly #nowMs: () => number;
  readonly #published: (channel: string, message: string) => number;
  readonly #entries = new Map<string, Entry>();

  /** @param nowMs time of Redis @param published carries a message; answers how many receive it */
  constructor(nowMs: () => number, published: (channel: string, message: string) => number) {
    this.#nowMs = nowMs;
    this.#published = published;
  }

  /** Time of Redis, milliseconds since 1970. */
  get nowMs(): number {
    return this.#nowMs();
  }

  /** As `redis.call` of Lua, but without a key there is null, not false. @throws Error what Redis would answer */
  call(name: string, ...args: readonly (string | number)[]): unknown {
    const command = COMMANDS[name.toLowerCase()];
    if (command === undefined) throw new Error(`ERR unknown command '${name}' (test/support/memory-store.ts does not have it)`);
    return command(this, args.map(String));
  }

  /** Forgets everything. */
  flush(): void {
    this.#entries.clear();
  }

  /** Names of all keys there are. */
  keys(): string[] {
    return [...this.#entries.keys()].filter((key) => this.entry(key) !== undefined);
  }

  /** @internal */
  entry(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry?.expiresAtMs === undefined || entry.expiresAtMs > this.nowMs) return entry;
    this.#entries.delete(key);
    return undefined;
  }

  /** @internal */
  put(key: string, value: string, expiresAtMs: number | undefined): void {
    this.#entries.set(key, { kind: "string", value, expiresAtMs });
  }

  /** @internal */
  remove(key: string): boolean {
    return this.entry(key) !== undefined && this.#entries.delete(key);
  }

  /** @internal What stands there for reading; an empty one where nothing does. */
  read<T extends Value>(key: string, kind: Kind): T {
    const entry = this.entry(key);
    if (entry === undefined) return EMPTY[kind]() as unknown as T;
    if (entry.kind !== kind) throw new Error("WRONGTYPE Operation against a key holding the wrong kind of value");
    return entry.value as T;
  }

  /** @internal Changes what stands there; Redis keeps no empty collections. */
  write<T extends Exclude<Value, string>>(key: string, kind: Exclude<Kind, "string">, change: (value: T) => unknown): unknown {
    const value = this.read<T>(key, kind);
    const answer = change(value);
    if (value.size === 0) this.#entries.delete(key);
    else if (this.entry(key) === undefined) this.#entries.set(key, { kind, value, expiresAtMs: undefined });
    return answer;
  }

  /** @internal */
  publish(channel: string, message: string): number {
    return this.#published(channel, message);
  }
}

type Command = (store: MemoryStore, args: Words) => unknown;

function integer(text: string | undefined): number {
  const value = Number(text);
  if (text === undefined || text === "" || !Number.isSafeInteger(value)) throw new Error("ERR value is not an integer or out of range");
  return value;
}

function float(text: string | undefined): number {
  if (/^\+?inf$/i.test(text ?? "")) return Number.POSITIVE_INFINITY;
  if (/^-inf$/i.test(text ?? "")) return Number.NEGATIVE_INFINITY;
  const value = Number(text);
  if (text === undefined || text === "" || Number.isNaN(value)) throw new Error("ERR value is not a valid float");
  return value;
}

function pairs(words: Words): [string, string][] {
  if (words.length === 0 || words.length % 2 !== 0) throw new Error("ERR wrong number of arguments");
  return Array.from({ length: words.length / 2 }, (_, at) => [words[at * 2] as string, words[at * 2 + 1] as string]);
}

function need(args: Words, count: number): void {
  if (args.length < count) throw new Error("ERR wrong number of arguments");
}

const isTrue = (value: boolean): number => (value ? 1 : 0);
const hash = (store: MemoryStore, key: string): Map<string, string> => store.read<Map<string, string>>(key, "hash");
const set = (store: MemoryStore, key: string): Set<string> => store.read<Set<string>>(key, "set");

/** Members of a sorted set, by score, then as text. */
function ranked(store: MemoryStore, key: string): [string, number][] {
  const members = [...store.read<Map<string, number>>(key, "zset")];
  return members.sort(([a, low], [b, high]) => low - high || (a < b ? -1 : 1));
}

function within(min: string | undefined, max: string | undefined): (score: number) => boolean {
  const bound = (text: string | undefined): [number, boolean] =>
    text?.startsWith("(") ? [float(text.slice(1)), true] : [float(text), false];
  const [low, isAbove] = bound(min);
  const [high, isBelow] = bound(max);
  return (score) => (isAbove ? score > low : score >= low) && (isBelow ? score < high : score <= high);
}

function listed(members: readonly [string, number][], options: Words): string[] {
  const words = options.map((option) => option.toLowerCase());
  const limit = words.indexOf("limit");
  const [offset, count] = limit < 0 ? [0, -1] : [integer(words[limit + 1]), integer(words[limit + 2])];
  const chosen = members.slice(offset, count < 0 ? undefined : offset + count);
  return words.includes("withscores") ? chosen.flatMap(([member, score]) => [member, String(score)]) : chosen.map(([member]) => member);
}

function setString(store: MemoryStore, [key = "", value = "", ...options]: Words): unknown {
  const before = store.read<string>(key, store.entry(key)?.kind ?? "string");
  const isThere = store.entry(key) !== undefined;
  let expiresAtMs: number | undefined;
  let answersOld = false;
  for (let at = 0; at < options.length; at++) {
    const option = options[at]?.toLowerCase();
    if (option === "nx" && isThere) return null;
    if (option === "xx" && !isThere) return null;
    if (option === "get") answersOld = true;
    if (option === "keepttl") expiresAtMs = store.entry(key)?.expiresAtMs;
    if (option === "px") expiresAtMs = store.nowMs + integer(options[++at]);
    else if (option === "ex") expiresAtMs = store.nowMs + integer(options[++at]) * 1000;
    else if (option === "pxat") expiresAtMs = integer(options[++at]);
    else if (option === "exat") expiresAtMs = integer(options[++at]) * 1000;
    else if (!["nx", "xx", "get", "keepttl"].includes(option ?? "")) throw new Error("ERR syntax error");
  }
  store.put(key, value, expiresAtMs);
  if (answersOld) return isThere ? before : null;
  return "OK";
}

function expireAt(store: MemoryStore, key: string, atMs: number, condition: string | undefined): number {
  const entry = store.entry(key);
  if (entry === undefined) return 0;
  const presentMs = entry.expiresAtMs;
  const mode = condition?.toLowerCase();
  if (mode === "nx" && presentMs !== undefined) return 0;
  if (mode === "xx" && presentMs === undefined) return 0;
  if (mode === "gt" && (presentMs === undefined || atMs <= presentMs)) return 0;
  if (mode === "lt" && presentMs !== undefined && atMs >= presentMs) return 0;
  entry.expiresAtMs = atMs;
  store.entry(key);
  return 1;
}

function remainingMs(store: MemoryStore, key: string): number {
  const entry = store.entry(key);
  if (entry === undefined) return -2;
  return entry.expiresAtMs === undefined ? -1 : entry.expiresAtMs - store.nowMs;
}

function add(store: MemoryStore, key: string, by: number): number {
  const sum = integer((store.read<string>(key, "string") as string) || "0") + by;
  store.put(key, String(sum), store.entry(key)?.expiresAtMs);
  return sum;
}

function zadd(store: MemoryStore, [key = "", ...rest]: Words): unknown {
  const words = [...rest];
  const options = new Set<string>();
  while (/^(?:nx|xx|gt|lt|ch)$/i.test(words[0] ?? "")) options.add((words.shift() as string).toLowerCase());
  return store.write<Map<string, number>>(key, "zset", (members) => {
    let added = 0;
    let changed = 0;
    for (const [text, member] of pairs(words)) {
      const score = float(text);
      const before = members.get(member);
      if (before === undefined ? options.has("xx") : options.has("nx")) continue;
      if (before !== undefined && ((options.has("gt") && score <= before) || (options.has("lt") && score >= before))) continue;
      if (before === undefined) added++;
      else if (before !== score) changed++;
      members.set(member, score);
    }
    return options.has("ch") ? added + changed : added;
  });
}

function zrange(store: MemoryStore, [key = "", from, to, ...options]: Words): unknown {
  const words = options.map((option) => option.toLowerCase());
  if (words.includes("byscore")) {
    const [min, max] = words.includes("rev") ? [to, from] : [from, to];
    const members = ranked(store, key).filter(([, score]) => within(min, max)(score));
    return listed(words.includes("rev") ? members.reverse() : members, options);
  }
  const members = words.includes("rev") ? ranked(store, key).reverse() : ranked(store, key);
  const end = integer(to);
  return listed(members.slice(integer(from), end === -1 ? undefined : end + 1), options);
}

/** All at once, as the only page. */
const page = (members: readonly string[]): unknown => ["0", [...members]];

const COMMANDS: Readonly<Record<string, Command>> = {
  ping: (_, [message]) => message ?? "PONG",
  time: (store) => [String(Math.floor(store.nowMs / 1000)), String(Math.round((store.nowMs % 1000) * 1000))],
  publish: (store, [channel = "", message = ""]) => store.publish(channel, message),
  flushall: (store) => {
    store.flush();
    return "OK";
  },
  dbsize: (store) => store.keys().length,
  scan: (store) => page(store.keys()),
  del: (store, keys) => keys.filter((key) => store.remove(key)).length,
  unlink: (store, keys) => keys.filter((key) => store.remove(key)).length,
  exists: (store, keys) => keys.filter((key) => store.entry(key) !== undefined).length,
  type: (store, [key = ""]) => store.entry(key)?.kind ?? "none",
  expire: (store, [key = "", seconds, mode]) => expireAt(store, key, store.nowMs + integer(seconds) * 1000, mode),
  pexpire: (store, [key = "", ms, mode]) => expireAt(store, key, store.nowMs + integer(ms), mode),
  expireat: (store, [key = "", seconds, mode]) => expireAt(store, key, integer(seconds) * 1000, mode),
  pexpireat: (store, [key = "", ms, mode]) => expireAt(store, key, integer(ms), mode),
  ttl: (store, [key = ""]) => (remainingMs(store, key) < 0 ? remainingMs(store, key) : Math.round(remainingMs(store, key) / 1000)),
  pttl: (store, [key = ""]) => remainingMs(store, key),
  pexpiretime: (store, [key = ""]) => (remainingMs(store, key) < 0 ? remainingMs(store, key) : store.entry(key)?.expiresAtMs),
  persist: (store, [key = ""]) => {
    const entry = store.entry(key);
    if (entry?.expiresAtMs === undefined) return 0;
    entry.expiresAtMs = undefined;
    return 1;
  },

  get: (store, [key = ""]) => (store.entry(key) === undefined ? null : store.read<string>(key, "string")),
  mget: (store, keys) => keys.map((key) => (store.entry(key)?.kind === "string" ? store.read<string>(key, "string") : null)),
  set: (store, args) => {
    need(args, 2);
    return setString(store, args);
  },
  setnx: (store, [key = "", value = ""]) => isTrue(setString(store, [key, value, "nx"]) !== null),
  setex: (store, [key = "", seconds = "", value = ""]) => setString(store, [key, value, "ex", seconds]),
  psetex: (store, [key = "", ms = "", value = ""]) => setString(store, [key, value, "px", ms]),
  mset: (store, args) => {
    for (const [key, value] of pairs(args)) store.put(key, value, undefined);
    return "OK";
  },
  incr: (store, [key = ""]) => add(store, key, 1),
  decr: (store, [key = ""]) => add(store, key, -1),
  incrby: (store, [key = "", by]) => add(store, key, integer(by)),

  hget: (store, [key = "", field = ""]) => hash(store, key).get(field) ?? null,
  hmget: (store, [key = "", ...fields]) => fields.map((field) => hash(store, key).get(field) ?? null),
  hgetall: (store, [key = ""]) => [...hash(store, key)].flat(),
  hkeys: (store, [key = ""]) => [...hash(store, key).keys()],
  hvals: (store, [key = ""]) => [...hash(store, key).values()],
  hlen: (store, [key = ""]) => hash(store, key).size,
  hexists: (store, [key = "", field = ""]) => isTrue(hash(store, key).has(field)),
  hscan: (store, [key = ""]) => page([...hash(store, key)].flat()),
  hset: (store, [key = "", ...words]) =>
    store.write<Map<string, string>>(key, "hash", (fields) => {
      const before = fields.size;
      for (const [field, value] of pairs(words)) fields.set(field, value);
      return fields.size - before;
    }),
  hmset: (store, [key = "", ...words]) => {
    store.call("hset", key, ...words);
    return "OK";
  },
  hsetnx: (store, [key = "", field = "", value = ""]) => (hash(store, key).has(field) ? 0 : store.call("hset", key, field, value)),
  hdel: (store, [key = "", ...names]) =>
    store.write<Map<string, string>>(key, "hash", (fields) => names.filter((name) => fields.delete(name)).length),
  hincrby: (store, [key = "", field = "", by]) => {
    const sum = integer(hash(store, key).get(field) ?? "0") + integer(by);
    store.call("hset", key, field, sum);
    return sum;
  },

  sadd: (store, [key = "", ...added]) =>
    store.write<Set<string>>(key, "set", (members) => added.filter((member) => !members.has(member) && members.add(member)).length),
  srem: (store, [key = "", ...gone]) =>
    store.write<Set<string>>(key, "set", (members) => gone.filter((member) => members.delete(member)).length),
  smembers: (store, [key = ""]) => [...set(store, key)],
  scard: (store, [key = ""]) => set(store, key).size,
  sismember: (store, [key = "", member = ""]) => isTrue(set(store, key).has(member)),
  smismember: (store, [key = "", ...asked]) => asked.map((member) => isTrue(set(store, key).has(member))),
  sscan: (store, [key = ""]) => page([...set(store, key)]),
  srandmember: (store, [key = "", count]) =>
    count === undefined ? ([...set(store, key)][0] ?? null) : [...set(store, key)].slice(0, Math.abs(integer(count))),
  spop: (store, [key = "", count]) => {
    const chosen = [...set(store, key)].slice(0, count === undefined ? 1 : integer(count));
    store.call("srem", key, ...chosen);
    return count === undefined ? (chosen[0] ?? null) : chosen;
  },
  smove: (store, [from = "", to = "", member = ""]) => {
    if (store.call("srem", from, member) === 0) return 0;
    store.call("sadd", to, member);
    return 1;
  },

  zadd,
  zrange,
  zrem: (store, [key = "", ...gone]) =>
    store.write<Map<string, number>>(key, "zset", (members) => gone.filter((member) => members.delete(member)).length),
  zcard: (store, [key = ""]) => ranked(store, key).length,
  zscore: (store, [key = "", member = ""]) => {
    const score = store.read<Map<string, number>>(key, "zset").get(member);
    return score === undefined ? null : String(score);
  },
  zmscore: (store, [key = "", ...asked]) => asked.map((member) => store.call("zscore", key, member)),
  zcount: (store, [key = "", min, max]) => ranked(store, key).filter(([, score]) => within(min, max)(score)).length,
  zrangebyscore: (store, [key = "", min, max, ...options]) =>
    listed(
      ranked(store, key).filter(([, score]) => within(min, max)(score)),
      options,
    ),
  zremrangebyscore: (store, [key = "", min, max]) => {
    const gone = ranked(store, key).filter(([, score]) => within(min, max)(score));
    return store.call("zrem", key, ...gone.map(([member]) => member));
  },
  zscan: (store, [key = ""]) => page(listed(ranked(store, key), ["withscores"])),
};
