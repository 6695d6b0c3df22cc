import { type Balancer, canonicalIp, type HeldLease } from "../balancer/index.ts";
import { type Config, type DispatcherSetup, missingSets, readDispatcherSetup } from "../config/index.ts";
import {
  type Destination,
  Dispatcher,
  FLAG_NO_DNS,
  type ReloadResult,
  readRows,
  type StateChange,
  type WrittenRecord,
} from "../dispatch/index.ts";
import type { DispatchPort } from "../management/index.ts";
import type { Log } from "../proxy/index.ts";
import { type AddressChange, type Found, isNumeric, type SipTarget, targetKey, targetOfUri } from "../resolution/index.ts";
import { compileExpression, dispatchTarget, NodeTargets, type Dispatching as Routed } from "../routing/index.ts";
import { parseSipUri } from "../sip/index.ts";
import { DispatcherTableReader, within } from "../store/index.ts";
import type { Listener } from "../transaction/index.ts";
import type { Addresses } from "./addresses.ts";
import { SocketNames } from "./socket-names.ts";

/** How long a load waits for the addresses of names: who a request came from is not known by them before. */
const RESOLVE_WAIT_MS = 2_000;
/** Sentences that one refusal tells. */
const MAX_TOLD = 10;
/** By which a call's record tells that it counts on a destination of the dispatcher; ids of rows begin with a digit. */
const HELD_PREFIX = "ds ";

/** What the dispatcher reads of the configuration; of `routing` the names of sets. */
type DispatchConfig = Pick<Config, "dispatcher" | "routing">;

export interface DispatchingPorts {
  readonly below: (n: number) => number;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  readonly listeners: () => readonly Listener[];
  readonly addresses: Pick<Addresses, "find" | "resolve" | "hold">;
  /** How long a load waits for the addresses of names, ms; {@link RESOLVE_WAIT_MS} when left out. */
  readonly resolveWaitMs?: number;
  readonly log: Log;
}

/** Owns the dispatcher: loads its sets from list file, table and configuration, keeps the addresses of their names, and tells of changes. */
export class Dispatching {
  readonly dispatcher: Dispatcher;
  /** Are told of each change of flags, in the same step. */
  readonly changeListeners: ((change: StateChange) => void)[] = [];
  /** Are told when sets are others, or parameters: destinations may be new, gone, or otherwise than before. */
  readonly setsListeners: (() => void)[] = [];
  readonly #ports: DispatchingPorts;
  readonly #reader: DispatcherTableReader;
  readonly #sockets: SocketNames;
  #config: DispatchConfig | undefined;
  #hashKey: Routed["hashKey"];
  #failedReloads = 0;
  #reloads = 0;
  #turn: Promise<void> = Promise.resolve();

  constructor(ports: DispatchingPorts) {
    const { below, log, nowMs } = ports;
    this.#ports = ports;
    this.#reader = new DispatcherTableReader(log);
    this.#sockets = new SocketNames(ports.listeners);
    this.dispatcher = new Dispatcher({
      below,
      nowMs,
      parseUri: dispatchTarget,
      changed: (change) => {
        for (const tell of this.changeListeners) tell(change);
      },
    });
  }

  /** The section of the configuration that is in force. */
  get keys(): Config["dispatcher"] | undefined {
    return this.#config?.dispatcher;
  }

  /** Whether there is any destination, or was when the configuration was read. */
  get isInUse(): boolean {
    return this.dispatcher.sets.length > 0;
  }

  /** Values for the statistics. */
  get counters(): Record<string, number> {
    const { sets, countedCalls } = this.dispatcher;
    return {
      sets: sets.length,
      destinations: sets.reduce((sum, { destinations }) => sum + destinations.length, 0),
      counted_calls: countedCalls,
      reloads: this.#reloads,
      reload_failures: this.#failedReloads,
    };
  }

  /**
   * Puts into force what a configuration says, with its list file and its table read. Destinations that stay keep their states, loads and figures.
   * When it rejects nothing has changed.
   */
  load(config: DispatchConfig): Promise<void> {
    return this.#inTurn(async () => {
      const apply = await this.prepare(config);
      await apply();
    });
  }

  /** Reads file and table of the configuration in force again (`dispatcher.reload`). When it rejects nothing has changed. */
  reload(): Promise<void> {
    return this.#inTurn(async () => {
      const config = this.#config;
      if (config === undefined) return;
      const apply = await this.prepare(config);
      if (this.#config === config) await apply(); // else another configuration has been put into force meanwhile, with its file and table
    });
  }

  /** Reads what a configuration names, and answers how to put it into force. Rejects with a sentence. */
  async prepare(config: DispatchConfig): Promise<() => Promise<void>> {
    try {
      const setup = readDispatcherSetup(config);
      const { records, problems } = await this.#recordsOf(setup);
      const all = [...setup.problems, ...problems];
      if (setup.isStrict) refuseProblems(records, all);
      return () => this.#apply(config, setup, records, all);
    } catch (error) {
      this.#failedReloads++;
      throw error;
    }
  }

  /** Adds a destination until the next load (`dispatcher.add`). Answers what is wrong when it cannot be used. */
  add(record: WrittenRecord): readonly string[] {
    const { isApplied, problems } = this.dispatcher.add(record);
    if (!isApplied) return problems;
    for (const problem of problems) this.#ports.log.warn({}, `dispatcher: ${problem}`);
    void this.#setsChanged();
    return [];
  }

  /** Takes the destinations of a URI out of a set until the next load (`dispatcher.remove`). Answers how many there were. */
  remove(setId: number, uri: string): number {
    const removed = this.dispatcher.remove(setId, uri);
    if (removed > 0) void this.#setsChanged();
    return removed;
  }

  /** The listener that calls to a destination leave from; undefined: any that reaches it. */
  socketOf({ attributes }: Destination): Listener | undefined {
    return this.#sockets.find(attributes.socketName) ?? this.#sockets.find(attributes.socket) ?? this.#defaultSocket;
  }

  /** The listener that probes of a destination leave from; undefined: any that reaches it. */
  pingSocketOf(destination: Destination): Listener | undefined {
    return this.#sockets.find(destination.attributes.pingSocket) ?? this.socketOf(destination);
  }

  /** Whether a destination names this listener (`ds_is_from_list`, mode 8). */
  isSocketOf({ attributes }: Destination, listener: Listener): boolean {
    const named = this.#sockets.find(attributes.socketName) ?? this.#sockets.find(attributes.socket);
    return named === listener;
  }

  /** To be told of other addresses of names. */
  readdressed(changes: readonly AddressChange[]): void {
    const changed = new Map(changes.map((change) => [targetKey(change.target), change]));
    for (const destination of this.#named()) {
      const change = changed.get(targetKey(targetOf(destination)));
      if (change !== undefined && change.addresses.length > 0) this.#setAddresses(destination, change.addresses);
    }
  }

  /** What a call counts here, as its record tells it: see `Balancer.held`. */
  held(call: object): HeldLease[] {
    const names = this.dispatcher.heldBy(call);
    return names.map((name) => ({ key: HELD_PREFIX + name, resource: "", picked: true }));
  }

  /** Counts what {@link held} told in another process; what others told of is passed over. Answers how many calls that are: one or none. */
  adopt(call: object, held: readonly HeldLease[]): number {
    const names = held.filter(({ key }) => key.startsWith(HELD_PREFIX)).map(({ key }) => key.slice(HELD_PREFIX.length));
    if (names.length === 0) return 0;
    this.dispatcher.adopt(call, names);
    return 1;
  }

  /** The call is over. */
  release(call: object): void {
    this.dispatcher.release(call);
  }

  /** What calls use of it. */
  routing(balancer: Balancer): Routed {
    const rows = new NodeTargets(balancer, {});
    const { dispatcher } = this;
    const own = this;
    return {
      dispatcher,
      rowOf: (uri) => rows.find(uri)?.destination,
      socketOf: (destination) => this.socketOf(destination),
      isSocketOf: (destination, listener) => this.isSocketOf(destination, listener),
      get hashKey() {
        return own.#hashKey;
      },
      get keepsDestination() {
        return own.keys?.force_dst === 0;
      },
      reload: () => this.reload(),
    };
  }

  /** What management reads and steers. */
  get management(): Pick<DispatchPort, "dispatcher" | "reload" | "add" | "remove"> {
    return {
      dispatcher: this.dispatcher,
      reload: () => this.reload(),
      add: (record) => this.add(record),
      remove: (setId, uri) => this.remove(setId, uri),
    };
  }

  get #defaultSocket(): Listener | undefined {
    return this.#sockets.find(this.keys?.ds_default_socket ?? "");
  }

  async #recordsOf({ fromFile, fromSets, table }: DispatcherSetup): Promise<{ records: WrittenRecord[]; problems: readonly string[] }> {
    if (table === undefined) return { records: [...fromFile, ...fromSets], problems: [] };
    const rows = await this.#reader.read({ ...table, columns: Object.values(table.extra) });
    const { records, problems } = readRows(rows, table.extra);
    return { records: [...fromFile, ...records, ...fromSets], problems };
  }

  async #apply(
    config: DispatchConfig,
    { options }: DispatcherSetup,
    records: readonly WrittenRecord[],
    problems: readonly string[],
  ): Promise<void> {
    const { log } = this.#ports;
    const isFirst = this.#config === undefined;
    const result = this.dispatcher.replace(records, false, options);
    this.#config = config;
    this.#hashKey = hashKeyOf(config);
    if (!isFirst) this.#reloads++;
    for (const problem of [...problems, ...result.problems, ...this.#socketProblems()]) log.warn({}, `dispatcher: ${problem}`);
    for (const text of missingSets(
      config.routing,
      this.dispatcher.sets.map(({ id }) => id),
    ))
      log.warn({}, text);
    if (!isFirst || records.length > 0) tellLoad(this.dispatcher, result, log);
    await this.#setsChanged();
  }

  /** Resolves when the names of the sets are looked up, or after a while. Never rejects. */
  #setsChanged(): Promise<unknown> {
    this.#ports.addresses.hold(this.#named().map(targetOf), "dispatcher");
    for (const tell of this.setsListeners) tell();
    return within(this.#resolved(), this.#ports.resolveWaitMs ?? RESOLVE_WAIT_MS);
  }

  /** Sentences about sockets that no listener is. */
  #socketProblems(): string[] {
    const problems: string[] = [];
    const look = (name: string, key: string, owner: string): void => {
      if (name !== "" && this.#sockets.find(name) === undefined)
        problems.push(`${key} "${name}" of ${owner} is no listener of sip.listen, any other is used`);
    };
    look(this.keys?.ds_default_socket ?? "", "ds_default_socket", "the configuration");
    for (const { uri, setId, attributes } of this.#all()) {
      const owner = `<${uri}> in set ${setId}`;
      look(attributes.socketName, "sockname", owner);
      look(attributes.socket, "socket", owner);
      look(attributes.pingSocket, "ping_socket", owner);
    }
    return problems.slice(0, MAX_TOLD);
  }

  /** Looks up the names. Never rejects. */
  async #resolved(): Promise<void> {
    const { addresses, log } = this.#ports;
    const pending: Promise<void>[] = [];
    for (const destination of this.#named()) {
      const use = ({ addresses: found }: Found): void => {
        if (found.length > 0) this.#setAddresses(destination, found);
        else log.warn({}, `dispatcher: the name of <${destination.uri}> in set ${destination.setId} has no address now`);
      };
      const found = addresses.resolve(targetOf(destination));
      if (found instanceof Promise) pending.push(found.then(use));
      else use(found);
    }
    await Promise.allSettled(pending);
  }

  #setAddresses(destination: Destination, found: readonly { readonly ip: string }[]): void {
    this.dispatcher.setAddresses(destination, [...new Set(found.map(({ ip }) => canonicalIp(ip) ?? ip))]);
  }

  #all(): Destination[] {
    return this.dispatcher.sets.flatMap(({ destinations }) => [...destinations]);
  }

  #named(): Destination[] {
    return this.#all().filter(({ target, flags }) => (flags & FLAG_NO_DNS) === 0 && !isNumeric(target.host));
  }

  #inTurn(run: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(run);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

/** `ds_load_mode` 1. @throws Error that says what is wrong with which records, when anything is */
function refuseProblems(records: readonly WrittenRecord[], problems: readonly string[]): void {
  const trial = new Dispatcher({ below: () => 0, nowMs: () => 0, parseUri: dispatchTarget }).replace(records, true);
  const all = [...problems, ...(trial.isApplied ? [] : trial.problems)];
  if (all.length > 0) throw new Error(`dispatcher: nothing is loaded, as ds_load_mode is 1: ${all.slice(0, MAX_TOLD).join("; ")}`);
}

function hashKeyOf({ dispatcher: { hash_pvar: text } }: DispatchConfig): Routed["hashKey"] {
  const compiled = text === "" ? "" : compileExpression(text);
  return typeof compiled === "string" ? undefined : compiled;
}

function targetOf({ uri }: Pick<Destination, "uri">): SipTarget {
  return targetOfUri(parseSipUri(uri));
}

function tellLoad({ sets }: Dispatcher, { added, removed, kept }: ReloadResult, log: Log): void {
  log.info({ sets: sets.length, destinations: added + kept, added, removed }, "dispatcher sets loaded");
}
