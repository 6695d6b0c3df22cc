import type { FailureCause } from "../proxy/ports.ts";
import { RoutingError } from "./errors.ts";

/** Status codes are 100 to 699 (RFC 3261 §7.2). */
const STATUS_END = 700;
/** How many patterns of scripts are remembered: each is written in a script's text, so few exist, unless a script builds them from traffic. */
const MAX_CACHED_PATTERNS = 256;

/** Words for what no response stands behind, and their places in a set: below all status codes. */
const WORDS: Readonly<Record<string, number>> = { timeout: 1, transport: 2 };

/** A set of status codes, one byte for each code, and of the words for failures without a response. */
export type StatusSet = Uint8Array;

/** Whether a set holds a status code; false for what is no status code. */
export function holdsStatus(set: StatusSet, status: number): boolean {
  return status >= 100 && set[status] === 1;
}

/** Whether a set holds a failure: by its status, which is 408 for a time-out and 503 for a transport error, or by its word. A refusal is both words. */
export function holdsFailure(set: StatusSet, status: number, cause: FailureCause | undefined): boolean {
  if (holdsStatus(set, status)) return true;
  if (cause === "refused") return set[WORDS["timeout"]!] === 1 || set[WORDS["transport"]!] === 1;
  return (cause === "timeout" && set[WORDS["timeout"]!] === 1) || (cause === "transport-error" && set[WORDS["transport"]!] === 1);
}

/**
 * Compiles a rule's list such as `["408", "5xx", "transport"]`; `x` stands for any digit. Only what can fail a branch may be named: 300 to 699,
 * and the words `timeout` and `transport` for what fails without a response.
 *
 * @param key the configuration key, for the message
 * @throws {RoutingError} for anything else
 */
export function compileStatusList(key: string, list: readonly (string | number)[]): StatusSet {
  const set = new Uint8Array(STATUS_END);
  for (const entry of list) {
    const text = String(entry);
    const word = Object.hasOwn(WORDS, text) ? WORDS[text] : undefined;
    if (word !== undefined) {
      set[word] = 1;
      continue;
    }
    if (!/^[3-6][0-9xX]{2}$/.test(text)) {
      throw new RoutingError(
        `Cannot use ${key} "${text}": want a status code from 300 to 699, such as "408", "50x" or "5xx", or the word "timeout" or "transport"`,
      );
    }
    const expression = new RegExp(`^${text.replace(/[xX]/g, "[0-9]")}$`);
    fill(set, expression);
  }
  return set;
}

/** Compiles the patterns of `call.statusIs()` once each: a regular expression that must match all three digits. */
export class StatusPatterns {
  readonly #sets = new Map<string, StatusSet>();

  /** @throws {RoutingError} when the pattern is no regular expression */
  matches(pattern: string, status: number): boolean {
    let set = this.#sets.get(pattern);
    if (!set) {
      set = compileStatusPattern(pattern);
      if (this.#sets.size >= MAX_CACHED_PATTERNS) this.#sets.clear();
      this.#sets.set(pattern, set);
    }
    return holdsStatus(set, status);
  }
}

function compileStatusPattern(pattern: string): StatusSet {
  let expression: RegExp;
  try {
    expression = new RegExp(`^(?:${pattern})$`);
  } catch (cause) {
    throw new RoutingError(`Cannot use status pattern "${pattern}": want a regular expression, such as "408|5.."`, { cause });
  }
  return fill(new Uint8Array(STATUS_END), expression);
}

function fill(set: StatusSet, expression: RegExp): StatusSet {
  for (let status = 100; status < STATUS_END; status++) {
    if (expression.test(String(status))) set[status] = 1;
  }
  return set;
}
