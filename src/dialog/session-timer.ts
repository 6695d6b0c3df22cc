import { ownText } from "../balancer/index.ts";
import { H, type SipMessage, type SipResponse } from "../sip/index.ts";
import type { Dialog } from "./dialog.ts";
import type { DialogTableOptions } from "./ports.ts";

/** Shortest session that may be agreed on (RFC 4028 §5), seconds: what says less would end calls that are fine. */
const MIN_SESSION_S = 90;
/** Who sees the session end sends BYE or a last refresh then: as long as that may be repeated (64 * T1) the call is kept. */
const GRACE_MS = 32_000;
/** Longest session description that is kept for a ping, in bytes. */
const MAX_SESSION_BYTES = 4_096;

/** How long a call may last without another refresh, in milliseconds, by a 2xx to INVITE or UPDATE; undefined when the parties keep no session timer (RFC 4028 §4, §8). */
function sessionLifeMs(response: SipResponse): number | undefined {
  const value = response.value(H.SessionExpires);
  if (value === undefined) return undefined;
  const digits = /^\s*(\d{1,10})\s*(?:;|$)/.exec(value)?.[1];
  return digits === undefined ? undefined : Math.max(Number(digits), MIN_SESSION_S) * 1000 + GRACE_MS;
}

/** The session description that a message carries; undefined without one, "" for one that is not kept. */
export function sessionOf(message: SipMessage): string | undefined {
  const { body } = message;
  if (body === "") return undefined;
  const isSdp = /^\s*application\/sdp\s*(?:;|$)/i.test(message.header("Content-Type") ?? "");
  return isSdp && body.length <= MAX_SESSION_BYTES ? ownText(body) : "";
}

/** Longest lifetime of a call that another node began, 497 days: what it says is no reason to keep anything longer than the timers can. */
const MAX_LIFETIME_MS = 2 ** 32 * 10;

/** Notes whether the parties keep a session timer, and answers when the lifetime of a call that is up ends, by the wall clock: milliseconds since 1970. */
export function endMs(
  dialog: Pick<Dialog, "startedAtMs" | "hasSessionTimer">,
  response: SipResponse | undefined,
  { wallMs, defaultTimeoutMs }: Pick<DialogTableOptions, "wallMs" | "defaultTimeoutMs">,
): number {
  const sessionMs = response && sessionLifeMs(response);
  dialog.hasSessionTimer = sessionMs !== undefined;
  const nowMs = wallMs();
  return Math.min(Math.min(dialog.startedAtMs, nowMs) + defaultTimeoutMs, nowMs + (sessionMs ?? MAX_LIFETIME_MS)); // as in leftMs
}

/** How long a restored call still has, in milliseconds. A wall clock that was set back since the call began gives it no longer life than it had then. */
export function leftMs({ startedAtMs, expiresAtMs }: Pick<Dialog, "startedAtMs" | "expiresAtMs">, wallMs: number): number {
  return Math.max(0, Math.min(expiresAtMs - wallMs, expiresAtMs - startedAtMs, MAX_LIFETIME_MS));
}
