import type { Address } from "../balancer/index.ts";
import { parseMessage, type SipResponse } from "../sip/index.ts";
import { type Endpoint, MAGIC_COOKIE } from "../transaction/index.ts";
import { ProbeCounters } from "./counters.ts";
import type { LineOptions } from "./ports.ts";
import { Probe, type ProbeOwner } from "./probe.ts";
import { probeMessage } from "./probe-message.ts";
import { ProbeWays } from "./probe-ways.ts";
import type { Asked } from "./turns.ts";

/** Probes of one destination that may wait for their reply at a time: there are several when the interval is shorter than the time-out. */
const MAX_UNDER_WAY = 8;
/** Probes of all that may wait for their reply at a time: 10,000 destinations that are dead, with two each. */
const MAX_PROBES = 20_000;

/** What is asked, and how. */
export interface Question {
  readonly method: string;
  /** Request-URI and To. */
  readonly uri: string;
  /** From URI. */
  readonly from: string;
  /** How long the answer may take, in ms. */
  readonly timeoutMs: number;
  /** Address of ours that a question over UDP shall leave from, when we listen there. */
  readonly leaveFrom?: string | undefined;
}

/** Sends the probes of the whole program, and knows their replies: whoever asks, and by what rules, it is one set of sockets, bounds and counters. */
export class ProbeLine {
  readonly counters = new ProbeCounters();
  readonly #options: LineOptions;
  readonly #ways: ProbeWays;
  /** By branch. */
  readonly #probes = new Map<string, Probe>();
  #opened: Promise<void> | undefined;

  constructor(options: LineOptions) {
    this.#options = options;
    this.#ways = new ProbeWays(options, () => void this.counters.ignored_branch++);
  }

  /** Opens the sockets, once. @throws Error when an address cannot be bound; no socket is then left open */
  open(): Promise<void> {
    this.#opened ??= this.#ways
      .open((text, source) => this.receive(text, source))
      .catch(async (error) => {
        await this.close();
        throw error;
      });
    return this.#opened;
  }

  /** Gives up all probes and closes the sockets. */
  async close(): Promise<void> {
    for (const probe of [...this.#probes.values()]) this.abandon(probe);
    await this.#ways.close();
  }

  /** Probes that wait for their reply. */
  get underWay(): number {
    return this.#probes.size;
  }

  /**
   * Asks; the answer, or that there is none, is told to `owner`.
   *
   * @returns false: nothing of ours reaches the address. True also when too many wait for their reply, which is counted
   */
  ask<A extends Asked>(owner: ProbeOwner<A>, asked: A, address: Address, question: Question): boolean {
    const { method, uri, from, timeoutMs, leaveFrom } = question;
    const way = this.#ways.to(address, uri, leaveFrom);
    if (way === undefined) return false;
    if (asked.underWay.size >= MAX_UNDER_WAY || this.#probes.size >= MAX_PROBES) {
      this.counters.skipped_busy++;
      return true;
    }
    const { chance, nowMs, userAgent } = this.#options;
    const branch = `${MAGIC_COOKIE}${chance.token()}`;
    const { target, layer } = way;
    const { transport } = target;
    const sentBy = target.listener.sentByFor(address.ip);
    const text = probeMessage({ method, uri, from, transport, sentBy, branch, token: chance.token(), userAgent });
    const probe = new Probe(owner, asked, address, branch, nowMs());
    asked.underWay.add(probe);
    this.#probes.set(branch, probe);
    asked.sent++;
    this.counters.sent++;
    probe.transaction = layer.send({ method, text, branch, target, timeoutMs }, probe);
    return true;
  }

  /** A message that came to one of the sockets. Anybody may send there: what is no reply of a destination that was asked is counted and dropped. */
  receive(text: string, source: Endpoint): void {
    const message = parseMessage(text);
    if (message.kind !== "response") {
      if (message.kind === "malformed") this.counters.ignored_malformed++;
      else this.counters.ignored_requests++;
      return;
    }
    const response = message as SipResponse;
    const probe = this.#probes.get(response.topVia.branch);
    if (probe !== undefined && !probe.isFrom(source)) {
      this.counters.ignored_source++;
      return;
    }
    this.#ways.receive(response, source);
  }

  /** Probes that were sent before this one: what comes of them says nothing any more; a time-out would even undo the answer. */
  overtake(probe: Probe): void {
    for (const other of [...probe.asked.underWay]) {
      if (other.sentAtMs > probe.sentAtMs) break;
      this.counters.overtaken++;
      this.abandon(other);
    }
  }

  abandon(probe: Probe): void {
    this.forget(probe);
    probe.transaction?.abandon();
  }

  /** To be told first of each end of a probe. */
  forget(probe: Probe): void {
    this.#probes.delete(probe.branch);
    probe.asked.underWay.delete(probe);
  }
}
