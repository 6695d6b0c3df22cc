import { Balancer, type DestinationRow, parseResources, type StatusChange } from "../../src/balancer/index.ts";
import { compileReplyCodes } from "../../src/health/index.ts";
import { ProbeLine, Prober, type ProbeSettings, type ProbeSocket } from "../../src/probing/index.ts";
import { type Endpoint, type SendOwner, TICK_MS, TimerWheel } from "../../src/transaction/index.ts";
import { below, seededRandom } from "../support/random.ts";
import { headerOf, responseTo } from "../support/sip-messages.ts";

export const INTERVAL_MS = 30_000;
export const TIMEOUT_MS = 5_000;
const WALL_MS = 1_700_000_000_000;

/** One message that went out. */
export interface Sent {
  readonly atMs: number;
  readonly text: string;
  readonly to: Endpoint;
  readonly owner: SendOwner | undefined;
  readonly from: FakeSocket;
}

/** What a destination does with a probe: a status code, silence, or an error of sending that tells of the destination, or of this machine. */
export type Behaviour = number | "silence" | "unsent" | "no route";

type Record = (socket: FakeSocket, text: string, to: Endpoint, owner: SendOwner | undefined) => void;

/** A socket that only records. */
export class FakeSocket implements ProbeSocket {
  readonly transport = "udp";
  readonly port = 40_000;
  readonly address: string;
  readonly family: 4 | 6;
  closed = false;
  readonly #send: Record;

  constructor(address: string, send: Record) {
    this.address = address;
    this.family = address.includes(":") ? 6 : 4;
    this.#send = send;
  }

  sentByFor(): string {
    return this.family === 6 ? `[${this.address}]:${this.port}` : `${this.address}:${this.port}`;
  }

  send(text: string, to: Endpoint, owner?: SendOwner): void {
    this.#send(this, text, to, owner);
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

/** A row of the table whose address is that of its URI. */
export function row(id: number, probeMode: 0 | 1 | 2, over: Partial<DestinationRow> = {}): DestinationRow {
  const ip = `192.0.2.${id}`;
  return {
    id,
    group: 1,
    uri: `sip:${ip}`,
    resources: parseResources("pstn=100"),
    probeMode,
    attrs: undefined,
    description: undefined,
    addresses: [{ ip, port: 5060, transport: "udp" }],
    ...over,
  };
}

/** The real prober, balancer and transactions between a wire that only records and a clock that only moves when told to: that of the wheel. */
export class ProbeBench {
  readonly wheel = new TimerWheel(0, (error) => this.faults.push(error));
  readonly faults: unknown[] = [];
  readonly changes: StatusChange[] = [];
  readonly balancer: Balancer;
  readonly line: ProbeLine;
  readonly prober: Prober;
  readonly sockets: FakeSocket[] = [];
  readonly sent: Sent[] = [];
  readonly logged: { level: string; message: string }[] = [];
  /** By address of the destination; silence without one. */
  readonly behaviours = new Map<string, Behaviour>();
  /** The addresses of this machine by the networks they are in, each with its first three numbers; else the first address. */
  networks: { readonly [network: string]: string } = {};
  /** How long an answer takes. */
  answerMs = 0;
  #tokens = 0;

  constructor(rows: readonly DestinationRow[], settings: Partial<ProbeSettings> = {}, addresses: readonly string[] = ["198.51.100.1"]) {
    const random = seededRandom(7);
    this.balancer = new Balancer({
      below: below(random),
      onStatus: (change) => {
        this.changes.push(change);
        this.prober.statusChanged(change);
      },
      onFault: (text) => this.faults.push(text),
    });
    this.balancer.replaceTable(rows);
    const log = (level: string) => (_fields: object, message: string) => this.logged.push({ level, message });
    this.line = new ProbeLine({
      addresses,
      towards: (address) => this.networks[address.split(".").slice(0, 3).join(".")] ?? addresses[0] ?? "",
      openSocket: async (address) => {
        const socket = new FakeSocket(address, (from, text, to, owner) => this.#sent({ atMs: this.nowMs, text, to, owner, from }));
        this.sockets.push(socket);
        return socket;
      },
      wheel: this.wheel,
      chance: { token: () => `tok${(++this.#tokens).toString(36).padStart(13, "0")}` },
      nowMs: () => this.nowMs,
      userAgent: "headroom",
    });
    this.prober = new Prober({
      settings: {
        intervalMs: INTERVAL_MS,
        fastIntervalMs: 0,
        jitter: 0,
        method: "OPTIONS",
        from: "sip:prober@localhost",
        accepted: compileReplyCodes([]),
        verbose: false,
        rise: 1,
        fall: 1,
        timeoutMs: TIMEOUT_MS,
        ...settings,
      },
      balancer: this.balancer,
      line: this.line,
      wheel: this.wheel,
      nowMs: () => this.nowMs,
      wallMs: () => WALL_MS + this.nowMs,
      random,
      log: { debug: log("debug"), info: log("info"), warn: log("warn") },
    });
  }

  static async started(...parameters: ConstructorParameters<typeof ProbeBench>): Promise<ProbeBench> {
    const bench = new ProbeBench(...parameters);
    await bench.prober.start();
    return bench;
  }

  get nowMs(): number {
    return this.wheel.nowMs;
  }

  run(ms: number): void {
    this.wheel.advance(this.nowMs + ms);
  }

  /** Lets time pass up to the middle between two turns of the first destination, so that it has one more turn, and the end of that. */
  turn(): void {
    this.run((Math.floor(this.nowMs / INTERVAL_MS - 0.5) + 1.5) * INTERVAL_MS - this.nowMs);
  }

  /** Replaces the table as a reload does. */
  reload(rows: readonly DestinationRow[]): void {
    this.balancer.replaceTable(rows);
    this.prober.tableChanged();
  }

  isEnabled(id: number): boolean {
    return this.balancer.isEnabled(this.balancer.destination(id)!);
  }

  /** What was sent, each probe once: retransmissions are left out. */
  get probes(): Sent[] {
    const seen = new Set<string>();
    return this.sent.filter(({ text }) => !seen.has(headerOf(text, "Via")) && seen.add(headerOf(text, "Via")));
  }

  /** Times at which probes to this destination left. */
  timesOf(id: number): number[] {
    return this.probes.filter(({ to }) => to.address === `192.0.2.${id}`).map(({ atMs }) => atMs);
  }

  /** A reply to `probe` from where it went, or from elsewhere. */
  reply(probe: Sent, status: number, from: Partial<Endpoint> = {}): void {
    this.line.receive(responseTo(probe.text, status, { toTag: "peer" }), { ...probe.to, ...from });
  }

  #sent(sent: Sent): void {
    this.sent.push(sent);
    const behaviour = this.behaviours.get(sent.to.address) ?? "silence";
    if (behaviour === "silence") return;
    const act = (): void => {
      if (behaviour === "unsent") sent.owner?.transportError(`send ECONNREFUSED ${sent.to.address}:5060`);
      else if (behaviour === "no route") sent.owner?.transportError(`send EINVAL ${sent.to.address}:5060`);
      else this.reply(sent, behaviour);
    };
    this.wheel.schedule(Math.max(TICK_MS, this.answerMs), { timerFired: act }, 0, this.nowMs);
  }
}
