import type { ChildProcess, SendHandle } from "node:child_process";
import type { Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Balancer, StatusChange } from "../../balancer/index.ts";
import { bodyOf } from "../../cluster/dialogs/dialog-record.ts";
import { type Dialog, DialogState, type DialogTable, snapshotOf } from "../../dialog/index.ts";
import type { AskerElsewhere, MethodOutcome, MethodParams } from "../../management/index.ts";
import { type Log, type ProxyCore, ShareOfNext, type SipProxy } from "../../proxy/index.ts";
import { within } from "../../store/index.ts";
import type { Endpoint, SendOwner, TransactionLayer } from "../../transaction/index.ts";
import type { FreeswitchFeeds } from "../freeswitch-feeds.ts";
import { type CapacityPorts, fedCapacities, resizedCapacities } from "../kept-capacities.ts";
import type { Listeners } from "../listeners.ts";
import { GivenLoads } from "./given-loads.ts";
import { endQuiet, KeptConnections } from "./kept-connections.ts";
import { LeavingManagement } from "./management-socket.ts";
import {
  type CallNote,
  type DispatchNote,
  type FromFormer,
  type FromNext,
  HANDOVER_VERSION,
  MANAGEMENT,
  type PassedMessage,
  type StatusNote,
} from "./messages.ts";
import { ProcessLink } from "./process-link.ts";
import { Senders } from "./senders.ts";

/** Calls of one message. */
const CHUNK = 200;
/** Names of requests of one message. */
const KEYS_CHUNK = 2_000;
/** How long changes wait to be told together while this process still has the sockets, ms. */
const NOTES_MS = 5;
/** How often it is looked whether something is left to do, ms. */
const POLL_MS = 50;

export interface NextProcessPorts {
  readonly dialogs: DialogTable;
  readonly balancer: Balancer & CapacityPorts;
  readonly layer: TransactionLayer;
  readonly core: ProxyCore;
  readonly listeners: Listeners;
  readonly proxy: Pick<SipProxy, "receive">;
  readonly feeds: Pick<FreeswitchFeeds, "withdrawals"> | undefined;
  readonly management: { readonly listen: string; readonly server: () => Server | undefined };
  readonly dispatch: { told(): DispatchNote };
  /** Writes down what a start reads before it takes calls. */
  readonly settle: () => readonly unknown[];
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  readonly log: Log;
}

/** The process that takes over from this one. */
export class NextProcess {
  readonly link: ProcessLink<FromFormer, FromNext>;
  /** Is told once when the next process wants the sockets, by their names. */
  onReady: (wanted: readonly string[]) => void = () => undefined;
  /** What is asked of management from now on is the next process's: what it changed here would come too late for what is being told. */
  hasAsked = false;
  /** The next process has everything to itself when this one ends. */
  hasSwitched = false;
  readonly #ports: NextProcessPorts;
  readonly #share: ShareOfNext;
  readonly #loads: GivenLoads;
  /** Calls that are the next process's since it has taken over, or since they were answered. */
  readonly #given = new WeakSet<Dialog>();
  /** What was written down here is closed: nobody looks at what those calls count any more. */
  #isReleased = false;
  /** Calls that have changed since the next process was told of them, and why those that are over have ended. */
  readonly #changed = new Map<string, string | undefined>();
  #notesTimer: NodeJS.Timeout | undefined;
  #isCopying = false;
  readonly #senders = new Senders();
  readonly #connections = new KeptConnections();
  readonly #undo: () => void;
  /** Management methods that run there. */
  readonly #requests = new Map<number, (outcome: MethodOutcome) => void>();
  #lastRequest = 0;
  readonly #management: LeavingManagement;
  readonly #announced = Promise.withResolvers<void>();

  constructor(child: ChildProcess, ports: NextProcessPorts) {
    this.#ports = ports;
    this.link = new ProcessLink(child);
    this.link.onMessage = (message) => this.#received(message);
    this.#loads = new GivenLoads(ports.balancer);
    this.#share = new ShareOfNext(ports.core, (text, source) => this.#pass(text, source, true));
    this.#undo = this.#listen();
    this.#management = new LeavingManagement(ports.management.server(), () => this.#requests.size === 0 || !this.link.isOpen);
  }

  /** Greets it. */
  begin(): void {
    const { listeners, management } = this.#ports;
    this.link.send({ kind: "begin", version: HANDOVER_VERSION, listeners: listeners.places(), management: management.listen });
  }

  refuse(reason: string): void {
    this.link.send({ kind: "refused", reason });
  }

  /** This process goes on as before. */
  giveUp(): void {
    this.#undo();
    this.#management.stay();
    this.#isCopying = false;
    clearTimeout(this.#notesTimer);
    if (this.#ports.core.divide === this.#share) this.#ports.core.divide = undefined;
    this.link.close();
  }

  /**
   * Gives everything away, in one step: from now on this process handles what it has begun, and sends by the next one.
   *
   * @param wanted the sockets that the next process takes
   */
  switch(wanted: readonly string[]): void {
    const { balancer, dialogs, dispatch, core, feeds, layer, listeners } = this.#ports;
    this.hasSwitched = true;
    core.dialogs.pings = undefined;
    for (const dialog of dialogs.list()) {
      dialog.pinged?.stop();
      // What a call counts may have changed since something else of it did, while its destination is being chosen.
      if (dialog.pending !== undefined) this.#changed.set(dialog.did, undefined);
    }
    this.#tell();
    let keys: string[] = [];
    for (const key of layer.knownRequests()) {
      keys.push(key);
      if (keys.length === KEYS_CHUNK) {
        this.link.send({ kind: "keys", keys });
        keys = [];
      }
    }
    this.link.send({ kind: "keys", keys });
    listeners.divert((listener, text, to, owner) => this.#send(listener, text, to, owner));
    const fed = { fed: fedCapacities(balancer), withdrawals: feeds?.withdrawals() ?? [] };
    this.link.send({ kind: "switched", statuses: this.#statuses(), ...fed, dispatch: dispatch.told() });
    this.#share.hasSwitched = true;
    for (const dialog of dialogs.list()) if (dialog.pending === undefined) this.#give(dialog);
    void this.#giveSockets(wanted);
  }

  /** A destination went up or down by what this process still does. */
  statusChanged({ destination, cause }: StatusChange): void {
    if (this.hasSwitched) this.link.send({ kind: "statuses", statuses: [this.#statusOf(destination)], cause });
  }

  /** Runs a management method there. */
  manage(method: string, params: MethodParams | undefined, { name, client }: AskerElsewhere): Promise<MethodOutcome> {
    const id = ++this.#lastRequest;
    return new Promise((resolve) => {
      this.#requests.set(id, resolve);
      this.link.send({ kind: "manage", id, method, params, asker: { name, client } });
    });
  }

  /** The calls that were written down here are free for the next process. @param whole name of the file, when it has all of them */
  async released(whole: string | undefined): Promise<void> {
    this.link.send({ kind: "released", whole });
    this.#isReleased = true;
    const given = [...this.#ports.dialogs.list()].filter((dialog) => this.#given.has(dialog));
    for (let i = 0; i < given.length; i += CHUNK) {
      this.#loads.give(given.slice(i, i + CHUNK));
      await new Promise((resolve) => setImmediate(resolve)); // calls get their turn
    }
  }

  /** Resolves when nothing that was begun here is left, or the time is over: true, and false. */
  async untilDone(timeoutMs: number): Promise<boolean> {
    const { nowMs, layer, core, dialogs, listeners } = this.#ports;
    const untilMs = nowMs() + timeoutMs;
    for (;;) {
      for (const id of this.#connections.ended()) this.#gone(id);
      const isBusy =
        layer.serverCount + layer.clientCount + core.abandoned.size > 0 || [...dialogs.list()].some(({ pending }) => pending !== undefined);
      if (!isBusy) endQuiet(listeners, nowMs());
      if (!isBusy && [...listeners.connections()].length === 0) return true;
      if (nowMs() >= untilMs || !this.link.isOpen) return false;
      await sleep(POLL_MS);
    }
  }

  /** Resolves when everybody who has asked management here was answered, and those who watch know of the next process; or when the time is over. */
  async untilAnswered(timeoutMs: number): Promise<void> {
    await Promise.all([this.#management.untilEmpty(timeoutMs), within(this.#announced.promise, timeoutMs)]);
  }

  /** Each change of a call is told from now on. @returns how to take that back */
  #listen(): () => void {
    const { dialogs } = this.#ports;
    const { changeListeners, onState, byes } = dialogs;
    const tell = (dialog: Dialog): void => {
      if (this.#given.has(dialog)) this.#stopTimer(dialog); // something that was under way here has started it again
      this.#note(dialog.did, undefined);
    };
    const tellOver = (dialog: Dialog): void => this.#note(dialog.did, dialog.endReason);
    changeListeners.push(tell);
    byes.listeners.push(tellOver);
    dialogs.onState = (dialog, before) => {
      // Events, and what is written down, are matters of the next process then.
      if (!this.hasSwitched) onState?.(dialog, before);
      this.#note(dialog.did, dialog.state === DialogState.Deleted ? dialog.endReason : undefined);
    };
    return () => {
      changeListeners.splice(changeListeners.indexOf(tell), 1);
      byes.listeners.splice(byes.listeners.indexOf(tellOver), 1);
      dialogs.onState = onState;
    };
  }

  #note(did: string, endReason: string | undefined): void {
    if (!this.#isCopying) return;
    this.#changed.set(did, endReason);
    this.#notesTimer ??= setTimeout(() => this.#tell(), NOTES_MS);
  }

  /** Tells what has changed. What is sent after it comes after it. */
  #tell(): void {
    clearTimeout(this.#notesTimer);
    this.#notesTimer = undefined;
    let notes: CallNote[] = [];
    for (const [did, endReason] of this.#changed) {
      const dialog = this.#ports.dialogs.byDid(did);
      notes.push(dialog === undefined ? this.#noteOfOver(did, endReason ?? "") : this.#noteOf(dialog));
      if (this.hasSwitched && dialog !== undefined && dialog.pending === undefined) this.#give(dialog);
      if (notes.length < CHUNK) continue;
      this.link.send({ kind: "calls", notes });
      notes = [];
    }
    this.#changed.clear();
    if (notes.length > 0) this.link.send({ kind: "calls", notes });
  }

  #noteOf(dialog: Dialog): CallNote {
    const { did, pending, hasSessionTimer, callerSession, calleeSession, callerEndpoint, calleeEndpoint } = dialog;
    return {
      did,
      body: bodyOf({ snapshot: snapshotOf(dialog), held: this.#ports.balancer.held(dialog.load) }, 0),
      ...{ isPending: pending !== undefined, isGiven: this.#given.has(dialog) },
      ...{ hasSessionTimer, callerSession, calleeSession },
      callerConnection: this.#connections.idOf(callerEndpoint.connection),
      calleeConnection: this.#connections.idOf(calleeEndpoint?.connection),
    };
  }

  #noteOfOver(did: string, endReason: string): CallNote {
    const dialog = this.#ports.dialogs.lingering(did);
    return { did, endReason, body: dialog && bodyOf({ snapshot: snapshotOf(dialog), held: [] }, 0) };
  }

  #received(message: FromNext): void {
    try {
      this.#handle(message);
    } catch (error) {
      this.#ports.log.error({ err: error, kind: message.kind }, "cannot process what the next process says: internal error");
    }
  }

  /** Asked to stop everything, as the next process is. */
  onStop: () => void = () => undefined;
  /** It has greeted. @param hasCluster it is to be part of a cluster */
  onHello: (hello: FromNext & { kind: "hello" }) => void = () => undefined;

  #handle(message: FromNext): void {
    switch (message.kind) {
      case "hello":
        this.onHello(message);
        return;
      case "copy":
        void this.#copy();
        return;
      case "ready":
        this.onReady(message.wanted);
        return;
      case "message":
        this.#take(message);
        return;
      case "unsent":
        this.#senders.failed(message.id, message.reason);
        return;
      case "write":
        if (!this.#connections.write(message.connection, message.text)) this.#gone(message.connection);
        return;
      case "loads":
        this.#loads.told(message.loads);
        return;
      case "managed":
        this.#requests.get(message.id)?.(message.outcome);
        this.#requests.delete(message.id);
        return;
      case "announced":
        this.#announced.resolve();
        return;
      case "stop":
        this.onStop();
        return;
    }
  }

  async #copy(): Promise<void> {
    const { core, settle, dialogs, balancer } = this.#ports;
    this.hasAsked = true;
    core.divide = this.#share;
    await Promise.allSettled(settle());
    this.#isCopying = true;
    for (const { did, endReason } of dialogs.byes.list()) this.#changed.set(did, endReason);
    let rest = CHUNK;
    for (const { did } of dialogs.list()) {
      this.#changed.set(did, undefined);
      if (--rest > 0) continue;
      rest = CHUNK;
      this.#tell();
      await new Promise((resolve) => setImmediate(resolve)); // calls get their turn
    }
    this.#tell();
    this.link.send({ kind: "copied", capacities: resizedCapacities(balancer), statuses: this.#statuses() });
  }

  #statuses(): StatusNote[] {
    return this.#ports.balancer.destinations().map((destination) => this.#statusOf(destination));
  }

  #statusOf(destination: StatusChange["destination"]): StatusNote {
    const { balancer } = this.#ports;
    return [destination.key, balancer.isEnabled(destination), balancer.isAutoReenable(destination), balancer.restMs(destination)];
  }

  /** The next process has the call, and what it counts: nothing of it runs here any more but requests inside it that are under way. */
  #give(dialog: Dialog): void {
    if (this.#given.has(dialog)) return;
    this.#given.add(dialog);
    this.#stopTimer(dialog);
    if (this.#isReleased) this.#loads.give([dialog]);
  }

  /** A callee has hung up before the caller knew of the call, or the call raced with its CANCEL: then it is this process that hangs up in a moment. */
  #stopTimer(dialog: Dialog): void {
    if (dialog.expiryReason === "Lifetime Timeout") this.#ports.core.wheel.cancel(dialog);
  }

  async #giveSockets(wanted: readonly string[]): Promise<void> {
    const { listeners, log, management } = this.#ports;
    for (const name of wanted) {
      try {
        const handle = name === MANAGEMENT ? management.server() : listeners.handleOf(name);
        if (handle === undefined) continue;
        await this.link.sendHandle({ kind: "handle", name }, handle as SendHandle);
      } catch (error) {
        log.error({ err: error }, `cannot give the socket of ${name} to the next process: what comes there is handed on`);
        continue;
      }
      // Closed only now: until the other one has it, what comes is read here and handed on.
      if (name === MANAGEMENT) this.#management.leave();
      else listeners.release(name);
    }
    if (!wanted.includes(MANAGEMENT)) this.#management.leave();
    for (const { configured } of listeners.places()) if (!wanted.includes(configured)) listeners.release(configured);
  }

  #send(listener: string, text: string, { address, port }: Endpoint, owner: SendOwner | undefined): void {
    this.#tell(); // the next process knows of a call before its parties do
    const id = this.#senders.note(owner);
    this.link.send({ kind: "send", listener, text, address, port, id });
  }

  #pass(text: string, source: Endpoint, isReturned: boolean): void {
    if (this.link.isBehind) return; // as if it were lost on the wire
    this.#tell(); // it may be of a call that the next process does not know yet
    const { listeners } = this.#ports;
    const { listener, address, port, connection } = source;
    this.link.send({
      kind: "message",
      text,
      listener: listeners.nameOf(listener),
      address,
      port,
      connection: this.#connections.idOf(connection),
      isReturned,
    });
  }

  #gone(connection: number): void {
    this.link.send({ kind: "gone", connection });
  }

  #take({ text, listener, address, port, connection: id }: PassedMessage): void {
    const found = this.#ports.listeners.find(listener);
    if (found === undefined) return;
    const connection = this.#connections.get(id);
    this.#ports.proxy.receive(text, { transport: found.transport, address, port, listener: found, ...(connection && { connection }) });
  }
}
