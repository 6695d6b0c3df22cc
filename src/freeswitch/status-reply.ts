import { MAX_SESSIONS } from "./limits.ts";

/** What `api status` says, as far as it could be read: a missing line leaves its part out. */
export interface StatusReply {
  /** False while the server is paused for both directions; `pause inbound` does not show here. */
  readonly ready?: boolean;
  readonly sessionCount?: number;
  readonly maxSessions?: number;
  /** Calls are refused while `idleCpuPercent` is below; 0: never. */
  readonly minIdleCpuPercent?: number;
  readonly idleCpuPercent?: number;
}

/** Longest reply that is looked at; a real one has 350 bytes. */
const MAX_REPLY_CHARS = 4096;

/** Reads the answer to `api status` (mod_commands). */
export function parseStatus(reply: string): StatusReply {
  const text = reply.slice(0, MAX_REPLY_CHARS);
  const readiness = /^FreeSWITCH \(.*\) is (not )?ready$/m.exec(text);
  const sessions = /^(\d{1,10}) session\(s\)(?: -)? peak/m.exec(text) ?? /^(\d{1,10}) session\(s\)$/m.exec(text);
  const most = /^(\d{1,10}) session\(s\) max$/m.exec(text);
  const idle = /^min idle cpu (\d{1,3}(?:\.\d{1,6})?)\/(\d{1,3}(?:\.\d{1,6})?)$/m.exec(text);
  const sessionCount = sessionNumber(sessions?.[1], 0);
  const maxSessions = sessionNumber(most?.[1], 1);
  return {
    ...(readiness && { ready: readiness[1] === undefined }),
    ...(sessionCount !== undefined && { sessionCount }),
    ...(maxSessions !== undefined && { maxSessions }),
    ...(idle && { minIdleCpuPercent: Number(idle[1]), idleCpuPercent: Number(idle[2]) }),
  };
}

/** Reads the answer to `api fsctl sps`, such as `+OK sessions per second: 30`. @returns undefined when it is another answer */
export function parseSessionsPerSecond(reply: string): number | undefined {
  const [, digits] = /^\+OK sessions per second: (\d{1,10})\s*$/.exec(reply.slice(0, MAX_REPLY_CHARS)) ?? [];
  return sessionNumber(digits, 0);
}

/** Reads the answer to `api fsctl pause_check inbound` and `api fsctl shutdown_check`. @returns undefined when it is neither yes nor no */
export function parseYesNo(reply: string): boolean | undefined {
  const text = reply.trim();
  return text === "true" ? true : text === "false" ? false : undefined;
}

function sessionNumber(digits: string | undefined, min: number): number | undefined {
  const value = Number(digits);
  return digits === undefined || value < min || value > MAX_SESSIONS ? undefined : value;
}
