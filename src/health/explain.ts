import type { Balancer, DestinationView, Looks, SkipReason, TableView } from "../balancer/index.ts";

/** Most decisions of one call that are told: the latest. A call that goes further tries the same destinations again and again. */
export const MAX_DECISIONS = 16;

/**
 * Every remembered decision for the call, readable; `undefined` when there is none.
 *
 * @param timeText how a time is shown
 */
export function explain(looks: Looks, callId: string, timeText: (atMs: number) => string): object | undefined {
  const all = looks.of(callId);
  if (all.length === 0) return undefined;
  const decisions = all.slice(-MAX_DECISIONS).map(({ atMs, attempt, group, resources, flags, view }) => ({
    at: timeText(atMs),
    attempt,
    group,
    resources,
    flags: flagLetters(flags),
    ...describeView(view, group, resources),
  }));
  const omitted = all.length - decisions.length;
  return { Decisions: decisions, ...(omitted > 0 && { decisions_omitted: omitted }) };
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
  caller: "the call comes from it",
  tried: "this call has tried it before",
  "disabled-by-operator": "a management command or the end of a drain has disabled it",
  disabled: "a probe or a script has disabled it",
  draining: "it is being drained",
  leaving: "its registration has ended, and its calls are left to end",
  withdrawn: "FreeSWITCH is paused, shuts down, or has not been heard of for too long",
  "breaker-open": "its breaker is open: too many of its calls failed",
  resting: "it asked for a rest with Retry-After",
  "calls-per-second": "it has had its calls of this second",
  "slow-start": "it is starting slowly: it has what it may have of its pool by now",
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
  if (code === -2) return `destinations of group ${group} are up and left to try, but none has room for "${resources}" now`;
  if (code === -3) return `no destination of group ${group} is up and left to try for "${resources}"`;
  if (code === -4) return `a resource of "${resources}" does not exist, or is named twice`;
  return `"${resources}" cannot be read as a list of resources`;
}

function flagLetters(flags: number): string {
  return ["n", "r", "s"].filter((_, bit) => (flags & (1 << bit)) !== 0).join("");
}
