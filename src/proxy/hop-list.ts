import type { Destination } from "../balancer/index.ts";
import { MAX_MESSAGE_BYTES, type SipResponse } from "../sip/index.ts";
import type { Endpoint } from "../transaction/index.ts";
import type { Branch } from "./branch.ts";
import { BranchOutcome } from "./branch-outcome.ts";
import type { ProxyCore } from "./core.ts";
import { lacksRoom } from "./lack-of-room.ts";
import type { FailureCause } from "./ports.ts";

/** Addresses of one name that one request tries. Each that is silent costs `fr_timeout`, and no caller waits for more. */
const MAX_HOPS = 8;
/** Payload of the largest datagram over IPv4 (RFC 768, RFC 791); over IPv6 it is 20 more. */
const MAX_DATAGRAM_BYTES = 65_507;

/** A message that is about to be sent. */
export interface Outgoing {
  /** Where it goes. */
  target: Endpoint;
  /** Its text for there. */
  write(): string;
}

/**
 * The addresses that one attempt may go to, one after the other, each with a branch of its own (RFC 3263 §4.3). To the router and the balancer they are
 * one attempt: the lease stays, and only the last address that fails is a failure of the destination.
 */
export class HopList {
  readonly #core: ProxyCore;
  readonly #targets: readonly Endpoint[];
  readonly #uri: string;
  readonly #answerWithinMs: number | undefined;
  readonly #sinceMs: number;
  readonly #callId: string;
  readonly #cells: readonly number[];
  /** Shared by the branches: they say one thing of the destination, once. */
  readonly outcome: BranchOutcome | undefined;
  #at = 0;

  /**
   * @param callId for the log
   * @param targets at least one, the most wanted first
   * @param uri that led there
   * @param judged the destination that has these addresses, and is judged by what becomes of the request
   * @param cells those in which the call is counted
   * @param answerWithinMs how long all of them together may stay without any answer, ms; undefined: each as long as usual
   */
  constructor(
    core: ProxyCore,
    callId: string,
    targets: readonly Endpoint[],
    uri: string,
    judged: Destination | undefined,
    cells: readonly number[],
    answerWithinMs: number | undefined,
  ) {
    this.#core = core;
    this.#callId = callId;
    this.#targets = targets.length > MAX_HOPS ? targets.slice(0, MAX_HOPS) : targets;
    this.#uri = uri;
    this.#answerWithinMs = answerWithinMs;
    this.#sinceMs = core.nowMs();
    this.#cells = cells;
    this.outcome = judged === undefined || core.outcomes === undefined ? undefined : new BranchOutcome(core.outcomes, judged, cells);
  }

  get first(): Endpoint {
    return this.#targets[0]!;
  }

  get current(): Endpoint {
    return this.#targets[this.#at]!;
  }

  get cells(): readonly number[] {
    return this.#cells;
  }

  get hasNext(): boolean {
    return this.#at + 1 < this.#targets.length;
  }

  /** What is left of the time for an answer, ms. */
  get answerWithinMs(): number | undefined {
    return this.#answerWithinMs === undefined ? undefined : Math.max(1, this.#answerWithinMs - (this.#core.nowMs() - this.#sinceMs));
  }

  /** Says where the request goes now, over TCP when it is too large for UDP (RFC 3261 §18.1.1). @returns its text for there */
  place(request: Outgoing): string {
    const { large, counters } = this.#core;
    const target = this.current;
    request.target = target;
    const text = request.write();
    const place = large?.placeFor(text, target, this.#uri);
    if (place === undefined) return text;
    counters.large_over_tcp++;
    request.target = place;
    return request.write();
  }

  /**
   * Goes on to the next address when the branch to this one failed in a way that says so: no answer at all, nothing could be sent, or 503 without
   * ringing before (RFC 3263 §4.3). A destination that has no room for the call is not asked again by another name. What was sent over TCP for its size
   * goes to the same address over UDP.
   */
  advance(branch: Branch, response: SipResponse | undefined, cause: FailureCause): boolean {
    const { network, counters, log } = this.#core;
    if (mayGoOverUdp(this.#core, branch, cause, this.#callId)) return true;
    const isSilent = cause === "transport-error" || cause === "refused" || (cause === "timeout" && !branch.heard && !branch.cutShort);
    if (isSilent && this.#targets.length > 1) network.failed?.(this.current);
    const isOverloaded = cause === "response" && response?.status === 503 && !branch.rang && !lacksRoom(response);
    if (!this.hasNext || !(isSilent || isOverloaded)) return false;
    const { address, port } = this.current;
    this.#at++;
    counters.address_failovers++;
    const next = this.current;
    log.info(
      { callId: this.#callId, address, port, cause, next: `${next.address} ${next.port}` },
      "Address does not answer: the next one of the same name is tried",
    );
    return true;
  }
}

/**
 * Whether a message is longer than anybody takes by its way: what a datagram can hold, or what a stream may carry, as a peer that is sent more ends the connection of
 * all other calls. It may have come shorter.
 */
export function isTooLarge({ transport }: Endpoint, text: string): boolean {
  return text.length > (transport === "udp" ? MAX_DATAGRAM_BYTES : MAX_MESSAGE_BYTES);
}

/** Whether nobody took a request over TCP that was sent there for its size: it is to be placed again, and then goes over UDP. */
export function mayGoOverUdp(
  { counters, log }: ProxyCore,
  { target, heard, cutShort }: Branch,
  cause: FailureCause,
  callId: string,
): boolean {
  if (target.insteadOf === undefined || heard || cutShort || cause === "response") return false;
  counters.large_back_to_udp++;
  const { address, port } = target;
  log.info({ callId, address, port, cause }, "Large request is sent over UDP: its next hop takes none over TCP");
  return true;
}

const NO_CELLS: readonly number[] = [];

/** A target has no address at all that a request can be sent to. */
export function noteUnreachable(core: ProxyCore, callId: string, uri: string, judged: Destination | undefined): void {
  if (judged !== undefined && core.outcomes !== undefined) new BranchOutcome(core.outcomes, judged, NO_CELLS).failed("transport");
  core.counters.transport_errors++;
  core.log.warn({ callId, uri }, "cannot relay request: its target has no address that can be reached from a listener of its transport");
}
