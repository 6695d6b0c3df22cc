import type { Address, Destination, StatusChange } from "../balancer/index.ts";
import { isProbed, judgeReply, type ProbeFigures, stepStatus, type Verdict } from "../health/index.ts";
import type { ProbeCounters } from "./counters.ts";
import type { ProberOptions } from "./ports.ts";
import type { Probe, ProbeFailure, ProbeOwner } from "./probe.ts";
import { ProbedDestination } from "./probed-destination.ts";
import { Turns } from "./turns.ts";

/** What a probe that nobody answered counts as, and one that could not be sent: as calls do. */
const STATUS_OF: Readonly<Record<ProbeFailure, number>> = { timeout: 408, "transport-error": 503 };

/** Asks destinations whether they are alive, and enables and disables them by what they answer (OpenSIPS `lb_prober.c`). */
export class Prober implements ProbeOwner<ProbedDestination> {
  readonly #options: ProberOptions;
  /** By the destination's key. */
  readonly #targets = new Map<string, ProbedDestination>();
  /** Absent while it does not probe. */
  #turns: Turns<ProbedDestination> | undefined;

  constructor(options: ProberOptions) {
    this.#options = options;
  }

  /** Opens the sockets and begins to probe. @throws Error when an address cannot be bound; no socket is then left open */
  async start(): Promise<void> {
    const { line, nowMs, random, settings, wheel } = this.#options;
    await line.open();
    const { fastIntervalMs, intervalMs, jitter } = settings;
    this.#turns = new Turns({
      ...{ intervalMs, fastIntervalMs, jitter, wheel, nowMs, random },
      isFast: (probed) => this.#isFast(probed),
      turn: (probed) => {
        if (this.#isProbed(probed)) this.#probe(probed);
      },
    });
    this.tableChanged();
  }

  /** Ends all probes and closes the sockets. */
  async stop(): Promise<void> {
    this.#turns?.stop();
    this.#turns = undefined;
    this.#targets.clear();
    await this.#options.line.close();
  }

  /** Counters of all probes of the program. */
  get counters(): ProbeCounters {
    return this.#options.line.counters;
  }

  /**
   * To be called after each reload. Destinations that stay keep their figures, their streak and, unless those that went leave the others crowded in a part
   * of the interval, their turn.
   */
  tableChanged(): void {
    const turns = this.#turns;
    if (turns === undefined) return;
    const { balancer } = this.#options;
    const gone = new Map(this.#targets);
    const added: ProbedDestination[] = [];
    for (const destination of balancer.destinations()) {
      if (destination.probeMode === 0) continue;
      const known = this.#targets.get(destination.key);
      gone.delete(destination.key);
      if (known === undefined) {
        const probed = new ProbedDestination(destination);
        this.#targets.set(destination.key, probed);
        added.push(probed);
      } else {
        known.replace(destination);
      }
    }
    for (const [key, probed] of gone) {
      turns.remove(probed);
      this.#targets.delete(key);
    }
    turns.add(added);
    turns.spread();
  }

  /** To be told of every change of a status: what was counted against the old one says nothing of the new one. */
  statusChanged({ destination, enabled, wasEnabled }: StatusChange): void {
    const probed = this.#targets.get(destination.key);
    if (probed === undefined) return;
    if (enabled !== wasEnabled) probed.streak = 0;
    this.#turns?.hurry(probed);
  }

  /** What the destinations with a probe mode have shown, in the order of their ids. */
  figures(): ProbeFigures[] {
    const { balancer } = this.#options;
    const figures: ProbeFigures[] = [];
    for (const destination of balancer.destinations()) {
      const probed = this.shownOf(destination);
      if (probed === undefined || destination.probeMode === 0) continue;
      const { id, group, uri, probeMode } = destination;
      const { last, average, ewma, max, samples, timeouts } = probed.latency;
      figures.push({
        id,
        group,
        uri,
        probeMode,
        enabled: balancer.isEnabled(destination),
        probed: this.#isProbed(probed),
        sent: probed.sent,
        lastStatus: probed.lastStatus,
        lastAtMs: probed.lastAtMs,
        streak: probed.streak,
        latency: { last, average, ewma, max, samples, timeouts },
        capacityShare: balancer.capacityFactor(destination),
      });
    }
    return figures;
  }

  /** What one destination has shown, as it is at each moment; undefined for one that is not probed. */
  shownOf({ key }: Destination): ProbedDestination | undefined {
    return this.#targets.get(key);
  }

  /** Probes that wait for their reply. */
  get underWay(): number {
    return this.#options.line.underWay;
  }

  probeAnswered(probe: Probe<ProbedDestination>, status: number): void {
    const { line, nowMs, settings } = this.#options;
    line.forget(probe);
    const probed = probe.asked;
    if (!this.#isCurrent(probe)) {
      this.counters.ignored_stale++;
      return;
    }
    line.overtake(probe);
    probed.latency.record(nowMs() - probe.sentAtMs);
    this.#conclude(probed, status, judgeReply(status, settings.accepted));
  }

  probeFailed(probe: Probe<ProbedDestination>, failure: ProbeFailure): void {
    this.#options.line.forget(probe);
    if (!this.#isCurrent(probe)) return;
    if (failure === "timeout") {
      this.counters.timeouts++;
      probe.asked.latency.timeouts++;
    } else {
      this.counters.transport_errors++;
    }
    const next = nextAddress(probe);
    if (next !== undefined) {
      this.#probe(probe.asked, next); // calls would go there as well (RFC 3263 §4.3)
      return;
    }
    this.#conclude(probe.asked, STATUS_OF[failure], "bad");
  }

  probeUnsent(probe: Probe<ProbedDestination>, reason: string): void {
    this.#options.line.forget(probe);
    if (!this.#isCurrent(probe)) return;
    this.#skip(probe.asked, reason);
  }

  #probe(probed: ProbedDestination, address = probed.address): void {
    const { line, settings } = this.#options;
    const { method, from, timeoutMs } = settings;
    const { uri } = probed.destination;
    if (address === undefined || !line.ask(this, probed, address, { method, uri, from, timeoutMs })) {
      this.#skip(probed, "want a listener of its transport and address family");
    }
  }

  /** A turn that told nothing of the destination. */
  #skip(probed: ProbedDestination, reason: string): void {
    this.counters.skipped_unreachable++;
    if (probed.warned) return;
    probed.warned = true;
    const { id, group, uri } = probed.destination;
    this.#options.log.warn({ id, group, uri }, `Cannot probe destination ${id} <${uri}>: ${reason}`);
  }

  #conclude(probed: ProbedDestination, status: number, verdict: Verdict): void {
    const { balancer, settings, wallMs } = this.#options;
    this.counters[verdict]++;
    probed.lastStatus = status;
    probed.lastAtMs = wallMs();
    const { destination, streak } = probed;
    const autoReenable = balancer.isAutoReenable(destination);
    const step = stepStatus({ enabled: balancer.isEnabled(destination), autoReenable, streak }, verdict, settings);
    if (step.change !== undefined) this.#change(destination, step.change, status);
    probed.streak = step.streak;
    this.#turns?.hurry(probed);
  }

  #change(destination: Destination, change: "enable" | "disable", status: number): void {
    const { balancer, log, settings } = this.#options;
    const { id, group, uri } = destination;
    balancer.setStatus(id, change === "enable", "probe");
    if (change === "enable") this.counters.enabled++;
    else this.counters.disabled++;
    // The sentences of OpenSIPS's probing_verbose.
    const sentence = `${change === "enable" ? "re-enable" : "disable"} destination ${id} <${uri}> after ${status} reply on probe`;
    log[settings.verbose ? "info" : "debug"]({ id, group, uri, status }, sentence);
  }

  /** Whether the table still holds what the probe was sent to, and it is still this node that probes. */
  #isCurrent(probe: Probe<ProbedDestination>): boolean {
    if (this.#options.mayProbe?.() === false) return false;
    const { destination } = probe.asked;
    if (this.#targets.get(destination.key) !== probe.asked) return false;
    if (this.#options.balancer.destination(destination.id)?.key !== destination.key) return false;
    return placeOf(probe) !== -1;
  }

  #isProbed({ destination }: ProbedDestination): boolean {
    const { balancer, mayProbe } = this.#options;
    if (mayProbe?.() === false) return false;
    return isProbed(destination.probeMode, balancer.isEnabled(destination), balancer.isAutoReenable(destination));
  }

  /** Failing, or coming back: the next probe is more telling than usual. */
  #isFast(probed: ProbedDestination): boolean {
    return this.#isProbed(probed) && (probed.streak > 0 || !this.#options.balancer.isEnabled(probed.destination));
  }
}

/** The place of a probe's address among those of its destination; -1 when it has that address no more. */
function placeOf({ address, asked }: Probe<ProbedDestination>): number {
  return asked.destination.addresses.findIndex(
    ({ ip, port, transport }) => ip === address.ip && port === address.port && transport === address.transport,
  );
}

function nextAddress(probe: Probe<ProbedDestination>): Address | undefined {
  return probe.asked.destination.addresses[placeOf(probe) + 1];
}
