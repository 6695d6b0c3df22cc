import { extname } from "node:path";
import { setFlagsFromString } from "node:v8";
import { MessageChannel, Worker } from "node:worker_threads";
import type { Logger } from "pino";
import { type Balancer, SharedLoads, TABLE_KEEPER } from "../../balancer/index.ts";
import { recordOfOwnBody } from "../../cluster/dialogs/dialog-record.ts";
import type { Config } from "../../config/index.ts";
import { type Dialog, DialogState, type DialogTable } from "../../dialog/index.ts";
import type { BanView } from "../../overload/index.ts";
import { threadOfCall } from "../../proxy/index.ts";
import type { TimerWheel } from "../../transaction/index.ts";
import type { SipListener } from "../../transport/connection-listener.ts";
import type { Announcer } from "../announcer.ts";
import { LentConnections } from "../handover/lent-connections.ts";
import { TakenCalls } from "../handover/taken-calls.ts";
import { closeLeft } from "./left-descriptors.ts";
import type { FromThread, StateNote, ThreadNote, ThreadPlace, ToThread, Values } from "./messages.ts";
import { PostedListener } from "./posted-listener.ts";
import { SummedValues } from "./summed-values.ts";
import { rowsOf } from "./table-rows.ts";
import { noteOfCall } from "./thread-calls.ts";
import { threadPlaces } from "./thread-places.ts";

const WORKER = new URL(`./thread-main${extname(import.meta.filename)}`, import.meta.url);
/** How often it is looked what keeps calls from destinations, ms. */
const STATES_MS = 20;
/** Descriptors that are remembered for each thread. */
const MAX_DESCRIPTORS = 65_536;
/** Calls that a thread is told of in one go. */
const CHUNK = 200;
/** Waits before a thread is started again, ms: the first, doubled up to the last. One that has lived for longer than the last counts as well. */
const FIRST_RESTART_MS = 50;
const LAST_RESTART_MS = 5_000;
/** A thread that has not ended this long after its time for requests is over is waited for no more, ms. */
const STOP_MARGIN_MS = 2_000;
/** Half of the memory for what is new, MB, where the command line does not say it. */
const SEMI_SPACE = "--max-semi-space-size";
const SEMI_SPACE_MB = 16;

export interface SipThreadsPorts {
  readonly balancer: Balancer;
  readonly dialogs: DialogTable;
  readonly announcer: Pick<Announcer, "banChanged" | "overloadChanged" | "pingOutageChanged" | "dialogChanged">;
}

interface Thread {
  readonly worker: Worker;
  readonly number: number;
  readonly sinceMs: number;
  /** It has the table, and is told of what changes. */
  isUp: boolean;
  reason: string;
}

/**
 * The threads that handle SIP, as the main thread has them: it tells them of the table and of what keeps calls from destinations, and follows their calls, so that it can
 * list them, write them down, and give those of a thread that has died to the next one.
 */
export class SipThreads {
  readonly loads: SharedLoads;
  /** Where SIP is taken, and behind that the ports that each thread has alone. */
  readonly listeners: readonly SipListener[];
  readonly #config: Config;
  readonly #log: Logger;
  readonly #places: readonly ThreadPlace[];
  readonly #memory: {
    readonly loads: SharedArrayBuffer;
    readonly waiting: SharedArrayBuffer;
    readonly descriptors: readonly SharedArrayBuffer[];
  };
  readonly #threads: (Thread | undefined)[] = [];
  /** What threads that have died had counted, until their calls are restored. */
  readonly #inherited: (Int32Array | undefined)[] = [];
  readonly #failures: number[] = [];
  readonly #values = new SummedValues();
  readonly #bans: (readonly BanView[])[] = [];
  /** By name of a call: whose it is. */
  readonly #owners = new Map<string, number>();
  #states = new Map<string, StateNote>();
  #ports: SipThreadsPorts | undefined;
  #calls: TakenCalls | undefined;
  #statesTimer: NodeJS.Timeout | undefined;
  #latest: Config;
  #isStopping = false;
  /** Wait for what a thread says. */
  readonly #waiting: { readonly kind: FromThread["kind"]; readonly thread: number; done(reason: string | undefined): void }[] = [];

  /** @throws Error that names the address when a port cannot be had */
  static async open(config: Config, log: Logger): Promise<SipThreads> {
    return new SipThreads(config, await threadPlaces(config.sip), log);
  }

  private constructor(config: Config, places: readonly ThreadPlace[], log: Logger) {
    const { workers } = config.sip;
    this.#config = config;
    this.#latest = config;
    this.#log = log;
    this.#places = places;
    this.#memory = {
      loads: SharedLoads.allocate(workers),
      waiting: new SharedArrayBuffer(4 * workers),
      descriptors: Array.from({ length: workers }, () => new SharedArrayBuffer(MAX_DESCRIPTORS / 8)),
    };
    this.loads = new SharedLoads(this.#memory.loads, workers, TABLE_KEEPER);
    const common = places.map(({ address, port }) => new PostedListener(address, port));
    const own = places.flatMap(({ address, ownPorts }) => ownPorts.map((port) => new PostedListener(address, port)));
    this.listeners = [...common, ...own];
  }

  /** Those that `sip.listen` names. */
  get common(): readonly SipListener[] {
    return this.listeners.slice(0, this.#places.length);
  }

  /** Timers for the calls that the main thread follows: how long one lasts is the threads' matter, how long one that is over is remembered is not. */
  wheelOf(wheel: TimerWheel): Pick<TimerWheel, "restart" | "cancel"> {
    return {
      cancel: (timer) => wheel.cancel(timer),
      restart: (timer, delayMs, owner, nowMs) => {
        if ((owner as unknown as Dialog).state === DialogState.Deleted) wheel.restart(timer, delayMs, owner, nowMs);
      },
    };
  }

  /**
   * Starts the threads, with the table and the calls that there are; resolves when all take SIP.
   *
   * @throws Error with a sentence when one cannot
   */
  async begin(ports: SipThreadsPorts): Promise<void> {
    this.#ports = ports;
    const { dialogs, balancer } = ports;
    this.#calls = new TakenCalls(
      { dialogs, balancer, network: { listeners: this.listeners }, log: this.#log },
      new LentConnections(() => undefined),
      () => true,
      recordOfOwnBody,
    );
    for (const dialog of dialogs.list()) this.#owners.set(dialog.did, this.#ownerOf(dialog));
    const open = Array.from({ length: this.#config.sip.workers }, (_, number) => this.#said(number, "open"));
    for (let number = 0; number < open.length; number++) this.#start(number);
    await Promise.all(open);
    this.#statesTimer = setInterval(() => this.#tellStates(), STATES_MS);
  }

  /** To be told of every new table. */
  tableChanged(): void {
    for (const thread of this.#threads) if (thread?.isUp) this.#tellTable(thread);
  }

  /** A new configuration is in force. */
  use(config: Config): void {
    this.#latest = config;
    this.#tellAll({ kind: "config", config: plain(config) });
  }

  /** Has whoever has the call end it. */
  endDialog(did: string, headers: readonly (readonly [string, string])[] = []): void {
    this.#tellAll({ kind: "end", did, headers });
  }

  get bans(): { list(): BanView[]; lift(address: string): boolean } {
    return {
      list: () => this.#bans.flat(),
      lift: (address) => {
        this.#tellAll({ kind: "lift", address });
        return this.#bans.flat().some(({ source }) => source === address || address.startsWith(source));
      },
    };
  }

  /** Adds the statistics of the threads to those of the main thread. */
  add(values: Values): void {
    this.#values.add(values);
  }

  /** Has them finish their requests; resolves when they have, and are gone. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#statesTimer);
    const live = this.#threads.filter((thread) => thread !== undefined);
    const stopped = live.map(({ number }) => this.#said(number, "stopped").catch(() => undefined));
    this.#tellAll({ kind: "stop" });
    const tooLate = setTimeout(
      () => {
        for (const { number } of live) this.#settle(number, "stopped", undefined);
      },
      this.#config.sip.stop_timeout * 1000 + STOP_MARGIN_MS,
    );
    await Promise.all(stopped);
    clearTimeout(tooLate);
  }

  #start(number: number): void {
    if (this.#isStopping) return;
    const { loads, waiting, descriptors } = this.#memory;
    Atomics.store(new Int32Array(waiting), number, 0);
    // The thread of the database has set it to what that needs, for all threads to come.
    setFlagsFromString(process.execArgv.find((option) => option.startsWith(SEMI_SPACE)) ?? `${SEMI_SPACE}=${SEMI_SPACE_MB}`);
    const worker = new Worker(WORKER, {
      name: `headroom sip ${number}`,
      workerData: {
        ...{ config: plain(this.#latest), self: number, threads: this.#config.sip.workers, places: this.#places },
        ...{ loads, waiting, descriptors: descriptors[number] },
      },
    });
    const thread: Thread = { worker, number, sinceMs: performance.now(), isUp: false, reason: "" };
    this.#threads[number] = thread;
    worker.on("message", (message: FromThread) => this.#received(thread, message));
    worker.on("error", (error) => {
      thread.reason ||= error instanceof Error ? error.message : String(error);
    });
    worker.on("exit", (code) => this.#ended(thread, thread.reason || `exit code ${code}`));
    for (const other of this.#threads) {
      if (other === undefined || other === thread) continue;
      const { port1, port2 } = new MessageChannel();
      tell(other, { kind: "peer", thread: number, port: port1 }, [port1]);
      tell(thread, { kind: "peer", thread: other.number, port: port2 }, [port2]);
    }
  }

  #received(thread: Thread, message: FromThread): void {
    try {
      this.#handle(thread, message);
    } catch (error) {
      this.#log.error({ err: error, kind: message.kind }, "cannot process what a SIP thread says: internal error");
    }
  }

  #handle(thread: Thread, message: FromThread): void {
    const { balancer, announcer } = this.#ports!;
    switch (message.kind) {
      case "up":
        this.#setUp(thread);
        return;
      case "open":
        this.#opened(thread);
        return;
      case "failed":
        thread.reason = message.reason;
        return;
      case "calls":
        for (const note of JSON.parse(message.text) as ThreadNote[]) this.#note(thread.number, note);
        return;
      case "status": {
        const destination = balancer.destinationOfKey(message.key);
        if (destination !== undefined) balancer.setStatus(destination.id, message.enabled, message.cause);
        this.#states.delete(message.key); // what the thread has set for itself is told again, whatever becomes of it here
        return;
      }
      case "rest": {
        const destination = balancer.destinationOfKey(message.key);
        if (destination !== undefined) balancer.restUntil(destination.id, performance.now() + message.ms);
        this.#states.delete(message.key);
        return;
      }
      case "ban":
        announcer.banChanged(message.change);
        return;
      case "overload":
        announcer.overloadChanged(message.change);
        return;
      case "outage":
        announcer.pingOutageChanged(message.outage);
        return;
      case "statistics":
        this.#values.told(thread.number, message.values);
        this.#bans[thread.number] = message.bans;
        return;
      case "stopped":
        return; // its end is what is waited for
    }
  }

  /** Tells it everything, and has it take SIP. */
  #setUp(thread: Thread): void {
    const { dialogs, balancer } = this.#ports!;
    thread.isUp = true;
    this.#tellTable(thread);
    let notes = [];
    for (const dialog of dialogs.list()) {
      if (this.#owners.get(dialog.did) !== thread.number) continue;
      notes.push(noteOfCall(dialog, balancer));
      if (notes.length < CHUNK) continue;
      tell(thread, { kind: "calls", notes });
      notes = [];
    }
    tell(thread, { kind: "calls", notes });
    tell(thread, { kind: "open" });
  }

  #opened(thread: Thread): void {
    Atomics.store(new Int32Array(this.#memory.waiting), thread.number, 0); // what others handed to the one before it was never taken
    const inherited = this.#inherited[thread.number];
    this.#inherited[thread.number] = undefined;
    if (inherited !== undefined) {
      const units = this.loads.takeBack(inherited);
      this.#log.warn(
        { worker: thread.number, units },
        `SIP thread ${thread.number} takes calls again: those that it had were restored, and their loads are counted anew`,
      );
    }
    this.#settle(thread.number, "open", undefined);
  }

  #ended(thread: Thread, reason: string): void {
    const { number } = thread;
    this.#threads[number] = undefined;
    this.#values.died(number);
    this.#bans[number] = [];
    closeLeft(new Int32Array(this.#memory.descriptors[number]!));
    this.#settle(number, "stopped", undefined);
    if (this.#isStopping) return;
    this.#log.error({ worker: number }, `SIP thread ${number} has ended, and is started again: ${reason}`);
    this.#settle(number, "open", reason);
    const held = this.loads.inherit(number);
    const before = this.#inherited[number];
    for (let cell = 0; before !== undefined && cell < held.length; cell++) held[cell]! += before[cell]!;
    this.#inherited[number] = held;
    const failures = performance.now() - thread.sinceMs > LAST_RESTART_MS ? 0 : (this.#failures[number] ?? 0) + 1;
    this.#failures[number] = failures;
    setTimeout(() => this.#start(number), Math.min(LAST_RESTART_MS, FIRST_RESTART_MS * 2 ** Math.min(failures, 16)));
  }

  #note(thread: number, { note, states, names }: ThreadNote): void {
    const { announcer } = this.#ports!;
    if ("endReason" in note) this.#owners.delete(note.did);
    else this.#owners.set(note.did, thread);
    try {
      this.#calls?.apply(note);
    } catch (error) {
      this.#log.error({ err: error, did: note.did }, "cannot follow a call of a SIP thread: internal error"); // it must not cost the others
    }
    for (const [before, state] of states) announcer.dialogChanged({ ...names, state, textChars: 0 }, before);
  }

  /** The thread to whose port the Record-Route of the call leads; else the one that its Call-ID names. */
  #ownerOf({ callId, callerEndpoint }: Dialog): number {
    const { workers } = this.#config.sip;
    for (const { ownPorts } of this.#places) {
      const thread = ownPorts.indexOf(callerEndpoint.listener.port);
      if (thread !== -1) return thread;
    }
    return threadOfCall(callId, workers);
  }

  #tellTable(thread: Thread): void {
    const { balancer } = this.#ports!;
    const rows = rowsOf(balancer);
    tell(thread, { kind: "table", rows, names: this.loads.names(), states: this.#statesNow() });
  }

  #statesNow(): StateNote[] {
    const { balancer } = this.#ports!;
    return balancer
      .destinations()
      .map((destination) => [destination.key, balancer.stateOf(destination), balancer.capacityFactor(destination)]);
  }

  #tellStates(): void {
    const changed: StateNote[] = [];
    const states = new Map<string, StateNote>();
    for (const note of this.#statesNow()) {
      const before = this.#states.get(note[0]);
      if (before?.[1] !== note[1] || before[2] !== note[2]) changed.push(note);
      states.set(note[0], note);
    }
    this.#states = states;
    if (changed.length === 0) return;
    for (const thread of this.#threads) if (thread?.isUp) tell(thread, { kind: "states", states: changed });
  }

  #tellAll(message: ToThread): void {
    for (const thread of this.#threads) if (thread !== undefined) tell(thread, message);
  }

  #said(thread: number, kind: FromThread["kind"]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ kind, thread, done: (reason) => (reason === undefined ? resolve() : reject(new Error(reason))) });
    });
  }

  #settle(thread: number, kind: FromThread["kind"], reason: string | undefined): void {
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      const waiting = this.#waiting[i]!;
      if (waiting.thread === thread && waiting.kind === kind) this.#waiting.splice(i, 1)[0]?.done(reason);
    }
  }
}

function tell({ worker }: Thread, message: ToThread, transfer: MessageChannel["port1"][] = []): void {
  worker.postMessage(message, transfer);
}

/** What can be copied to another thread. */
function plain(config: Config): Config {
  return JSON.parse(JSON.stringify(config)) as Config;
}
