import type { DnsAnswer, NameServer } from "../resolution/index.ts";
import { type DnsRecord, type DnsRecords, type DnsResponse, type DnsType, decodeResponse, encodeQuery } from "./dns-message.ts";
import { DnsError, exchangeTcp, exchangeUdp } from "./dns-socket.ts";
import { Turns } from "./turns.ts";

/** How long one server is waited for, in milliseconds, in the first round and in the second. */
const ATTEMPT_MS = [1_000, 2_000] as const;
/** How long a question may take with all its servers and aliases. */
const QUESTION_MS = 3_500;
/** Name servers that are asked; as many as the system's resolver takes (`resolv.conf(5)`, MAXNS). */
export const MAX_SERVERS = 3;
/** CNAMEs that are followed from one name. A chain that ends in itself ends here, too. */
const MAX_ALIASES = 8;
/** Records of one answer that are kept. */
const MAX_KEPT = 64;
/** Sockets open at once, and questions that wait for one. */
const PARALLEL_QUESTIONS = 64;
const MAX_WAITING = 2_000;
/** How long a negative answer without an SOA record holds, which RFC 2308 §5 would not have remembered at all: long enough not to ask with every call. */
const DEFAULT_NEGATIVE_S = 10;

const NO_ERROR = 0;
const FORMAT_ERROR = 1;
const NO_SUCH_NAME = 3;
const NOT_IMPLEMENTED = 4;
const RCODES: Readonly<Record<number, string>> = { 1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED" };

export interface DnsClientOptions {
  /** Asked for with each question: the system's may change while the program runs. */
  readonly servers: () => readonly NameServer[];
  /** Uniform whole number from 0 to n-1, that nobody can guess. */
  readonly below: (n: number) => number;
  /** Milliseconds that never go back. */
  readonly nowMs: () => number;
}

/** Plain counters, since the start. */
export class DnsCounters {
  questions = 0;
  tcp_questions = 0;
  /** Questions that no server answered in a way that can be used. */
  unanswered = 0;
  /** Datagrams that were no answer to the question: late, forged, or broken. */
  strange_answers = 0;
  /** Questions that were not asked, because too many were. */
  refused_questions = 0;
}

/**
 * Asks name servers for records, with their time to live, which the system's resolver does not tell of SRV and NAPTR records. Over UDP from a port and
 * with an id that nobody can guess (RFC 5452), over TCP when the answer is too large for that.
 */
export class DnsClient {
  readonly counters = new DnsCounters();
  readonly #options: DnsClientOptions;
  readonly #turns = new Turns(PARALLEL_QUESTIONS, MAX_WAITING);
  /** The server that answered last is asked first. */
  #preferred = "";

  constructor(options: DnsClientOptions) {
    this.#options = options;
  }

  /** Asks for the records of a name, in lower case without a final dot, and follows its CNAMEs. Never rejects. */
  async query<T extends DnsType>(name: string, type: T): Promise<DnsAnswer<DnsRecords[T]>> {
    const untilMs = this.#options.nowMs() + QUESTION_MS;
    const seen = new Set([name]);
    let asked = name;
    let ttlS = Number.POSITIVE_INFINITY;
    for (;;) {
      const response = await this.#turns.run(() => this.#ask(asked, type, untilMs));
      if (response === undefined) {
        this.counters.refused_questions++;
        return { outcome: "failed", reason: "too many questions wait for the name servers" };
      }
      if ("reason" in response) return { outcome: "failed", reason: response.reason };
      const end = follow(response.answers, asked, seen);
      ttlS = Math.min(ttlS, end.ttlS);
      if (end.values.length > 0) return { outcome: "found", records: end.values.slice(0, MAX_KEPT), ttlS };
      if (end.isEndless) return { outcome: "failed", reason: `"${name}" has more than ${MAX_ALIASES} aliases, or they go in a circle` };
      if (end.name === asked || response.rcode === NO_SUCH_NAME) {
        return { outcome: "none", ttlS: Math.min(ttlS, response.negativeTtlS ?? DEFAULT_NEGATIVE_S) };
      }
      asked = end.name;
    }
  }

  /** Asks one server after the other, twice, until one says something. */
  async #ask<T extends DnsType>(name: string, type: T, untilMs: number): Promise<DnsResponse<T> | { readonly reason: string }> {
    const servers = this.#servers();
    if (servers.length === 0) return { reason: "there is no name server" };
    this.counters.questions++;
    let last = "no answer in time";
    for (const attemptMs of ATTEMPT_MS) {
      for (const server of servers) {
        const leftMs = Math.min(attemptMs, untilMs - this.#options.nowMs());
        if (leftMs <= 0) break;
        try {
          const response = await this.#askOne(server, name, type, leftMs);
          if (response === undefined) return { reason: `"${name}" is no name that can be asked for` };
          if (response.rcode === NO_ERROR || response.rcode === NO_SUCH_NAME) {
            this.#preferred = keyOf(server);
            return response;
          }
          last = `${server.address} answers ${RCODES[response.rcode] ?? `code ${response.rcode}`}`;
        } catch (error) {
          if (!(error instanceof DnsError)) throw error;
          last = `${server.address}: ${error.message}`;
        }
      }
    }
    this.counters.unanswered++;
    return { reason: `the name servers do not answer (${last})` };
  }

  async #askOne<T extends DnsType>(
    server: NameServer,
    name: string,
    type: T,
    timeoutMs: number,
    withEdns = true,
  ): Promise<DnsResponse<T> | undefined> {
    const id = this.#options.below(65_536);
    const query = encodeQuery(id, name, type, withEdns);
    if (query === undefined) return undefined;
    const exchange = {
      server,
      query,
      timeoutMs,
      read: (bytes: Buffer) => decodeResponse(bytes, id, name, type),
      onStrange: () => this.counters.strange_answers++,
    };
    const response = await exchangeUdp(exchange);
    if (withEdns && (response.rcode === FORMAT_ERROR || response.rcode === NOT_IMPLEMENTED)) {
      return this.#askOne(server, name, type, timeoutMs, false); // RFC 6891 §7: it may not know of EDNS
    }
    if (!response.isTruncated) return response;
    this.counters.tcp_questions++;
    const whole = await exchangeTcp(exchange);
    if (whole.isTruncated) throw new DnsError("an answer that is cut short over TCP");
    return whole;
  }

  #servers(): readonly NameServer[] {
    const servers = this.#options.servers().slice(0, MAX_SERVERS);
    const preferred = servers.filter((server) => keyOf(server) === this.#preferred);
    return [...preferred, ...servers.filter((server) => !preferred.includes(server))];
  }
}

/** The end of a name's aliases within one answer: the records there, if any. */
interface AliasEnd<T extends DnsType> {
  readonly name: string;
  readonly values: readonly DnsRecords[T][];
  readonly ttlS: number;
  readonly isEndless: boolean;
}

/** @param seen names that were met before, to which it adds */
function follow<T extends DnsType>(answers: readonly DnsRecord<T>[], start: string, seen: Set<string>): AliasEnd<T> {
  let name = start;
  let ttlS = Number.POSITIVE_INFINITY;
  for (;;) {
    const here = answers.filter((answer) => answer.name === name);
    const values: DnsRecords[T][] = [];
    for (const record of here) {
      if (record.value === undefined) continue;
      values.push(record.value);
      ttlS = Math.min(ttlS, record.ttlS);
    }
    const alias = here.find((record) => record.alias !== undefined);
    if (values.length > 0 || alias?.alias === undefined) return { name, values, ttlS, isEndless: false };
    ttlS = Math.min(ttlS, alias.ttlS);
    name = alias.alias;
    if (seen.has(name) || seen.size > MAX_ALIASES) return { name, values, ttlS, isEndless: true };
    seen.add(name);
  }
}

function keyOf({ address, port }: NameServer): string {
  return `${address} ${port}`;
}
