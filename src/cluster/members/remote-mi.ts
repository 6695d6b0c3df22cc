import { randomUUID } from "node:crypto";
import { Type } from "typebox";
import type { Keys } from "../keys.ts";
import type { ClusterClock, ClusterLink, NodeIdentity } from "../ports.ts";
import { MAX_WIRE_CHARS, type Wire } from "../wire.ts";

/** How long a node may take to answer, in milliseconds. */
export const ANSWER_WAIT_MS = 3_000;
/** Longest request: one HTTP body with a method is not longer either. */
export const MAX_REQUEST_CHARS = 65_536;
/** Methods run for other nodes at the same time; they run on the thread that carries the calls. */
export const MAX_RUNNING = 16;
/** Requests of this node that wait for answers. */
export const MAX_ASKING = 16;
/** What the answers to one request may have together, in characters: those of 60 nodes that say as much as they can. */
export const MAX_ANSWERS_CHARS = 16_777_216;
/** A request that is older was held up on its way, such as by a process that was stopped: who sent it counts on it no more. */
export const MAX_AGE_MS = 10_000;
/** Requests that are remembered so that none is run twice. */
export const MAX_REMEMBERED = 4_096;
const MAX_METHOD_CHARS = 128;
const MAX_ID_CHARS = 64;
/** Of the name of who asks, which is that of a token; what is longer is cut off. */
const MAX_BY_CHARS = 128;
/** Room for what stands around an answer in its message. */
const FRAME_CHARS = 512;

/** Methods that ask other nodes: run for another node, each of them would do so again. */
const LOCAL_ONLY: ReadonlySet<string> = new Set(["clusterer:broadcast_mi", "cluster_broadcast_mi", "clusterer:send_mi", "cluster_send_mi"]);

const RequestSchema = Type.Object(
  {
    id: Type.String({ minLength: 1, maxLength: MAX_ID_CHARS }),
    /** 0: every node. */
    to: Type.Integer({ minimum: 0 }),
    /** By the clock of Redis, milliseconds since 1970. */
    atMs: Type.Number(),
    method: Type.String({ minLength: 1, maxLength: MAX_METHOD_CHARS }),
    /** Who asked the node. */
    by: Type.Optional(Type.String({ maxLength: MAX_BY_CHARS })),
    params: Type.Optional(Type.Union([Type.Array(Type.Unknown()), Type.Record(Type.String(), Type.Unknown())])),
  },
  { additionalProperties: false },
);

const AnswerSchema = Type.Object(
  {
    id: Type.String({ minLength: 1, maxLength: MAX_ID_CHARS }),
    result: Type.Optional(Type.Unknown()),
    error: Type.Optional(
      Type.Object({ code: Type.Integer(), message: Type.String(), data: Type.Optional(Type.Unknown()) }, { additionalProperties: false }),
    ),
  },
  { additionalProperties: false },
);

/** Parameters of a method, by position or by name. */
export type RemoteParams = readonly unknown[] | Readonly<Record<string, unknown>>;

/** What a method answered: JSON-RPC's own members. */
export type RemoteOutcome =
  | { readonly result: unknown }
  | { readonly error: { readonly code: number; readonly message: string; readonly data?: unknown } };

/** What one node of several answered. */
export type RemoteNodeOutcome = { readonly nodeId: number } & RemoteOutcome;

/** What is asked of the membership. */
export interface RemoteMembers {
  nodes(): readonly (Pick<NodeIdentity, "nodeId" | "incarnation"> & { readonly isAlive: boolean })[];
  /** Milliseconds since 1970 by the clock of Redis. */
  redisNowMs(): number;
}

export interface RemoteMiPorts {
  readonly link: ClusterLink;
  readonly keys: Keys;
  readonly wire: Wire;
  readonly self: Pick<NodeIdentity, "nodeId" | "incarnation">;
  readonly clock: ClusterClock;
  readonly members: RemoteMembers;
  /** Runs a method here. Never rejects. @param fromNode which node asks @param by who asked it */
  run(method: string, params: RemoteParams | undefined, fromNode: number, by?: string): Promise<RemoteOutcome>;
}

/** What came of requests to and from other nodes. */
export class RemoteMiCounters {
  /** Requests of this node to others, and answers that did not come in time. */
  mi_asked = 0;
  mi_timeouts = 0;
  /** Methods run for other nodes. */
  mi_run = 0;
  /** Answers that nobody waits for: of an unknown request, of a node that was not asked, or a second one. */
  mi_answers_ignored = 0;
  mi_answers_too_long = 0;
  mi_not_for_this_node = 0;
  mi_refused_too_long = 0;
  /** Of a node that is no living member, or of an earlier process of one. */
  mi_refused_stranger = 0;
  mi_refused_late = 0;
  mi_refused_twice = 0;
  mi_refused_method = 0;
  mi_refused_busy = 0;
}

/** A method that is to be run, as a request has it. */
interface Wish {
  readonly method: string;
  readonly params?: RemoteParams;
  readonly by?: string;
}

interface Asked {
  /** Who has not answered yet. */
  readonly waiting: Map<number, (outcome: RemoteOutcome) => void>;
  charsLeft: number;
}

/** Runs management methods on other nodes, and theirs here. Whoever can write to Redis can run a method so: Redis is to be guarded as management is. */
export class RemoteMi {
  readonly counters = new RemoteMiCounters();
  readonly #ports: RemoteMiPorts;
  readonly #asked = new Map<string, Asked>();
  readonly #remembered = new Set<string>();
  #running = 0;

  constructor(ports: RemoteMiPorts) {
    this.#ports = ports;
    const { link, keys, self } = ports;
    link.subscribe(keys.channel("mi"), (message) => this.#request(message));
    link.subscribe(keys.channelOf(self.nodeId), (message) => this.#answer(message));
  }

  /** Runs a method on each living node, this one too; answers in the order of their ids. A node that does not answer is an error entry. Never rejects. @param by who asks */
  async broadcast(method: string, params: RemoteParams | undefined, by?: string): Promise<readonly RemoteNodeOutcome[]> {
    const { self, members } = this.#ports;
    const others = members.nodes().filter(({ nodeId, isAlive }) => isAlive && nodeId !== self.nodeId);
    const ids = others.map(({ nodeId }) => nodeId);
    const wanted = wish(method, params, by);
    const answers = this.#ask(0, ids, wanted);
    answers.push([self.nodeId, LOCAL_ONLY.has(method) ? Promise.resolve(NOT_REMOTE) : this.#runHere(wanted)]);
    const outcomes = await Promise.all(answers.map(async ([nodeId, answer]) => ({ nodeId, ...(await answer) })));
    return outcomes.sort((a, b) => a.nodeId - b.nodeId);
  }

  /** Runs a method on one node, this one or another. Never rejects; `undefined`: there is no living node of this id. @param by who asks */
  async send(nodeId: number, method: string, params: RemoteParams | undefined, by?: string): Promise<RemoteOutcome | undefined> {
    const { self, members } = this.#ports;
    const wanted = wish(method, params, by);
    if (nodeId === self.nodeId) return LOCAL_ONLY.has(method) ? NOT_REMOTE : this.#runHere(wanted);
    if (!members.nodes().some((node) => node.nodeId === nodeId && node.isAlive)) return undefined;
    const [only] = this.#ask(nodeId, [nodeId], wanted);
    return only?.[1];
  }

  /** @param to 0 for all */
  #ask(to: number, nodeIds: readonly number[], wanted: Wish): [number, Promise<RemoteOutcome>][] {
    if (nodeIds.length === 0) return [];
    const { link, keys, wire, clock, members } = this.#ports;
    const id = randomUUID();
    const request = { id, to, atMs: members.redisNowMs(), ...wanted };
    const message = textOf(() => wire.encode(request));
    const refusal = this.#refusalOf(wanted.method, message);
    if (refusal !== undefined || message === undefined) return nodeIds.map((nodeId) => [nodeId, Promise.resolve(refusal ?? NOT_REMOTE)]);
    this.counters.mi_asked++;
    const asked: Asked = { waiting: new Map(), charsLeft: MAX_ANSWERS_CHARS };
    this.#asked.set(id, asked);
    const answers = nodeIds.map((nodeId): [number, Promise<RemoteOutcome>] => [
      nodeId,
      new Promise((resolve) => asked.waiting.set(nodeId, resolve)),
    ]);
    const stop = clock.after(ANSWER_WAIT_MS, () => {
      this.counters.mi_timeouts += asked.waiting.size;
      for (const resolve of asked.waiting.values()) resolve(failure(`No answer within ${ANSWER_WAIT_MS} ms`));
    });
    void Promise.all(answers.map(([, answer]) => answer)).then(() => {
      stop();
      this.#asked.delete(id);
    });
    link.publish(keys.channel("mi"), message);
    return answers;
  }

  /** Why a request is not sent, as the answer of each node. */
  #refusalOf(method: string, message: string | undefined): RemoteOutcome | undefined {
    if (LOCAL_ONLY.has(method)) return NOT_REMOTE;
    if (!this.#ports.link.isUp) return failure("Not sent: Redis is lost");
    if (method === "" || method.length > MAX_METHOD_CHARS) return failure(`Not sent: a method has 1 to ${MAX_METHOD_CHARS} characters`);
    if (message === undefined) return failure("Not sent: the parameters are nested too deeply");
    if (message.length > MAX_REQUEST_CHARS) return failure(`Not sent: the request is longer than ${MAX_REQUEST_CHARS} characters`);
    if (this.#asked.size >= MAX_ASKING) return failure(`Not sent: ${MAX_ASKING} requests are under way`);
    return undefined;
  }

  async #runHere({ method, params, by }: Wish): Promise<RemoteOutcome> {
    const { clock, run, self } = this.#ports;
    const late = Promise.withResolvers<RemoteOutcome>();
    const stop = clock.after(ANSWER_WAIT_MS, () => {
      this.counters.mi_timeouts++;
      late.resolve(failure(`No answer within ${ANSWER_WAIT_MS} ms: it may still finish`));
    });
    try {
      return await Promise.race([run(method, params, self.nodeId, by), late.promise]);
    } finally {
      stop();
    }
  }

  #request(message: string): void {
    const { wire, self, members } = this.#ports;
    const { counters } = this;
    if (message.length > MAX_REQUEST_CHARS) return void counters.mi_refused_too_long++;
    const received = wire.decode(RequestSchema, message);
    if (received === undefined) return;
    const { nodeId, incarnation, body } = received;
    if (nodeId === self.nodeId && incarnation === self.incarnation) return; // this node has run it already
    if (!this.#isMember(nodeId, incarnation)) return void counters.mi_refused_stranger++;
    if (body.to !== 0 && body.to !== self.nodeId) return void counters.mi_not_for_this_node++;
    if (Math.abs(members.redisNowMs() - body.atMs) > MAX_AGE_MS) return void counters.mi_refused_late++;
    if (!this.#isNew(`${nodeId} ${body.id}`)) return void counters.mi_refused_twice++;
    if (LOCAL_ONLY.has(body.method)) {
      counters.mi_refused_method++;
      this.#tell(nodeId, body.id, NOT_REMOTE);
    } else if (this.#running >= MAX_RUNNING) {
      counters.mi_refused_busy++;
      this.#tell(nodeId, body.id, failure(`Not run: ${MAX_RUNNING} methods run for other nodes`));
    } else {
      void this.#runFor(nodeId, body.id, wish(body.method, body.params as RemoteParams | undefined, body.by));
    }
  }

  async #runFor(nodeId: number, id: string, { method, params, by }: Wish): Promise<void> {
    this.counters.mi_run++;
    this.#running++;
    try {
      this.#tell(nodeId, id, await this.#ports.run(method, params, nodeId, by));
    } catch {
      this.#tell(nodeId, id, failure("Command failed, the log of the node says why"));
    } finally {
      this.#running--;
    }
  }

  #tell(nodeId: number, id: string, outcome: RemoteOutcome): void {
    const { link, keys, wire } = this.#ports;
    let message = wire.encode({ id, ...outcome });
    if (message.length > MAX_WIRE_CHARS - FRAME_CHARS) {
      this.counters.mi_answers_too_long++;
      message = wire.encode({ id, ...failure("The answer is too long to be sent: ask the node itself") });
    }
    link.publish(keys.channelOf(nodeId), message);
  }

  #answer(message: string): void {
    const received = this.#ports.wire.decode(AnswerSchema, message);
    if (received === undefined) return;
    const { nodeId, incarnation, body } = received;
    const asked = this.#asked.get(body.id);
    const resolve = asked?.waiting.get(nodeId);
    if (asked === undefined || resolve === undefined || !this.#isMember(nodeId, incarnation))
      return void this.counters.mi_answers_ignored++;
    asked.waiting.delete(nodeId);
    asked.charsLeft -= message.length;
    if (asked.charsLeft < 0) resolve(failure(`Left out: the answers are longer than ${MAX_ANSWERS_CHARS} characters`));
    else resolve(body.error === undefined ? { result: body.result ?? null } : { error: body.error });
  }

  #isMember(nodeId: number, incarnation: string): boolean {
    return this.#ports.members.nodes().some((node) => node.nodeId === nodeId && node.isAlive && node.incarnation === incarnation);
  }

  #isNew(key: string): boolean {
    if (this.#remembered.has(key)) return false;
    const [oldest] = this.#remembered.keys();
    if (oldest !== undefined && this.#remembered.size >= MAX_REMEMBERED) this.#remembered.delete(oldest);
    this.#remembered.add(key);
    return true;
  }
}

function wish(method: string, params: RemoteParams | undefined, by: string | undefined): Wish {
  return { method, ...(params && { params }), ...(by !== undefined && { by: by.slice(0, MAX_BY_CHARS) }) };
}

const NOT_REMOTE: RemoteOutcome = { error: { code: 400, message: "Command cannot be run for another node" } };

/** Text of something that came from outside; undefined when it is nested so deeply that it has none. */
function textOf(encode: () => string): string | undefined {
  try {
    return encode();
  } catch {
    return undefined;
  }
}

/** As management says that a method failed: code -32000 with the reason. */
function failure(data: string): RemoteOutcome {
  return { error: { code: -32000, message: "Server error", data } };
}
