import type { FrameFault } from "./framer.ts";
import type { HeartbeatFault } from "./heartbeat.ts";

/** Why a connection ended, or did not come about. */
export type EslEnd =
  | "connect-failed"
  | "connect-timeout"
  | "handshake-timeout"
  | "login-refused"
  | "rude-rejection"
  | "subscription-refused"
  | "reply-timeout"
  | "broken-frame"
  | "flood"
  | "disconnect-notice"
  | "lost"
  | "stopped";

/** Plain counters of the connections to one FreeSWITCH, read by the statistics. */
export class EslCounters {
  /** Connections tried. */
  tries = 0;
  /** Connections that logged in and subscribed. */
  ready = 0;
  /** How connections ended. */
  readonly ends: Record<EslEnd, number> = {
    "connect-failed": 0,
    "connect-timeout": 0,
    "handshake-timeout": 0,
    "login-refused": 0,
    "rude-rejection": 0,
    "subscription-refused": 0,
    "reply-timeout": 0,
    "broken-frame": 0,
    flood: 0,
    "disconnect-notice": 0,
    lost: 0,
    stopped: 0,
  };
  /** Of the broken frames: what broke. */
  readonly frame_faults: Record<FrameFault, number> = {
    "header-too-long": 0,
    "too-many-headers": 0,
    "body-too-long": 0,
    "bad-content-length": 0,
    "too-many-fields": 0,
    "unexpected-format": 0,
    unreadable: 0,
  };
  bytes_received = 0;
  frames = 0;
  /** Commands sent, the login among them. */
  commands = 0;
  /** Replies to nothing that was asked. */
  unasked_replies = 0;
  /** Frames of a kind that means nothing to us. */
  ignored_frames = 0;
  /** Heartbeats that were used. */
  heartbeats = 0;
  /** Heartbeats that were not used, by what is wrong with them. */
  readonly bad_heartbeats: Record<HeartbeatFault, number> = { missing: 0, "not-a-number": 0, negative: 0, absurd: 0 };
  /** Calls that FreeSWITCH refused for lack of room. */
  refused_calls = 0;
}
