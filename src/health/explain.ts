import { type Balancer, type DestinationView, readLook, type SkipReason, type TableLook, type TableView } from "../balancer/index.ts";

/** Decisions of one call that are remembered: the first ones. A call that goes further tries the same destinations again and again. */
export const MAX_DECISIONS = 16;

interface Decision {
  readonly atMs: number;
  readonly group: number;
  readonly attempt: number;
  readonly look: TableLook;
}

interface RememberedCall {
  readonly callId: string;
  readonly decisions: Decision[];
  /** Decisions beyond {@link MAX_DECISIONS}. */
  omitted: number;
}

/**
 * Remembers why calls went where they went: the table that each start and next looked at, as numbers. Text is made when somebody asks.
 * Bounded by calls; the oldest are forgotten first.
 */
export class Decisions {
  readonly #calls: number;
  readonly #timeText: (atMs: number) => string;
  readonly #byCallId = new Map<string, RememberedCall>();
  readonly #ring: RememberedCall[] = [];
  #oldest = 0;

  /**
   * @param calls how many calls are remembered, from 1
   * @param timeText how a time is shown
   */
  constructor(calls: number, timeText: (atMs: number) => string) {
    this.#calls = calls;
    this.#timeText = timeText;
  }

  get size(): number {
    return this.#byCallId.size;
  }

  /**
   * @param attempt 1 for a start, one more for each destination that the session tried before
   * @param atMs wall clock, ms since 1970
   */
  note(callId: string, group: number, attempt: number, look: TableLook, atMs: number): void {
    let call = this.#byCallId.get(callId);
    if (call === undefined) {
      call = { callId, decisions: [], omitted: 0 };
      this.#remember(call);
    }
    if (call.decisions.length < MAX_DECISIONS) call.decisions.push({ atMs, group, attempt, look });
    else call.omitted++;
  }

  /** Every remembered decision for the call, readable; `undefined` when there is none. */
  explain(callId: string): object | undefined {
    const call = this.#byCallId.get(callId);
    if (call === undefined) return undefined;
    const decisions = call.decisions.map(({ atMs, group, attempt, look }) => ({
      at: this.#timeText(atMs),
      attempt,
      group,
      resources: look.resources,
      flags: flagLetters(look.flags),
      ...describeView(readLook(look), group, look.resources),
    }));
    return { Decisions: decisions, ...(call.omitted > 0 && { decisions_omitted: call.omitted }) };
  }

  #remember(call: RememberedCall): void {
    if (this.#ring.length < this.#calls) {
      this.#ring.push(call);
    } else {
      this.#byCallId.delete(this.#ring[this.#oldest]!.callId);
      this.#ring[this.#oldest] = call;
      this.#oldest = (this.#oldest + 1) % this.#calls;
    }
    this.#byCallId.set(call.callId, call);
  }
}

/** What a start with these arguments would look at and answer now; nothing is counted. */
export function whatIf(balancer: Pick<Balancer, "describe">, group: number, resources: string, flags: string): object {
  return { group, resources, flags, ...describeView(balancer.describe(group, resources, flags), group, resources) };
}

/** A view with the keys that operators read, and each reason as words. */
function describeView(view: TableView, group: number, resources: string): object {
  const { code, chosen, equals, failedOpen, destinations, omitted } = view;
  const winner = destinations.find(({ skipped }) => skipped === undefined);
  return {
    code,
    summary: summaryOf(view, group, resources),
    ...(chosen !== undefined && { chosen }),
    ...(winner !== undefined && { chosen_uri: winner.uri }),
    ...(equals.length > 0 && { equals }),
    ...(failedOpen && { failed_open: true }),
    Destinations: destinations.map(describeDestination),
    ...(omitted > 0 && { destinations_omitted: omitted }),
  };
}

function describeDestination({ id, uri, tier, weight, resources, score, skipped }: DestinationView): object {
  return {
    id,
    uri,
    ...(tier !== 0 && { tier }),
    ...(weight !== 1 && { weight }),
    Resources: resources,
    ...(score !== undefined && { score }),
    ...(skipped === undefined ? { chosen: true } : { skipped, reason: REASONS[skipped] }),
  };
}

const REASONS: Readonly<Record<SkipReason, string>> = {
  "lacks-resource": "it does not have every resource that was asked for",
  tried: "this call has tried it before",
  "disabled-by-operator": "a management command or the end of a drain has disabled it",
  disabled: "a probe or a script has disabled it",
  draining: "it is being drained",
  "breaker-open": "its breaker is open: too many of its calls failed",
  resting: "it asked for a rest with Retry-After",
  "calls-per-second": "it has had its calls of this second",
  full: "it has no free slot",
  "later-tier": "it could take the call, but its tier comes later",
  "lower-score": "it could take the call, but another one has more free",
  equal: "it has as much free as the one that was chosen",
};

function summaryOf({ code, destinations, equals, failedOpen }: TableView, group: number, resources: string): string {
  const winner = destinations.find(({ skipped }) => skipped === undefined);
  if (code === 1 && winner !== undefined) {
    const among = equals.length > 1 ? `, as free as ${equals.length - 1} more` : "";
    const open = failedOpen ? "; every destination was down, and the group fails open" : "";
    return `destination ${winner.id} <${winner.uri}> was chosen with score ${winner.score ?? 0}${among}${open}`;
  }
  if (code === -2) return `destinations of group ${group} are up, but all are full for "${resources}"`;
  if (code === -3) return `no destination of group ${group} is up and left to try for "${resources}"`;
  if (code === -4) return `a resource of "${resources}" does not exist, or is named twice`;
  return `"${resources}" cannot be read as a list of resources`;
}

function flagLetters(flags: number): string {
  return ["n", "r", "s"].filter((_, bit) => (flags & (1 << bit)) !== 0).join("");
}
