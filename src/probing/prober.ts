import type { Address, Destination, StatusChange } from "../balancer/index.ts";
import {
  evenSlots,
  isCrowded,
  isProbed,
  jitterOffset,
  judgeReply,
  nextFastTurn,
  nextSlot,
  type ProbeFigures,
  slotsInGaps,
  stepStatus,
  type Verdict,
} from "../health/index.ts";
import { parseMessage, type SipResponse } from "../sip/index.ts";
import { type Endpoint, MAGIC_COOKIE } from "../transaction/index.ts";
import { ProbeCounters } from "./counters.ts";
import type { ProberOptions } from "./ports.ts";
import { Probe, type ProbeFailure, type ProbeOwner } from "./probe.ts";
import { probeMessage } from "./probe-message.ts";
import { ProbeWays } from "./probe-ways.ts";
import { ProbedDestination } from "./probed-destination.ts";

/** Probes of one destination that may wait for their reply at a time: there are several when the interval is shorter than the time-out. */
const MAX_UNDER_WAY = 8;
/** What a probe that nobody answered counts as, and one that could not be sent: as calls do. */
const STATUS_OF: Readonly<Record<ProbeFailure, number>> = { timeout: 408, "transport-error": 503 };
/** Kind of a turn's timer: a destination has no other. */
const TURN = 1;

/** Asks destinations whether they are alive, and enables and disables them by what they answer (OpenSIPS `lb_prober.c`). */
export class Prober implements ProbeOwner {
  readonly counters = new ProbeCounters();
  readonly #options: ProberOptions;
  readonly #fastIntervalMs: number;
  readonly #ways: ProbeWays;
  /** By the destination's key. */
  readonly #targets = new Map<string, ProbedDestination>();
  /** By branch. */
  readonly #probes = new Map<string, Probe>();
  /** Where slots are counted from: the start of probing. */
  #anchorMs = 0;
  #running = false;

  constructor(options: ProberOptions) {
    this.#options = options;
    const { intervalMs, fastIntervalMs } = options.settings;
    this.#fastIntervalMs = fastIntervalMs > 0 && fastIntervalMs < intervalMs ? fastIntervalMs : intervalMs;
    this.#ways = new ProbeWays(options, () => void this.counters.ignored_branch++);
  }

  /** Opens the sockets and begins to probe. @throws Error when an address cannot be bound; no socket is then left open */
  async start(): Promise<void> {
    try {
      await this.#ways.open((text, source) => this.receive(text, source));
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#running = true;
    this.#anchorMs = this.#options.nowMs();
    this.tableChanged();
  }

  /** Ends all probes and closes the sockets. */
  async stop(): Promise<void> {
    this.#running = false;
    for (const probed of this.#targets.values()) probed.timer = this.#options.wheel.cancel(probed.timer);
    this.#targets.clear();
    for (const probe of [...this.#probes.values()]) this.#abandon(probe);
    await this.#ways.close();
  }

  /**
   * To be called after each reload. Destinations that stay keep their figures, their streak and, unless those that went leave the others crowded in a part
   * of the interval, their turn.
   */
  tableChanged(): void {
    if (!this.#running) return;
    const { balancer, wheel } = this.#options;
    const gone = new Map(this.#targets);
    const added: Destination[] = [];
    for (const destination of balancer.destinations()) {
      if (destination.probeMode === 0) continue;
      const known = this.#targets.get(destination.key);
      gone.delete(destination.key);
      if (known === undefined) {
        added.push(destination);
      } else {
        known.replace(destination);
      }
    }
    for (const [key, probed] of gone) {
      probed.timer = wheel.cancel(probed.timer);
      this.#targets.delete(key);
    }
    this.#add(added);
    this.#spread();
  }

  /** To be told of every change of a status: what was counted against the old one says nothing of the new one. */
  statusChanged({ destination, enabled, wasEnabled }: StatusChange): void {
    const probed = this.#targets.get(destination.key);
    if (probed === undefined) return;
    if (enabled !== wasEnabled) probed.streak = 0;
    this.#hurry(probed);
  }

  /** What the destinations with a probe mode have shown, in the order of their ids. */
  figures(): ProbeFigures[] {
    const { balancer } = this.#options;
    const figures: ProbeFigures[] = [];
    for (const destination of balancer.destinations()) {
      const probed = this.#targets.get(destination.key);
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

  /** Probes that wait for their reply. */
  get underWay(): number {
    return this.#probes.size;
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

  probeAnswered(probe: Probe, status: number): void {
    this.#forget(probe);
    const probed = probe.target;
    if (!this.#isCurrent(probe)) {
      this.counters.ignored_stale++;
      return;
    }
    // What comes of an older probe says nothing any more; its time-out would even undo this answer.
    for (const other of [...probed.underWay]) {
      if (other.sentAtMs > probe.sentAtMs) break;
      this.counters.overtaken++;
      this.#abandon(other);
    }
    probed.latency.record(this.#options.nowMs() - probe.sentAtMs);
    this.#conclude(probed, status, judgeReply(status, this.#options.settings.accepted));
  }

  probeFailed(probe: Probe, failure: ProbeFailure): void {
    this.#forget(probe);
    if (!this.#isCurrent(probe)) return;
    if (failure === "timeout") {
      this.counters.timeouts++;
      probe.target.latency.timeouts++;
    } else {
      this.counters.transport_errors++;
    }
    const next = nextAddress(probe);
    if (next !== undefined) {
      this.#probe(probe.target, this.#options.nowMs(), next); // calls would go there as well (RFC 3263 §4.3)
      return;
    }
    this.#conclude(probe.target, STATUS_OF[failure], "bad");
  }

  probeUnsent(probe: Probe, reason: string): void {
    this.#forget(probe);
    if (!this.#isCurrent(probe)) return;
    this.#skip(probe.target, reason);
  }

  #add(added: readonly Destination[]): void {
    if (added.length === 0) return;
    const { nowMs, settings } = this.#options;
    const { intervalMs } = settings;
    const now = nowMs();
    const taken = Array.from(this.#targets.values(), ({ slotMs }) => slotMs);
    const slots =
      taken.length === 0 ? evenSlots(this.#anchorMs, now, added.length, intervalMs) : slotsInGaps(taken, now, added.length, intervalMs);
    for (const [k, destination] of added.entries()) {
      const probed = new ProbedDestination(destination, slots[k]!, (due) => this.#turn(due));
      this.#targets.set(destination.key, probed);
      this.#wait(probed, probed.slotMs, false);
    }
  }

  /** Gives all new slots, in the order of their turns, when too many stand close together. */
  #spread(): void {
    const { nowMs, settings } = this.#options;
    const { intervalMs } = settings;
    const all = [...this.#targets.values()];
    if (
      !isCrowded(
        all.map(({ slotMs }) => slotMs),
        intervalMs,
      )
    )
      return;
    const now = nowMs();
    const upcoming = ({ slotMs }: ProbedDestination): number => (slotMs >= now ? slotMs : nextSlot(slotMs, now, intervalMs));
    const slots = evenSlots(this.#anchorMs, now, all.length, intervalMs);
    for (const [k, probed] of all.sort((a, b) => upcoming(a) - upcoming(b)).entries()) {
      probed.slotMs = slots[k]!;
      if (!probed.extraTurn) this.#wait(probed, probed.slotMs, false);
    }
  }

  #turn(probed: ProbedDestination): void {
    const { nowMs, settings } = this.#options;
    const now = nowMs();
    // A jittered turn may come before its slot, which is then used up all the same; an extra turn uses up none.
    if (!probed.extraTurn || probed.slotMs <= now) probed.slotMs = nextSlot(probed.slotMs, now, settings.intervalMs);
    const halfLaterMs = now + this.#fastIntervalMs / 2;
    const fastMs = this.#isFast(probed) ? this.#fastTurn(probed, halfLaterMs) : Number.POSITIVE_INFINITY;
    // A slot that comes right after this turn would tell nothing new; one that comes before the fast turn will do for it.
    const extra = fastMs < probed.slotMs || (fastMs < Number.POSITIVE_INFINITY && probed.slotMs < halfLaterMs);
    this.#wait(probed, extra ? fastMs : probed.slotMs, extra);
    if (this.#isProbed(probed)) this.#probe(probed, now);
  }

  #probe(probed: ProbedDestination, now: number, address = probed.address): void {
    const { destination } = probed;
    const way = address && this.#ways.to(address, destination.uri);
    if (address === undefined || way === undefined) {
      this.#skip(probed, "want a listener of its transport and address family");
      return;
    }
    if (probed.underWay.size >= MAX_UNDER_WAY) {
      this.counters.skipped_busy++;
      return;
    }
    const { chance, settings } = this.#options;
    const { method, from, userAgent, timeoutMs } = settings;
    const branch = `${MAGIC_COOKIE}${chance.token()}`;
    const { target, layer } = way;
    const sentBy = target.listener.sentByFor(address.ip);
    const { transport } = target;
    const text = probeMessage({ method, uri: destination.uri, from, transport, sentBy, branch, token: chance.token(), userAgent });
    const probe = new Probe(this, probed, address, branch, now);
    probed.underWay.add(probe);
    this.#probes.set(branch, probe);
    probed.sent++;
    this.counters.sent++;
    probe.transaction = layer.send({ method, text, branch, target, timeoutMs }, probe);
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
    this.#hurry(probed);
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
  #isCurrent(probe: Probe): boolean {
    if (this.#options.mayProbe?.() === false) return false;
    const { destination } = probe.target;
    if (this.#targets.get(destination.key) !== probe.target) return false;
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
    if (this.#fastIntervalMs === this.#options.settings.intervalMs || !this.#isProbed(probed)) return false;
    return probed.streak > 0 || !this.#options.balancer.isEnabled(probed.destination);
  }

  /** Moves the next turn forward when the destination has begun to fail or to come back. */
  #hurry(probed: ProbedDestination): void {
    if (probed.timer === undefined || probed.extraTurn || !this.#isFast(probed)) return;
    const fastMs = this.#fastTurn(probed, this.#options.nowMs());
    if (probed.dueMs > fastMs) this.#wait(probed, fastMs, true);
  }

  #fastTurn({ slotMs }: ProbedDestination, earliestMs: number): number {
    return nextFastTurn(slotMs, earliestMs, this.#options.settings.intervalMs, this.#fastIntervalMs);
  }

  /** @param extra the turn at `atMs` is one of the fast interval, else it is the destination's slot */
  #wait(probed: ProbedDestination, atMs: number, extra: boolean): void {
    const { nowMs, random, settings, wheel } = this.#options;
    const now = nowMs();
    const intervalMs = extra ? this.#fastIntervalMs : settings.intervalMs;
    probed.timer = wheel.cancel(probed.timer);
    probed.extraTurn = extra;
    probed.dueMs = atMs + jitterOffset(intervalMs, settings.jitter, random());
    probed.timer = wheel.schedule(Math.max(0, probed.dueMs - now), probed, TURN, now);
  }

  #abandon(probe: Probe): void {
    this.#forget(probe);
    probe.transaction?.abandon();
  }

  #forget(probe: Probe): void {
    this.#probes.delete(probe.branch);
    probe.target.underWay.delete(probe);
  }
}

/** The place of a probe's address among those of its destination; -1 when it has that address no more. */
function placeOf({ address, target }: Probe): number {
  return target.destination.addresses.findIndex(
    ({ ip, port, transport }) => ip === address.ip && port === address.port && transport === address.transport,
  );
}

function nextAddress(probe: Probe): Address | undefined {
  return probe.target.destination.addresses[placeOf(probe) + 1];
}
