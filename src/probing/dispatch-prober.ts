import type { Address } from "../balancer/index.ts";
import type { Destination, Dispatcher } from "../dispatch/index.ts";
import { TIMEOUT_CODE } from "../dispatch/index.ts";
import type { TimerWheel } from "../transaction/index.ts";
import type { Log } from "./ports.ts";
import type { Probe, ProbeFailure, ProbeOwner } from "./probe.ts";
import type { ProbeLine } from "./probe-line.ts";
import { Asked, Turns } from "./turns.ts";

/** What a probe counts as that could not be sent to its destination: as no code, so that none of `ds_ping_reply_codes` makes it a success. */
const NO_CODE = 0;

/** Parameters of Kamailio's pings that are not the dispatcher's own. Times in milliseconds. */
export interface DispatchProbeSettings {
  /** `ds_ping_interval`, from 1. */
  readonly intervalMs: number;
  /** Share of the interval by which each probe is moved at random, 0 to 0.5. */
  readonly jitter: number;
  /** `ds_ping_method`, other than INVITE, ACK and CANCEL. */
  readonly method: string;
  /** `ds_ping_from`: From URI of a probe, unless the destination has one of its own. */
  readonly from: string;
  /** How long a probe waits for its final reply. */
  readonly timeoutMs: number;
  /** `ds_ping_latency_stats`: answers are measured. */
  readonly isMeasured: boolean;
  /** `outbound_proxy`: SIP URI that probes go through, unless the destination has one of its own. */
  readonly outboundProxy?: string | undefined;
}

/** What the dispatcher's prober needs of the rest of the program. */
export interface DispatchProberOptions {
  readonly settings: DispatchProbeSettings;
  readonly dispatcher: Pick<Dispatcher, "sets" | "isProbed" | "probed">;
  readonly line: ProbeLine;
  /** Addresses of a SIP URI in the order in which they are to be tried (RFC 3263); none when it leads nowhere. */
  readonly locate: (uri: string) => readonly Address[] | Promise<readonly Address[]>;
  /** Address of ours that probes of a destination over UDP leave from; `undefined`: any that reaches it. */
  readonly leaveFrom: (destination: Destination) => string | undefined;
  /** Whether anybody is probed at the moment (`dispatcher.ping_active`). Asked before each probe. */
  readonly mayProbe: () => boolean;
  readonly wheel: TimerWheel;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log: Log;
}

/** How often something happened that only these probes have. */
export class DispatchProbeCounters {
  /** Probes that were not sent because the destination's name led nowhere. */
  probes_unresolved = 0;
}

/** A destination of a set. */
class AskedDestination extends Asked {
  readonly destination: Destination;
  /** Where it was when it was last asked: a reload may give a `duid` to another host. */
  uri: string;
  /** Its name is being looked up. */
  isSought = false;

  constructor(destination: Destination) {
    super();
    this.destination = destination;
    this.uri = destination.uri;
  }
}

/** An address that is asked, and those that are asked after it when it does not answer. */
class Hop implements Address {
  readonly ip: string;
  readonly port: number;
  readonly transport: Address["transport"];
  readonly next: Hop | undefined;

  constructor([{ ip, port, transport }, second, ...others]: readonly [Address, ...(readonly Address[])]) {
    this.ip = ip;
    this.port = port;
    this.transport = transport;
    this.next = second && new Hop([second, ...others]);
  }
}

/**
 * Asks the destinations of sets whether they are alive (Kamailio's `ds_ping_*`). Who is asked, and what an answer means, is the dispatcher's; the
 * probes go by the line of all probes, spread over the interval, where Kamailio sends all at once.
 */
export class DispatchProber implements ProbeOwner<AskedDestination> {
  readonly counters = new DispatchProbeCounters();
  readonly #options: DispatchProberOptions;
  #settings: DispatchProbeSettings;
  readonly #asked = new Map<Destination, AskedDestination>();
  /** Absent while it does not probe. */
  #turns: Turns<AskedDestination> | undefined;
  #isWanted = false;

  constructor(options: DispatchProberOptions) {
    this.#options = options;
    this.#settings = options.settings;
  }

  /** Opens the sockets and begins to probe. @throws Error when an address cannot be bound; no socket is then left open */
  async start(): Promise<void> {
    this.#isWanted = true;
    await this.#options.line.open();
    if (this.#isWanted && this.#turns === undefined) this.#begin();
  }

  /** Takes over other settings. Turns begin anew when the interval is another one. */
  use(settings: DispatchProbeSettings): void {
    const { intervalMs, jitter } = this.#settings;
    const isOpening = this.#isWanted && this.#turns === undefined;
    const isOtherwise = settings.intervalMs !== intervalMs || settings.jitter !== jitter;
    this.#settings = settings;
    if (isOpening || (this.#isWanted && !isOtherwise)) return;
    this.#isWanted = true;
    this.#end();
    this.#begin();
  }

  /** Ends all probes; the sockets stay open, as others use them. */
  stop(): void {
    this.#isWanted = false;
    this.#end();
  }

  /** To be called after each change of the sets. Destinations that stay keep their turns. */
  setsChanged(): void {
    const turns = this.#turns;
    if (turns === undefined) return;
    const gone = new Map(this.#asked);
    const added: AskedDestination[] = [];
    for (const { destinations } of this.#options.dispatcher.sets) {
      for (const destination of destinations) {
        const known = this.#asked.get(destination);
        if (known !== undefined) {
          known.warned = false;
          gone.delete(destination);
          if (known.uri !== destination.uri) this.#moved(known);
          continue;
        }
        const asked = new AskedDestination(destination);
        this.#asked.set(destination, asked);
        added.push(asked);
      }
    }
    for (const [destination, asked] of gone) {
      turns.remove(asked);
      this.#asked.delete(destination);
    }
    turns.add(added);
    turns.spread();
  }

  probeAnswered(probe: Probe<AskedDestination>, status: number): void {
    const { line, nowMs } = this.#options;
    line.forget(probe);
    if (!this.#isCurrent(probe.asked)) {
      line.counters.ignored_stale++;
      return;
    }
    line.overtake(probe);
    this.#conclude(probe.asked, status, nowMs() - probe.sentAtMs);
  }

  probeFailed(probe: Probe<AskedDestination>, failure: ProbeFailure): void {
    const { line, nowMs } = this.#options;
    line.forget(probe);
    const { asked } = probe;
    if (!this.#isCurrent(asked)) return;
    if (failure === "timeout") line.counters.timeouts++;
    else line.counters.transport_errors++;
    const next = probe.address instanceof Hop ? probe.address.next : undefined;
    // requests would go there as well (RFC 3263 §4.3)
    if (next !== undefined) this.#ask(asked, next);
    else this.#conclude(asked, failure === "timeout" ? TIMEOUT_CODE : NO_CODE, nowMs() - probe.sentAtMs);
  }

  probeUnsent(probe: Probe<AskedDestination>, reason: string): void {
    this.#options.line.forget(probe);
    if (this.#isCurrent(probe.asked)) this.#skip(probe.asked, reason);
  }

  #begin(): void {
    const { nowMs, random, wheel } = this.#options;
    const { intervalMs, jitter } = this.#settings;
    this.#turns = new Turns({
      ...{ intervalMs, fastIntervalMs: 0, jitter, wheel, nowMs, random },
      isFast: () => false,
      turn: (asked) => this.#turn(asked),
    });
    this.setsChanged();
  }

  #end(): void {
    this.#turns?.stop();
    this.#turns = undefined;
    for (const { underWay } of this.#asked.values()) for (const probe of [...underWay]) this.#options.line.abandon(probe);
    this.#asked.clear();
  }

  #turn(asked: AskedDestination): void {
    const { destination } = asked;
    if (!this.#isProbed(destination) || asked.isSought) return;
    const next = destination.attributes.outboundProxy || this.#settings.outboundProxy || destination.uri;
    const found = this.#options.locate(withScheme(next));
    if (!(found instanceof Promise)) {
      this.#found(asked, found);
      return;
    }
    asked.isSought = true;
    const { uri } = destination;
    void found
      .catch((): readonly Address[] => [])
      .then((addresses) => {
        asked.isSought = false;
        if (uri !== destination.uri) return;
        if (this.#isCurrent(asked) && this.#isProbed(destination)) this.#found(asked, addresses);
      });
  }

  /** What comes of its probes says nothing of where it is now. */
  #moved(asked: AskedDestination): void {
    asked.uri = asked.destination.uri;
    for (const probe of [...asked.underWay]) this.#options.line.abandon(probe);
  }

  #found(asked: AskedDestination, [first, ...others]: readonly Address[]): void {
    if (first !== undefined) {
      this.#ask(asked, new Hop([first, ...others]));
      return;
    }
    // Kamailio takes that for a failure, too: requests would not get there either
    this.counters.probes_unresolved++;
    this.#conclude(asked, NO_CODE, 0);
  }

  #ask(asked: AskedDestination, address: Hop): void {
    const { leaveFrom, line } = this.#options;
    const { method, from, timeoutMs } = this.#settings;
    const { attributes, uri } = asked.destination;
    const question = { method, uri, from: attributes.pingFrom || from, timeoutMs, leaveFrom: leaveFrom(asked.destination) };
    if (!line.ask(this, asked, address, question)) this.#skip(asked, "want a listener of its transport and address family");
  }

  /** A turn that told nothing of the destination. */
  #skip(asked: AskedDestination, reason: string): void {
    const { line, log } = this.#options;
    line.counters.skipped_unreachable++;
    if (asked.warned) return;
    asked.warned = true;
    const { setId, uri } = asked.destination;
    log.warn({ set: setId, uri }, `Cannot probe destination <${uri}> of dispatcher set ${setId}: ${reason}`);
  }

  /** @param ms from the probe to its end */
  #conclude({ destination }: AskedDestination, status: number, ms: number): void {
    const { dispatcher, line } = this.#options;
    const isAlive = dispatcher.probed(destination, status, this.#settings.isMeasured && status !== NO_CODE ? ms : undefined);
    line.counters[isAlive ? "good" : "bad"]++;
  }

  #isCurrent(asked: AskedDestination): boolean {
    return this.#asked.get(asked.destination) === asked && !asked.destination.isGone;
  }

  #isProbed(destination: Destination): boolean {
    return this.#options.mayProbe() && this.#options.dispatcher.isProbed(destination);
  }
}

/** A URI without scheme is a SIP URI, as in Kamailio. */
function withScheme(uri: string): string {
  return /^sips?:/i.test(uri) ? uri : `sip:${uri}`;
}
