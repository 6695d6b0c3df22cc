import { headerOf, statusOf } from "./sip-messages.ts";

/** A message in the trace of a sipp. */
export interface TracedMessage {
  /** Wall clock, ms since 1970. */
  readonly atMs: number;
  readonly sent: boolean;
  readonly text: string;
}

/** One call as its caller saw it. */
export interface TracedCall {
  /** When its INVITE was sent first. */
  readonly startedAtMs: number;
  /** Final responses to the INVITE, each once. */
  readonly finals: readonly number[];
  /** When it was answered with 200; undefined: never. */
  readonly answeredAtMs: number | undefined;
  /** `address:port` of the destination that answered with 200, "" when none did. */
  readonly answeredBy: string;
  /** When the BYE was answered with 200; undefined: never. */
  readonly endedAtMs: number | undefined;
}

const ENTRY = /^-{40,} (\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}\.\d{3})\d*\n[A-Z]+ message (sent|received)[^\n]*\n\n/gm;

/** Takes the messages apart that a sipp with `trace` has written down. */
export function tracedMessages(trace: string): TracedMessage[] {
  const entries = [...trace.matchAll(ENTRY)];
  return entries.map((entry, index) => {
    const [head, day, time, direction] = entry;
    return {
      atMs: new Date(`${day}T${time}`).getTime(), // sipp writes local time
      sent: direction === "sent",
      text: trace.slice(entry.index + head.length, entries[index + 1]?.index),
    };
  });
}

/** The calls that a sipp with scenario "caller" has made, in the order of their INVITEs. */
export function tracedCalls(trace: string): TracedCall[] {
  const calls = new Map<
    string,
    { startedAtMs: number; finals: number[]; answeredAtMs: number | undefined; answeredBy: string; endedAtMs: number | undefined }
  >();
  for (const { atMs, sent, text } of tracedMessages(trace)) {
    const callId = headerOf(text, "Call-ID");
    const call = calls.get(callId);
    if (sent) {
      if (call === undefined)
        calls.set(callId, { startedAtMs: atMs, finals: [], answeredAtMs: undefined, answeredBy: "", endedAtMs: undefined });
      continue;
    }
    const status = statusOf(text);
    if (call === undefined || status < 200) continue;
    if (headerOf(text, "CSeq").endsWith(" BYE")) {
      if (status === 200) call.endedAtMs ??= atMs;
    } else {
      if (!call.finals.includes(status)) call.finals.push(status);
      if (status !== 200) continue;
      call.answeredAtMs ??= atMs;
      call.answeredBy = /^<sip:[^@]*@([^>]+)>/.exec(headerOf(text, "Contact"))?.[1] ?? "";
    }
  }
  return [...calls.values()];
}

/** Most calls that were up at the same time, each from its answer on for `holdMs`. */
export function mostAtATime(calls: readonly TracedCall[], holdMs: number): number {
  const answers = calls.flatMap(({ answeredAtMs }) => answeredAtMs ?? []).toSorted((a, b) => a - b);
  return Math.max(0, ...answers.map((ms, index) => answers.slice(0, index + 1).filter((other) => other + holdMs > ms).length));
}
