import { Overload, type OverloadSettings } from "../../src/overload/index.ts";
import type { OverloadChange, OverloadPorts } from "../../src/overload/overload.ts";
import type { BanChange } from "../../src/overload/source-rates.ts";
import { parseMessage, type SipRequest } from "../../src/sip/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type RequestParts, request } from "../support/sip-messages.ts";

/** What is limited in tests unless they say otherwise: 10 requests in 2 s, bans of a minute. */
export const SETTINGS: OverloadSettings = {
  rate: { unitMs: 2_000, density: 10, banMs: 60_000 },
  load: { maxLagMs: 200, maxUtilization: 0.98 },
  maxBacklog: 0.5,
  newCallsPerSecond: 0,
  retryAfterS: 7,
  scanners: ["friendly-scanner", "sipvicious"],
  scannerAnswer: "silence",
};

/** The limits with a clock that is moved by hand. */
export function limits(over: Partial<OverloadSettings> = {}, ports: Partial<OverloadPorts> = {}) {
  const clock = new FakeClock(1_000_000);
  const bans: BanChange[] = [];
  const changes: OverloadChange[] = [];
  const overload = new Overload(
    { ...SETTINGS, ...over },
    {
      seed: 4_711,
      nowMs: clock.now,
      isExempt: () => false,
      onBan: (change) => bans.push(change),
      onOverload: (change) => changes.push(change),
      ...ports,
    },
  );
  return { overload, clock, bans, changes };
}

/** A request as the parser makes it. */
export function parsed(parts: RequestParts = {}): SipRequest {
  const message = parseMessage(request(parts));
  if (message.kind !== "request") throw new Error("Cannot use the request: it is malformed");
  return message as SipRequest;
}

export function bytesOf(text: string): Buffer {
  return Buffer.from(text, "latin1");
}
