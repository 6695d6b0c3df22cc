import { buildResponse, type HeaderList, type SipRequest, type SipResponse } from "../sip/index.ts";
import { type ClientRequest, ClientTransaction, type ClientUser } from "./client-transaction.ts";
import type { Chance, Endpoint, Wire } from "./ports.ts";
import { RequestIndex } from "./request-index.ts";
import { responseTarget, stampedVia } from "./response-routing.ts";
import { ServerTransaction } from "./server-transaction.ts";
import { statelessTag } from "./stateless-tag.ts";
import { State } from "./step.ts";
import type { Timer, TimerOwner, TimerWheel } from "./timer-wheel.ts";

/** Server transactions at a time. Each is held up to 32 s after its end, so this is some 6,000 requests a second; beyond it requests are refused 503. */
export const MAX_SERVER_TRANSACTIONS = 200_000;
/** Requests inside a dialog get a quarter more. */
const IN_DIALOG_RESERVE = 1.25;
/** Seconds that a refused caller is asked to stay away. */
const RETRY_AFTER_S = "5";

/** The core above the transactions (RFC 3261 §17: the TU). */
export interface TransactionUser {
  /** A new request other than ACK and CANCEL. */
  request(transaction: ServerTransaction): void;
  /** An ACK that belongs to no INVITE transaction of ours, or to one that was answered 2xx. */
  ack(request: SipRequest, source: Endpoint): void;
  /** A CANCEL for an INVITE of which there is no transaction. True when it was answered. */
  strayCancel?(transaction: ServerTransaction): boolean;
  /** A response that no client transaction waits for. */
  strayResponse(response: SipResponse): void;
}

/** Plain counters, read by the statistics. */
export class TransactionCounters {
  received_requests = 0;
  received_replies = 0;
  local_replies = 0;
  uas_transactions = 0;
  uac_transactions = 0;
  retransmitted_requests = 0;
  retransmitted_responses = 0;
  /** Copies of requests that a server transaction absorbed. */
  absorbed_requests = 0;
  /** Those of them that were an INVITE: its caller had no answer for half a second (RFC 3261 §17.1.1.2), or it was lost. */
  repeated_invites = 0;
  stray_replies = 0;
  stray_acks = 0;
  merged_requests = 0;
  refused_overload = 0;
}

export interface LayerOptions {
  readonly wire: Wire;
  readonly wheel: TimerWheel;
  readonly chance: Chance;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  readonly maxServerTransactions?: number;
  /** Server header of the responses that we make ourselves (RFC 3261 §20.35); none without it. */
  readonly serverHeader?: string;
}

/** Finds the transaction of each message and makes new ones (RFC 3261 §17.1.3, §17.2.3). */
export class TransactionLayer {
  readonly wire: Wire;
  readonly chance: Chance;
  readonly counters = new TransactionCounters();
  user!: TransactionUser;
  readonly #wheel: TimerWheel;
  readonly #nowMs: () => number;
  readonly #maxServers: number;
  readonly #serverHeader: readonly [string, string] | undefined;
  readonly #servers = new RequestIndex<ServerTransaction>();
  readonly #clients = new Map<string, ClientTransaction>();
  #tagBase: string | undefined;

  constructor(options: LayerOptions) {
    this.wire = options.wire;
    this.chance = options.chance;
    this.#wheel = options.wheel;
    this.#nowMs = options.nowMs;
    this.#serverHeader = options.serverHeader === undefined ? undefined : ["Server", options.serverHeader];
    this.#maxServers = options.maxServerTransactions ?? MAX_SERVER_TRANSACTIONS;
  }

  get serverCount(): number {
    return this.#servers.size;
  }

  /** Requests that still wait for their final response. Looks at all of them: for a stop, not for a message. */
  get unansweredCount(): number {
    let count = 0;
    for (const transaction of this.#servers.all()) if (!transaction.answered) count++;
    return count;
  }

  get clientCount(): number {
    return this.#clients.size;
  }

  /** Requests that are remembered so that merged ones are known: no more than there are server transactions. */
  get mergeableCount(): number {
    return this.#servers.mergeable;
  }

  /** Whether a message belongs to a transaction that is here, or acknowledges a refusal that has left none. */
  owns(message: SipRequest | SipResponse): boolean {
    if (message.kind === "response") {
      const { cseqMethod, topVia } = message as SipResponse;
      return this.#clients.has(clientKey(cseqMethod, topVia.branch));
    }
    const request = message as SipRequest;
    if (request.method === "ACK" && this.#isOfStatelessRefusal(request)) return true;
    const { method } = request;
    if (method !== "ACK" && this.#servers.find(request, method) !== undefined) return true;
    if (method === "ACK" || method === "CANCEL") return this.#servers.find(request, "INVITE") !== undefined;
    return request.toTag === "" && this.#servers.findMergeable(request) !== undefined;
  }

  /** By what requests that are remembered here are known: see `requestKeys`. */
  knownRequests(): IterableIterator<string> {
    return this.#servers.keys();
  }

  /** Headers of a final response of ours: those given and the Server header. */
  ownHeaders(status: number, headers: HeaderList | undefined): HeaderList | undefined {
    if (this.#serverHeader === undefined || status < 200) return headers;
    return headers === undefined ? [this.#serverHeader] : [...headers, this.#serverHeader];
  }

  /** Monotonic milliseconds. */
  nowMs(): number {
    return this.#nowMs();
  }

  startTimer(ms: number, owner: TimerOwner, kind: number): Timer {
    return this.#wheel.schedule(ms, owner, kind, this.#nowMs());
  }

  /** Wakes an owner that is its own timer `ms` after `nowMs`, and forgets for when it was set before. */
  restartTimer(timer: Timer & TimerOwner, ms: number, nowMs: number): void {
    this.#wheel.restart(timer, ms, timer, nowMs);
  }

  stopTimer(timer: Timer | undefined): undefined {
    return this.#wheel.cancel(timer);
  }

  receive(message: SipRequest | SipResponse, source: Endpoint): void {
    if (message.kind === "response") this.#receiveResponse(message as SipResponse);
    else this.#receiveRequest(message as SipRequest, source);
  }

  /** Sends a request of ours; its responses go to `user`. */
  send(request: ClientRequest, user: ClientUser): ClientTransaction {
    this.counters.uac_transactions++;
    const transaction = new ClientTransaction(this, request, user);
    if (transaction.state !== State.Terminated) this.#clients.set(clientKey(request.method, request.branch), transaction);
    return transaction;
  }

  /** Refuses a request without keeping any state (RFC 3261 §8.2.7). */
  replyStateless(
    request: SipRequest,
    source: Endpoint,
    status: number,
    reason: string,
    headers?: readonly (readonly [string, string])[],
  ): void {
    if (request.method === "ACK") return;
    this.#tagBase ??= this.chance.token();
    const toTag = statelessTag(this.#tagBase, request);
    const via = stampedVia(request, source);
    const text = buildResponse(request, status, reason, { via, toTag, headers: this.ownHeaders(status, headers) });
    this.counters.local_replies++;
    this.wire.send(text, responseTarget(request.topVia, source));
  }

  forgetServer(transaction: ServerTransaction): void {
    this.#servers.remove(transaction);
  }

  forgetClient(transaction: ClientTransaction): void {
    this.#clients.delete(clientKey(transaction.method, transaction.branch));
  }

  #receiveResponse(response: SipResponse): void {
    this.counters.received_replies++;
    const transaction = this.#clients.get(clientKey(response.cseqMethod, response.topVia.branch));
    if (transaction !== undefined && transaction.method === response.cseqMethod) {
      transaction.receive(response);
      return;
    }
    this.counters.stray_replies++;
    this.user.strayResponse(response);
  }

  #receiveRequest(request: SipRequest, source: Endpoint): void {
    this.counters.received_requests++;
    const method = request.method;
    if (method === "ACK") {
      this.#receiveAck(request, source);
      return;
    }
    const known = this.#servers.find(request, method);
    if (known !== undefined) {
      this.counters.absorbed_requests++;
      if (method === "INVITE") this.counters.repeated_invites++;
      known.receiveCopy(request, source);
      return;
    }
    if (this.#servers.size >= this.#limitFor(request) && !this.#cancelsSomething(request)) {
      this.counters.refused_overload++;
      this.replyStateless(request, source, 503, "Too Many Transactions", [["Retry-After", RETRY_AFTER_S]]);
      return;
    }
    const transaction = new ServerTransaction(this, request, source);
    this.#servers.add(transaction);
    this.counters.uas_transactions++;
    if (method === "CANCEL") this.#receiveCancel(transaction);
    else if (this.#isMerged(transaction, request)) transaction.reply(482, "Request Merged");
    else this.#handOver(transaction);
  }

  /** A fault of the TU must not leave a transaction behind that nobody ends. */
  #handOver(transaction: ServerTransaction): void {
    try {
      this.user.request(transaction);
    } catch (error) {
      transaction.reply(500, "Server Internal Error");
      throw error;
    }
  }

  /** A flood of new requests must not keep ongoing calls from ending. */
  #limitFor(request: SipRequest): number {
    return request.toTag === "" ? this.#maxServers : this.#maxServers * IN_DIALOG_RESERVE;
  }

  /** Then it is taken also when there is no room: it makes some, and there is at most one for each INVITE. */
  #cancelsSomething(request: SipRequest): boolean {
    return request.method === "CANCEL" && this.#servers.find(request, "INVITE") !== undefined;
  }

  #receiveAck(request: SipRequest, source: Endpoint): void {
    if (this.#servers.find(request, "INVITE")?.receiveAck()) return;
    // Nobody waits for it (RFC 3261 §8.2.7).
    if (this.#isOfStatelessRefusal(request)) {
      this.counters.absorbed_requests++;
      return;
    }
    this.user.ack(request, source);
  }

  /** Of an INVITE that was refused without a transaction. */
  #isOfStatelessRefusal(request: SipRequest): boolean {
    return this.#tagBase !== undefined && request.toTag.startsWith(this.#tagBase);
  }

  /** RFC 3261 §9.2: the CANCEL is answered whatever becomes of the INVITE. */
  #receiveCancel(cancel: ServerTransaction): void {
    const invite = this.#servers.find(cancel.request, "INVITE");
    if (invite === undefined) {
      if (this.user.strayCancel?.(cancel) !== true) cancel.reply(481, "Call/Transaction Does Not Exist");
      return;
    }
    cancel.useTag(invite.localTag());
    cancel.reply(200, "canceling");
    if (invite.answered) invite.user?.cancelledLate?.();
    else invite.user?.cancel(cancel.request);
  }

  /** RFC 3261 §8.2.2.2. A request that comes back to us with another Request-URI is a spiral, which is legal (§16.3). */
  #isMerged(transaction: ServerTransaction, request: SipRequest): boolean {
    if (request.toTag !== "") return false;
    const other = this.#servers.findMergeable(request);
    // After a negative answer the same request on another branch is a new try of a peer that has several of our addresses.
    const failed = request.method === "INVITE" && (other?.state === State.Completed || other?.state === State.Confirmed);
    if (other !== undefined && !failed) {
      this.counters.merged_requests++;
      return true;
    }
    this.#servers.setMergeable(transaction, other);
    return false;
  }
}

function clientKey(method: string, branch: string): string {
  // A CANCEL has the branch of the INVITE that it cancels (RFC 3261 §9.1).
  return method === "CANCEL" ? `CANCEL ${branch}` : branch;
}
