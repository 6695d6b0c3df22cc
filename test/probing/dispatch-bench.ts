import type { Address } from "../../src/balancer/index.ts";
import type { DispatcherOptions } from "../../src/dispatch/index.ts";
import { DispatchProber, type DispatchProbeSettings, ProbeLine } from "../../src/probing/index.ts";
import { TICK_MS, TimerWheel } from "../../src/transaction/index.ts";
import { Bench, parseUri } from "../dispatch/support.ts";
import { seededRandom } from "../support/random.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";
import { type Behaviour, FakeSocket, type Sent } from "./probe-bench.ts";

export const PING_INTERVAL_MS = 10_000;
export const PING_TIMEOUT_MS = 4_000;

/** The dispatcher's prober over a real dispatcher and transactions, between a wire that only records and a clock that only moves when told to. */
export class DispatchProbeBench {
  readonly faults: unknown[] = [];
  readonly wheel = new TimerWheel(0, (error) => this.faults.push(error));
  readonly bench: Bench;
  readonly line: ProbeLine;
  readonly prober: DispatchProber;
  readonly sent: Sent[] = [];
  readonly logged: string[] = [];
  /** By address and port of the destination; silence without one. */
  readonly behaviours = new Map<string, Behaviour>();
  /** Addresses of hosts; those that stand here with a promise are looked up first. */
  readonly hosts = new Map<string, readonly Address[] | Promise<readonly Address[]>>();
  answerMs = TICK_MS;
  mayProbe = true;
  #tokens = 0;

  constructor(
    list: string,
    options: Partial<DispatcherOptions> = {},
    settings: Partial<DispatchProbeSettings> = {},
    addresses: readonly string[] = ["198.51.100.1"],
  ) {
    const random = seededRandom(5);
    this.bench = new Bench(list, options);
    this.line = new ProbeLine({
      addresses,
      towards: () => addresses[0] ?? "",
      openSocket: async (address) =>
        new FakeSocket(address, (from, text, to, owner) => this.#sent({ atMs: this.wheel.nowMs, text, to, owner, from })),
      wheel: this.wheel,
      chance: { token: () => `tok${(++this.#tokens).toString(36).padStart(13, "0")}` },
      nowMs: () => this.wheel.nowMs,
      userAgent: "headroom",
    });
    this.prober = new DispatchProber({
      settings: {
        intervalMs: PING_INTERVAL_MS,
        jitter: 0,
        method: "OPTIONS",
        from: "sip:dispatcher@localhost",
        timeoutMs: PING_TIMEOUT_MS,
        isMeasured: true,
        ...settings,
      },
      dispatcher: this.bench.dispatcher,
      line: this.line,
      locate: (uri) => this.#locate(uri),
      mayProbe: () => this.mayProbe,
      leaveFrom: ({ attributes: { socket, pingSocket } }) => (pingSocket || socket).split(":")[1],
      wheel: this.wheel,
      nowMs: () => this.wheel.nowMs,
      random,
      log: { debug: () => undefined, info: () => undefined, warn: (_fields, message) => this.logged.push(message) },
    });
  }

  static async started(...parameters: ConstructorParameters<typeof DispatchProbeBench>): Promise<DispatchProbeBench> {
    const bench = new DispatchProbeBench(...parameters);
    await bench.prober.start();
    return bench;
  }

  run(ms: number): void {
    this.wheel.advance(this.wheel.nowMs + ms);
  }

  /** Each probe once: retransmissions are left out. */
  get probes(): Sent[] {
    const seen = new Set<string>();
    return this.sent.filter(({ text }) => !seen.has(headerOf(text, "Via")) && seen.add(headerOf(text, "Via")));
  }

  /** Request-URIs of the probes. */
  get asked(): string[] {
    return this.probes.map(({ text }) => text.split(" ", 2)[1] ?? "");
  }

  #locate(uri: string): readonly Address[] | Promise<readonly Address[]> {
    const target = parseUri(uri);
    const known = target && this.hosts.get(target.host);
    if (known !== undefined) return known;
    return target?.address === undefined ? [] : [{ ip: target.address, port: target.port || 5060, transport: "udp" }];
  }

  #sent(sent: Sent): void {
    this.sent.push(sent);
    const { address, port } = sent.to;
    const behaviour = this.behaviours.get(`${address}:${port}`) ?? "silence";
    if (behaviour === "silence") return;
    const act = (): void => {
      if (behaviour === "unsent") sent.owner?.transportError(`send ECONNREFUSED ${address}:${port}`);
      else if (behaviour === "no route") sent.owner?.transportError(`send EINVAL ${address}:${port}`);
      else this.line.receive(responseTo(sent.text, behaviour, { toTag: "peer" }), sent.to);
    };
    this.wheel.schedule(this.answerMs, { timerFired: act }, 0, this.wheel.nowMs);
  }
}
