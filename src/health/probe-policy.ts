/** Status codes are 100 to 699 (RFC 3261 §7.2). */
const STATUS_END = 700;
/** A code, or a class of codes: `x` stands for any digit. */
const REPLY_CODE = /^[1-6][0-9x]{2}$/i;

/** Replies to a probe that count as alive besides 200: one byte for each status code. */
export type ReplyCodes = Uint8Array;

/**
 * What a probe says of a destination: it is alive, it is not, or nothing.
 * A probe that nobody answered, or that could not be sent, is always "bad".
 */
export type Verdict = "good" | "bad" | "neutral";

/** When probes are believed: how many of a kind it takes in a row. Both 1 in OpenSIPS. */
export interface ProbeThresholds {
  /** Good probes in a row that enable a disabled destination, from 1. */
  readonly rise: number;
  /** Bad probes in a row that disable an enabled one, from 1. */
  readonly fall: number;
}

/** A destination as its probes see it. */
export interface ProbedStatus {
  readonly enabled: boolean;
  /** False while a management command holds it disabled. */
  readonly autoReenable: boolean;
  /** Probes in a row that speak against `enabled`, and have not yet changed it. */
  readonly streak: number;
}

/** What follows of one probe. */
export interface ProbeStep {
  readonly change: "enable" | "disable" | undefined;
  /** The streak from now on. */
  readonly streak: number;
}

/**
 * Compiles `probing_reply_codes`: numbers, texts such as "404" and "5xx", and lists in one text such as "501, 403".
 *
 * @throws {RangeError} for anything else
 */
export function compileReplyCodes(list: readonly (string | number)[]): ReplyCodes {
  const codes = new Uint8Array(STATUS_END);
  for (const entry of list) {
    for (const part of String(entry).split(",")) {
      const pattern = part.trim();
      if (!REPLY_CODE.test(pattern)) {
        throw new RangeError(`Cannot use probing_reply_codes "${pattern}": want a status code or a class of them, such as "404" or "5xx"`);
      }
      const expression = new RegExp(`^${pattern.replace(/x/gi, "[0-9]")}$`);
      for (let status = 100; status < STATUS_END; status++) if (expression.test(String(status))) codes[status] = 1;
    }
  }
  return codes;
}

/**
 * What a final reply says: 200 and the accepted codes are good, any other from 400 is bad, the rest says nothing.
 * Source: OpenSIPS `load_balancer.c`, `set_dst_state_from_rplcode`.
 */
export function judgeReply(status: number, accepted: ReplyCodes): Verdict {
  if (status === 200 || accepted[status] === 1) return "good";
  return status >= 400 ? "bad" : "neutral";
}

/**
 * Whether a destination is probed now: never in mode 0, while disabled in mode 1, always in mode 2; and in no mode while a management command
 * holds it disabled. Source: OpenSIPS `lb_prober.c`.
 */
export function isProbed(mode: 0 | 1 | 2, enabled: boolean, autoReenable: boolean): boolean {
  return autoReenable && (mode === 2 || (mode === 1 && !enabled));
}

/**
 * What one probe changes. The probe mode plays no part: a probe that is under way is heard out.
 * With both thresholds at 1 this is OpenSIPS `set_dst_state_from_rplcode`.
 */
export function stepStatus(status: ProbedStatus, verdict: Verdict, thresholds: ProbeThresholds): ProbeStep {
  const { enabled, autoReenable, streak } = status;
  if (verdict === "neutral") return { change: undefined, streak };
  const speaksAgainst = verdict === "good" ? !enabled && autoReenable : enabled;
  if (!speaksAgainst) return { change: undefined, streak: 0 };
  const threshold = verdict === "good" ? thresholds.rise : thresholds.fall;
  if (streak + 1 < threshold) return { change: undefined, streak: streak + 1 };
  return { change: verdict === "good" ? "enable" : "disable", streak: 0 };
}
