import { setImmediate } from "node:timers/promises";
import type { Config } from "../config/index.ts";
import { parseHepUrl } from "../config/schema-tracing.ts";
import { type CaptureView, fromWire } from "../management/index.ts";
import { callIdOf } from "../observability/capture/call-id.ts";
import { MessageRing } from "../observability/capture/message-ring.ts";
import { withoutSecrets } from "../observability/capture/without-secrets.ts";
import { HepSender } from "../observability/hep/hep-sender.ts";
import { methodOf } from "../observability/hep/method-of.ts";
import type { Log } from "../proxy/index.ts";
import type { Endpoint } from "../transaction/index.ts";

/** Most messages of a call that are told; the first ones, as a call that is looked at went wrong when it began. */
export const MAX_TOLD_MESSAGES = 500;
const MIB = 1024 * 1024;
/** Most bytes of a call's messages that are told: more of them would keep the calls waiting while they are put into one answer. */
export const MAX_TOLD_BYTES: number = MIB;
/** Messages that are made readable in one go. */
const MESSAGES_A_TURN = 20;
const MICROSECONDS = 1_000;

export interface TracingPorts {
  readonly config: Pick<Config, "tracing">;
  /** The address of ours that a peer sees, for listeners on a wildcard. */
  readonly locals: { towards(remoteAddress: string): string };
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly log: Log;
}

/** Is told of each message on its way in and out. */
export type MessageTap = (text: string, peer: Endpoint) => void;

/** Copies of messages: a ring for whoever looks at a call later, and packets for a capture server. What nobody wants costs nothing: there is no tap then. */
export class Tracing {
  readonly #ports: TracingPorts;
  readonly #ring: MessageRing | undefined;
  readonly #hep: HepSender | undefined;
  /** Methods that are not copied to it. */
  readonly #skipped: ReadonlySet<string>;
  /** When the message came whose processing goes on; 0 while none is processed. What is sent meanwhile is as old: asking for the time takes 0.1 µs. */
  #receivedAtMs = 0;
  /** The packets of one millisecond keep their order by their microseconds, as there is no finer clock of the day. */
  #millisecond = 0;
  #ofMillisecond = 0;
  #hasFailed = false;

  constructor(ports: TracingPorts) {
    this.#ports = ports;
    const { ring_size, hep_url, hep_capture_id, hep_auth_key, hep_skip_methods } = ports.config.tracing;
    this.#skipped = new Set(hep_skip_methods);
    if (ring_size > 0) this.#ring = new MessageRing(ring_size * MIB);
    if (hep_url === null) return;
    this.#hep = new HepSender({
      server: parseHepUrl(hep_url),
      agent: { captureId: hep_capture_id, authKey: hep_auth_key ?? undefined },
      log: ports.log,
    });
  }

  /** For what is sent; absent when nobody wants it. */
  get sent(): MessageTap | undefined {
    return this.#isWanted ? (text, to) => this.#take(text, to, false) : undefined;
  }

  /** The same receiver, which this one looks over the shoulder of. */
  watching(receive: MessageTap): MessageTap {
    if (!this.#isWanted) return receive;
    const { wallMs } = this.#ports;
    return (text, source) => {
      this.#receivedAtMs = wallMs();
      this.#take(text, source, true);
      try {
        receive(text, source);
      } finally {
        this.#receivedAtMs = 0;
      }
    };
  }

  /** Plain counters, to be read anew each time. */
  get counters(): Record<string, number> {
    const ring = this.#ring;
    return {
      ...(ring !== undefined && { written: ring.written, too_large: ring.too_large, messages: ring.count }),
      ...(this.#hep !== undefined && { ...this.#hep.counters, hep_waiting_bytes: this.#hep.waitingBytes }),
    };
  }

  /** What management offers of this. */
  get management(): { capture?: (callId: string) => Promise<CaptureView> } {
    const ring = this.#ring;
    return ring === undefined ? {} : { capture: (callId) => viewOf(ring, callId) };
  }

  async close(): Promise<void> {
    await this.#hep?.close();
  }

  get #isWanted(): boolean {
    return this.#ring !== undefined || this.#hep !== undefined;
  }

  /** Whatever becomes of the copy, the message goes its way. */
  #take(text: string, peer: Endpoint, isReceived: boolean): void {
    try {
      const { address } = peer.listener;
      const local = address === "0.0.0.0" || address === "::" ? this.#ports.locals.towards(peer.address) : address;
      const atMs = this.#receivedAtMs === 0 ? this.#ports.wallMs() : this.#receivedAtMs;
      this.#ring?.write(text, peer, local, isReceived, atMs);
      if (this.#hep === undefined || (this.#skipped.size > 0 && this.#skipped.has(methodOf(text)))) return;
      this.#copy(this.#hep, text, peer, local, isReceived, Math.trunc(atMs));
    } catch (error) {
      if (!this.#hasFailed) this.#ports.log.error({ err: error }, "cannot copy a message for captures: further failures are not logged");
      this.#hasFailed = true;
    }
  }

  #copy(
    hep: HepSender,
    text: string,
    { transport, address, port, listener }: Endpoint,
    local: string,
    isReceived: boolean,
    ms: number,
  ): void {
    this.#ofMillisecond = ms === this.#millisecond ? Math.min(this.#ofMillisecond + 1, MICROSECONDS - 1) : 0;
    this.#millisecond = ms;
    const own = { address: local, port: listener.port };
    const other = { address, port };
    hep.send({
      source: isReceived ? other : own,
      target: isReceived ? own : other,
      isDatagram: transport === "udp",
      seconds: Math.trunc(ms / 1000),
      microseconds: (ms % 1000) * MICROSECONDS + this.#ofMillisecond,
      correlationId: callIdOf(text),
      text,
    });
  }
}

async function viewOf(ring: MessageRing, callId: string): Promise<CaptureView> {
  const { messages, omitted } = await ring.find(callId, { messages: MAX_TOLD_MESSAGES, bytes: MAX_TOLD_BYTES });
  const shown: CaptureView["messages"][number][] = [];
  for (const { atMs, isReceived, transport, local, localPort, remote, remotePort, text } of messages) {
    shown.push({
      time: new Date(atMs).toISOString(),
      direction: isReceived ? "in" : "out",
      transport,
      local: placeText(local, localPort),
      remote: placeText(remote, remotePort),
      message: fromWire(withoutSecrets(text)),
    });
    if (shown.length % MESSAGES_A_TURN === 0) await setImmediate();
  }
  const { oldestMs } = ring;
  return { messages: shown, omitted, oldest: oldestMs === undefined ? undefined : new Date(oldestMs).toISOString() };
}

function placeText(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
