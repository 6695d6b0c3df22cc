import type { Server } from "node:net";
import type { Balancer, Destination, StatusCause } from "../../balancer/index.ts";
import type { Config } from "../../config/index.ts";
import { DialogState, type DialogTable } from "../../dialog/index.ts";
import type { ManagementServer } from "../../management/index.ts";
import { type Log, type ProxyCore, ShareOfFormer, type SipProxy } from "../../proxy/index.ts";
import type { SavedCapacity } from "../../store/index.ts";
import type { Endpoint } from "../../transaction/index.ts";
import type { SipNetwork } from "../../transport/network.ts";
import type { FreeswitchFeeds } from "../freeswitch-feeds.ts";
import { adoptFedCapacities, type CapacityPorts, restoreCapacities } from "../kept-capacities.ts";
import type { ListenerPlace, Listeners } from "../listeners.ts";
import { LentConnections } from "./lent-connections.ts";
import {
  type CallNote,
  type DispatchNote,
  type FromFormer,
  type FromNext,
  HANDOVER_VERSION,
  type LoadNote,
  MANAGEMENT,
  type PassedMessage,
  type StatusNote,
} from "./messages.ts";
import { type Channel, ProcessLink } from "./process-link.ts";
import { TakenCalls } from "./taken-calls.ts";

/** How long the former process may take for one step, ms. */
const STEP_MS = 20_000;
/** How often the loads are told to the former process while it still routes calls, ms. */
const LOADS_MS = 100;

export interface FormerProcessPorts {
  readonly dialogs: DialogTable;
  readonly balancer: Balancer & CapacityPorts;
  readonly network: SipNetwork;
  readonly listeners: Listeners;
  readonly log: Log;
}

export interface TakeOverPorts {
  readonly core: ProxyCore;
  readonly proxy: Pick<SipProxy, "receive">;
  readonly feeds: Pick<FreeswitchFeeds, "adoptWithdrawals"> | undefined;
  readonly config: Pick<Config, "sip" | "mi_http">;
  readonly management: Pick<ManagementServer, "attach" | "open" | "run">;
  readonly dispatch: { adopt(note: DispatchNote): void };
  /** Is called in the step in which this process is the one that takes SIP. */
  readonly begin: () => void;
}

/** The process that this one takes over from. */
export class FormerProcess {
  /** What it listens on. */
  readonly listeners: readonly ListenerPlace[];
  /** True while what it tells is put into force: such a change of a status is no news. */
  isApplying = false;
  readonly #link: ProcessLink<FromNext, FromFormer>;
  /** Where it has its management interface, as the configuration says. */
  readonly management: string;
  #ports: FormerProcessPorts | undefined;
  #calls: TakenCalls | undefined;
  #parts: TakeOverPorts | undefined;
  #share: ShareOfFormer | undefined;
  /** What is known of each call, until the first table is there; undefined from then on. */
  #notes: Map<string, CallNote> | undefined = new Map();
  #capacities: readonly SavedCapacity[] = [];
  #statuses: readonly StatusNote[] = [];
  readonly #lent = new LentConnections((connection, text) => this.#link.send({ kind: "write", connection, text }));
  /** The take-over has come to its end. */
  #isOver = false;
  /** Sockets that are still to come. */
  #missing = new Set<string>();
  /** Wait for a step, by its name; they are told undefined when it was done, else why not. */
  readonly #waiting = new Map<string, (reason: string | undefined) => void>();
  #undivide: () => void = () => undefined;
  #loadsTimer: NodeJS.Timeout | undefined;
  readonly #released = Promise.withResolvers<string | undefined>();
  readonly #over = Promise.withResolvers<void>();

  /**
   * Tells the process at the other end that this one is there.
   *
   * @throws Error with a sentence when it refuses, or does not answer
   */
  static async greet(channel: Channel, hasCluster: boolean): Promise<FormerProcess> {
    const link = new ProcessLink<FromNext, FromFormer>(channel);
    const begin = await new Promise<FromFormer & { kind: "begin" }>((resolve, reject) => {
      const fail = (reason: string): void => reject(new Error(`Cannot take over: ${reason}`));
      const timer = setTimeout(() => fail(`the former process does not answer within ${STEP_MS / 1000} s`), STEP_MS);
      link.onEnd = () => fail("the former process has ended");
      link.onMessage = (message) => {
        clearTimeout(timer);
        if (message.kind === "refused") fail(message.reason);
        else if (message.kind !== "begin" || message.version !== HANDOVER_VERSION) fail("the former process is of another version");
        else resolve(message);
      };
      link.send({ kind: "hello", version: HANDOVER_VERSION, hasCluster });
    });
    return new FormerProcess(link, begin);
  }

  private constructor(link: ProcessLink<FromNext, FromFormer>, { listeners, management }: FromFormer & { kind: "begin" }) {
    this.#link = link;
    this.listeners = listeners;
    this.management = management;
    link.onMessage = (message, handle) => this.#received(message, handle);
    link.onEnd = () => this.#ended();
  }

  /** This process is the one that takes SIP, and that writes calls down. */
  hasSwitched = false;

  /** Resolves when it has closed the file of calls, or has ended: with the name of the file when all is in it. */
  get released(): Promise<string | undefined> {
    return this.#released.promise;
  }

  /** What `lb_resize` has set there. */
  get capacities(): readonly SavedCapacity[] {
    return this.#capacities;
  }

  /**
   * Has it write down what it writes down, and tell its calls; from now on it tells each change.
   *
   * @throws Error when it cannot, or has ended
   */
  async copy({ names, ...ports }: FormerProcessPorts & { readonly names: Promise<unknown> }): Promise<void> {
    await names; // what has to be looked up is known then, and the table is read in no time later
    this.#ports = ports;
    this.#calls = new TakenCalls(ports, this.#lent, (did) => this.#share === undefined || this.#share.calls.has(did));
    ports.network.lent = (transport, address, port) => this.#lent.at(transport, address, port);
    this.#link.send({ kind: "copy" });
    await this.#step("copied");
  }

  /** To be called for each table: calls, statuses and capacities are put into force with the first one. */
  tableChanged(): void {
    const notes = this.#notes;
    if (notes === undefined || this.#ports === undefined) return;
    this.#notes = undefined;
    const { balancer, log } = this.#ports;
    restoreCapacities(balancer, this.#capacities);
    this.#adoptStatuses(this.#statuses);
    for (const note of notes.values()) this.#calls?.apply(note);
    log.info({ calls: this.#ports.dialogs.size }, "Ongoing calls were taken over from the former process");
  }

  /**
   * Takes the sockets and everything that comes from now on.
   *
   * @throws Error when the former process does not give them, and goes on itself
   */
  async takeOver(parts: TakeOverPorts): Promise<void> {
    const { core, config } = parts;
    this.#parts = parts;
    const share = new ShareOfFormer(core, (text, source) => this.#pass(text, source, false));
    this.#share = share;
    for (const did of this.#pending) share.calls.add(did);
    core.divide = share;
    this.#undivide = () => {
      core.divide = undefined;
    };
    const hasManagement = config.mi_http.listen === this.management;
    const names = this.listeners.map(({ configured }) => configured).filter((configured) => config.sip.listen.includes(configured));
    const wanted = hasManagement ? [...names, MANAGEMENT] : names;
    const sockets = wanted.map((name) =>
      this.#step(name).then(
        () => this.#missing.delete(name),
        (error: unknown) => this.#ports?.log.error({ err: error }, `the socket of ${name} has not come`),
      ),
    );
    this.#missing = new Set(wanted);
    this.#waitForAnswers();
    this.#link.send({ kind: "ready", wanted });
    await this.#step("switched");
    await Promise.all(sockets);
    if (!this.#link.isOpen) await this.#openMissing();
    this.#isOver = true;
  }

  /**
   * Opens what the former process was about to give when it ended.
   *
   * @throws Error when somebody else has the place
   */
  async #openMissing(): Promise<void> {
    for (const name of this.#missing) {
      this.#missing.delete(name);
      if (name === MANAGEMENT) await this.#parts?.management.open();
      else await this.#ports?.listeners.openAnew(name);
      this.#ports?.log.warn({}, `${name} was opened anew: the former process has ended without giving its socket away`);
    }
  }

  /** Whether a call that rings was answered in time is for the former process to say, as long as it handles its INVITE. */
  #waitForAnswers(): void {
    const { dialogs } = this.#ports!;
    const ask = dialogs.onUnanswered;
    dialogs.onUnanswered = (dialog) => (this.#share?.calls.has(dialog.did) ? dialogs.earlyLifetimeMs : ask?.(dialog));
  }

  /** Has it end its calls that still ring, and its requests; resolves when it has ended. */
  async stop(): Promise<void> {
    if (!this.#link.isOpen) return;
    this.#link.send({ kind: "stop" });
    await this.#over.promise;
  }

  /** Those who watch over the program know of this process: the end of the other one is no end of the program. */
  announced(): void {
    this.#link.send({ kind: "announced" });
  }

  /** Whether it still has something under way. */
  get isThere(): boolean {
    return this.#link.isOpen;
  }

  /** Calls that it still sets up. */
  readonly #pending = new Set<string>();

  #step(name: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (reason: string | undefined): void => {
        clearTimeout(timer);
        this.#waiting.delete(name);
        if (reason === undefined) resolve();
        else reject(new Error(`Cannot take over: ${reason}`));
      };
      const timer = setTimeout(() => done(`the former process does not get to "${name}" within ${STEP_MS / 1000} s`), STEP_MS);
      this.#waiting.set(name, done);
      if (!this.#link.isOpen) done("the former process has ended");
    });
  }

  #received(message: FromFormer, handle: unknown): void {
    try {
      this.#handle(message, handle);
    } catch (error) {
      this.#ports?.log.error({ err: error, kind: message.kind }, "cannot process what the former process says: internal error");
    }
  }

  #handle(message: FromFormer, handle: unknown): void {
    switch (message.kind) {
      case "calls":
        for (const note of message.notes) this.#note(note);
        return;
      case "copied":
        [this.#capacities, this.#statuses] = [message.capacities, message.statuses];
        this.#waiting.get("copied")?.(undefined);
        return;
      case "keys":
        this.#share?.note(message.keys);
        return;
      case "switched":
        this.#adoptStatuses(message.statuses);
        adoptFedCapacities(this.#ports!.balancer, message.fed);
        if (message.dispatch !== undefined) this.#parts?.dispatch.adopt(message.dispatch);
        this.#parts?.feeds?.adoptWithdrawals(message.withdrawals);
        this.hasSwitched = true;
        this.#parts?.begin();
        this.#loadsTimer = setInterval(() => this.#tellLoads(), LOADS_MS).unref();
        this.#waiting.get("switched")?.(undefined);
        return;
      case "handle":
        if (message.name === MANAGEMENT) this.#parts?.management.attach(handle as Server);
        else this.#ports?.listeners.attach(message.name, handle);
        this.#waiting.get(message.name)?.(undefined);
        return;
      case "statuses":
        this.#adoptStatuses(message.statuses, message.cause);
        return;
      case "send":
        this.#send(message);
        return;
      case "message":
        this.#take(message);
        return;
      case "released":
        this.#released.resolve(message.whole);
        return;
      case "gone":
        this.#lent.ended(message.connection);
        return;
      case "refused":
        for (const done of [...this.#waiting.values()]) done(message.reason);
        return;
      case "manage": {
        const { id, method, params, asker } = message;
        void this.#parts?.management.run(method, params, asker).then((outcome) => this.#link.send({ kind: "managed", id, outcome }));
        return;
      }
      case "begin":
        return;
    }
  }

  #note(note: CallNote): void {
    const isPending = "isPending" in note && note.isPending;
    if (isPending) this.#pending.add(note.did);
    else this.#pending.delete(note.did);
    if (this.#notes !== undefined) {
      if ("endReason" in note && note.body === undefined) this.#notes.delete(note.did);
      else this.#notes.set(note.did, note);
      return;
    }
    this.#calls?.apply(note);
    if (isPending) this.#share?.calls.add(note.did);
    else this.#share?.calls.delete(note.did);
  }

  /** @param cause of what has changed just now; left out: it has been so for a while, and is no news */
  #adoptStatuses(statuses: readonly StatusNote[], cause?: StatusCause): void {
    const { balancer } = this.#ports!;
    if (this.#notes !== undefined && balancer.destinations().length === 0) return;
    const byKey = new Map<string, Destination>(balancer.destinations().map((destination) => [destination.key, destination]));
    this.isApplying = cause === undefined;
    try {
      for (const [key, enabled, autoReenable, restMs] of statuses) {
        const destination = byKey.get(key);
        if (destination === undefined || balancer.isDraining(destination)) continue;
        if (cause !== undefined) balancer.setStatus(destination.id, enabled, cause);
        else if (balancer.isEnabled(destination) !== enabled || balancer.isAutoReenable(destination) !== autoReenable)
          balancer.adoptStatus(destination.id, { enabled, autoReenable });
        if (restMs > 0) balancer.restUntil(destination.id, performance.now() + restMs);
      }
    } finally {
      this.isApplying = false;
    }
  }

  /** What the former process sends leaves by the socket that it has given. */
  #send({ listener, text, address, port, id }: FromFormer & { kind: "send" }): void {
    const { listeners, network } = this.#ports!;
    const found = listeners.find(listener);
    const to =
      found === undefined ? network.endpoint(address, port, "udp") : { transport: found.transport, address, port, listener: found };
    if (to === undefined) return;
    const owner = id === undefined ? undefined : { transportError: (reason: string) => this.#link.send({ kind: "unsent", id, reason }) };
    network.send(text, to, owner);
  }

  #take({ text, listener, address, port, connection, isReturned }: PassedMessage): void {
    const { listeners, network } = this.#ports!;
    const found = listeners.find(listener) ?? network.listeners[0];
    if (found === undefined) return;
    const endpoint: Endpoint = { transport: found.transport, address, port, listener: found };
    this.#parts?.proxy.receive(text, this.#calls?.on(connection, endpoint) ?? endpoint, isReturned);
  }

  #pass(text: string, source: Endpoint, isReturned: boolean): void {
    if (this.#link.isBehind) return; // as if it were lost on the wire
    const { listener, address, port, connection } = source;
    const id = this.#lent.idOf(connection);
    this.#link.send({
      kind: "message",
      text,
      listener: this.#ports!.listeners.nameOf(listener),
      address,
      port,
      connection: id,
      isReturned,
    });
  }

  /** It still chooses destinations for calls whose first one fails, and has to know what else is counted there. */
  #tellLoads(): void {
    if (this.#share?.calls.size === 0) return;
    const { balancer } = this.#ports!;
    const loads: LoadNote[] = [];
    for (const { key, resources } of balancer.destinations()) {
      for (const { cell, name } of resources) loads.push([key, name, balancer.load(balancer.slotCell(cell))]);
    }
    this.#link.send({ kind: "loads", loads });
  }

  #ended(): void {
    clearInterval(this.#loadsTimer);
    for (const done of [...this.#waiting.values()]) done("the former process has ended");
    this.#released.resolve(undefined);
    this.#over.resolve();
    this.#lent.endAll();
    this.#undivide();
    const share = this.#share;
    if (share === undefined || this.#ports === undefined) return;
    const { dialogs, log } = this.#ports;
    // One that could not be sent, while the former process went on reading it. Those that were still to come are waited for by the take-over.
    if (this.#isOver) this.#openMissing().catch((error: unknown) => log.error({ err: error }, "cannot open a socket anew"));
    const left = [...share.calls].flatMap((did) => dialogs.byDid(did) ?? []);
    share.calls.clear();
    for (const dialog of left) if (dialog.state < DialogState.ConfirmedNoAck) dialogs.orphaned(dialog);
    if (left.length > 0)
      log.warn({ calls: left.length }, "The former process has ended before calls that it had begun were answered: they go on without it");
    else log.info({}, "The former process has ended: everything is handled here now");
  }
}
