import assert from "node:assert/strict";
import { canonicalIp } from "../../src/balancer/index.ts";
import {
  Dispatcher,
  type DispatcherOptions,
  type DispatchRequest,
  type KeyOf,
  parseListFile,
  type SelectFailure,
  type Selection,
  type StateChange,
  type UriKey,
  type UriTarget,
} from "../../src/dispatch/index.ts";
import { tryParseSipUri, uriParam } from "../../src/sip/uri.ts";
import { below, seededRandom } from "../support/random.ts";

/** Reads URIs as the program does. */
export function parseUri(text: string): UriTarget | undefined {
  const uri = tryParseSipUri(text);
  if (uri === undefined) return undefined;
  const transport = uriParam(uri, "transport")?.toLowerCase() ?? "";
  return { host: uri.host, port: uri.port ?? 0, transport, address: canonicalIp(uri.host) };
}

/** What Kamailio hashes of a URI whose host is in lower case. */
export function uriKey(text: string): UriKey {
  const uri = tryParseSipUri(text);
  assert.ok(uri !== undefined, text);
  const host = uri.host.includes(":") ? `[${uri.host}]` : uri.host;
  const usual = uri.scheme === "sips" ? 5061 : 5060;
  return { user: uri.user ?? "", host: uri.port === undefined || uri.port === usual ? host : `${host}:${uri.port}` };
}

/** A dispatcher over a list file, with chance from a seed and a clock that the test moves. */
export class Bench {
  readonly changes: StateChange[] = [];
  nowMs = 0;
  readonly dispatcher: Dispatcher;

  constructor(list: string, options: Partial<DispatcherOptions> = {}, seed = 1) {
    const chance = below(seededRandom(seed));
    this.dispatcher = new Dispatcher(
      { below: chance, nowMs: () => this.nowMs, parseUri, changed: (change) => this.changes.push(change) },
      options,
    );
    this.load(list);
  }

  load(list: string): void {
    const { records, problems } = parseListFile(list);
    assert.deepEqual([...problems, ...this.dispatcher.replace(records).problems], []);
  }

  /** URIs of a set in its order. */
  uris(setId = 1): string[] {
    return this.dispatcher.set(setId)?.destinations.map(({ uri }) => uri) ?? [];
  }

  /** A destination of set 1 by its position. */
  at(position: number, setId = 1) {
    const destination = this.dispatcher.set(setId)?.destinations[position];
    assert.ok(destination !== undefined);
    return destination;
  }
}

/** A request that is a call and has the keys. */
export function request(keys: Partial<Record<KeyOf, string | UriKey>> = {}, rest: Partial<DispatchRequest> = {}): DispatchRequest {
  return { keyOf: (key) => keys[key], isCall: true, ...rest };
}

/** A selection that was made. */
export function made(selection: Selection | SelectFailure): Selection {
  assert.ok(typeof selection !== "string", `nothing was selected: ${String(selection)}`);
  return selection;
}

/**
 * Chi-square of counts against the shares that they should have, over its bound: below 1 when chance explains them, but for one case in 100,000
 * (Wilson and Hilferty's approximation of the quantile).
 */
export function chiSquare(counts: readonly number[], shares: readonly number[]): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const weight = shares.reduce((sum, share) => sum + share, 0);
  const value = counts.reduce((sum, count, i) => sum + (count - (total * shares[i]!) / weight) ** 2 / ((total * shares[i]!) / weight), 0);
  const freedom = counts.length - 1;
  const quantile = freedom * (1 - 2 / (9 * freedom) + 4.265 * Math.sqrt(2 / (9 * freedom))) ** 3;
  return value / quantile;
}
