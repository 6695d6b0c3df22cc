import { MAX_SESSIONS } from "./limits.ts";

/** What a HEARTBEAT event says, checked. */
export interface Heartbeat {
  /** `Session-Count`: sessions at this moment; each leg of a call is one. It may exceed `maxSessions`. */
  readonly sessionCount: number;
  /** `Max-Sessions`: at least 1. */
  readonly maxSessions: number;
  /** `Idle-CPU`: 0 to 100 percent of the whole machine, averaged over 30 s. */
  readonly idleCpuPercent: number;
  /** `Core-UUID`: another one means that FreeSWITCH was started again; empty when not told. */
  readonly coreUuid: string;
}

/** What is wrong with a heartbeat that is not used. */
export type HeartbeatFault = "missing" | "not-a-number" | "negative" | "absurd";

export type HeartbeatReading = { readonly heartbeat: Heartbeat } | { readonly fault: HeartbeatFault; readonly field: string };

const INTEGER = /^-?[0-9]{1,20}$/;
/** FreeSWITCH prints it with `%f`: six digits behind the point. */
const DECIMAL = /^-?[0-9]{1,20}(?:\.[0-9]{1,20})?$/;
const MAX_UUID_CHARS = 64;

/**
 * Reads the fields of a HEARTBEAT. One field that is missing, no number, negative or impossible makes the whole heartbeat worthless: half of it,
 * beside old values, would be a state that the server never was in. A Max-Sessions of 0 is impossible: FreeSWITCH ignores such a setting.
 */
export function readHeartbeat(fields: ReadonlyMap<string, string>): HeartbeatReading {
  const sessionCount = readNumber(fields, "Session-Count", INTEGER, 0, MAX_SESSIONS);
  if (typeof sessionCount !== "number") return sessionCount;
  const maxSessions = readNumber(fields, "Max-Sessions", INTEGER, 1, MAX_SESSIONS);
  if (typeof maxSessions !== "number") return maxSessions;
  const idleCpuPercent = readNumber(fields, "Idle-CPU", DECIMAL, 0, 100);
  if (typeof idleCpuPercent !== "number") return idleCpuPercent;
  const coreUuid = (fields.get("Core-UUID") ?? "").slice(0, MAX_UUID_CHARS);
  return { heartbeat: { sessionCount, maxSessions, idleCpuPercent, coreUuid } };
}

function readNumber(
  fields: ReadonlyMap<string, string>,
  field: string,
  form: RegExp,
  min: number,
  max: number,
): number | { fault: HeartbeatFault; field: string } {
  const text = fields.get(field)?.trim();
  if (text === undefined || text === "") return { fault: "missing", field };
  if (!form.test(text)) return { fault: "not-a-number", field };
  const value = Number(text);
  if (value < 0) return { fault: "negative", field };
  if (value < min || value > max) return { fault: "absurd", field };
  return value;
}
