import { Balancer, CallLoad, type Destination, type DestinationRow, parseResources } from "../../src/balancer/index.ts";
import type { FailureCause, Log, ProxyCall } from "../../src/proxy/ports.ts";
import { parseMessage, SipRequest, type SipResponse } from "../../src/sip/index.ts";

export interface Reply {
  readonly status: number;
  readonly reason: string | undefined;
  readonly headers: readonly (readonly [string, string])[];
}

/** What relay() was to send, and where to. */
export interface Sent {
  readonly requestUri: string;
  readonly destinationUri: string | undefined;
  readonly target: number | undefined;
  /** Absent unless it was set. */
  readonly answerWithinMs?: number;
  readonly headers: readonly (readonly [string, string])[];
}

export interface FakeCallOptions {
  readonly method?: string;
  readonly uri?: string;
  /** Lines without line ends. */
  readonly headers?: readonly string[];
  readonly body?: string;
  readonly address?: string;
  readonly port?: number;
}

/** Stands for the proxy's side of one call: keeps what routing decides, releases the leases when the call ends. */
export class FakeCall implements ProxyCall {
  readonly request: SipRequest;
  readonly source: ProxyCall["source"];
  readonly callId: string;
  readonly variables = new Map<string, unknown>();
  readonly replies: Reply[] = [];
  readonly sent: Sent[] = [];
  requestUri: string;
  destinationUri: string | undefined;
  guard: ProxyCall["guard"];
  exemptUri: string | undefined;
  forkTo: NonNullable<ProxyCall["forkTo"]> = [];
  cancelled = false;
  response: SipResponse | undefined;
  status = 0;
  failureCause: FailureCause | undefined;
  failovers = 0;
  ageMs = 0;
  answerWithinMs: number | undefined;
  cutShort = false;
  dialogOpened = false;
  dropped = false;
  /** Destination URIs that cannot be used. */
  readonly unusable = new Set<string>();
  readonly #balancer: Balancer;
  /** Before the dialog there is another load than in it: what is counted too early is lost. */
  #load = new CallLoad();
  readonly #headers: (readonly [string, string])[] = [];
  #target: Destination | undefined;
  #answered = false;

  constructor(balancer: Balancer, options: FakeCallOptions = {}) {
    this.#balancer = balancer;
    this.request = buildFakeRequest(options);
    this.requestUri = this.request.uri;
    this.callId = this.request.callId;
    const { address = "192.0.2.200", port = 5060 } = options;
    const family = address.includes(":") ? 6 : 4;
    const listener = { transport: "udp", address: "192.0.2.1", port: 5060, family, sentByFor: () => "192.0.2.1" } as const;
    this.source = { transport: "udp", address, port, listener };
  }

  get load(): CallLoad {
    return this.#load;
  }

  dialogFlags = 0;

  openDialog(flags = 0): void {
    this.dialogFlags |= flags;
    if (this.dialogOpened || this.request.method !== "INVITE") return;
    this.dialogOpened = true;
    this.#load = new CallLoad();
    this.#load.opened = true;
  }

  setTarget(destination: Destination | undefined): void {
    this.#target = destination;
  }

  relay(): boolean {
    const { requestUri, destinationUri, answerWithinMs } = this;
    if (this.cancelled || this.#answered || (destinationUri && this.unusable.has(destinationUri))) return false;
    const within = answerWithinMs === undefined ? {} : { answerWithinMs };
    this.sent.push({ requestUri, destinationUri, target: this.#target?.id, headers: [...this.#headers], ...within });
    this.answerWithinMs = undefined;
    return true;
  }

  reply(status: number, reason?: string, headers: readonly (readonly [string, string])[] = []): boolean {
    if (this.#answered) return false;
    this.replies.push({ status, reason, headers });
    if (status >= 200) this.end();
    return true;
  }

  drop(): void {
    this.dropped = true;
    this.end();
  }

  addHeader(name: string, value: string): void {
    this.#headers.push([name, value]);
  }

  removeHeader(name: string): void {
    this.#headers.push([name, "(removed)"]);
  }

  /** The branch on its way fails: what the proxy sets before it asks failure(). */
  failBranch(status: number, cause: FailureCause = "response"): this {
    this.status = status;
    this.failureCause = cause;
    this.failovers++;
    return this;
  }

  /** The call is over: its leases are released. */
  end(): void {
    this.#answered = true;
    this.#balancer.release(this.load);
    this.load.closed = true;
  }
}

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** A log that keeps its lines. */
export class FakeLog implements Log {
  readonly lines: LogLine[] = [];
  debug(fields: object, message: string): void {
    this.#add("debug", fields, message);
  }
  info(fields: object, message: string): void {
    this.#add("info", fields, message);
  }
  warn(fields: object, message: string): void {
    this.#add("warn", fields, message);
  }
  error(fields: object, message: string): void {
    this.#add("error", fields, message);
  }
  #add(level: LogLine["level"], fields: object, message: string): void {
    this.lines.push({ level, fields: { ...fields }, message });
  }
}

/** A balancer whose destinations have ids from 1, addresses 192.0.2.ID:5060, and the given resources in group 1 (or `[group, resources]`). */
export function makeBalancer(...table: (string | readonly [number, string])[]): Balancer {
  const balancer = new Balancer({ below: () => 0 });
  const rows = table.map((entry, i): DestinationRow => {
    const id = i + 1;
    const [group, resources] = typeof entry === "string" ? [1, entry] : entry;
    return {
      id,
      group,
      uri: uriOf(id),
      resources: parseResources(resources),
      probeMode: 0,
      attrs: `attrs-${id}`,
      description: undefined,
      addresses: [{ ip: `192.0.2.${id}`, port: 5060, transport: "udp" }],
    };
  });
  balancer.replaceTable(rows);
  return balancer;
}

export function uriOf(id: number): string {
  return `sip:192.0.2.${id}:5060`;
}

/** The loads of one resource, by destination in id order. */
export function loadsOf(balancer: Balancer, resource: string): number[] {
  return balancer.destinations().map(({ resources }) => {
    const cell = resources.find(({ name }) => name === resource)?.cell;
    return cell === undefined ? 0 : balancer.load(cell);
  });
}

function buildFakeRequest({ method = "INVITE", uri = "sip:1000@balancer.example", headers = [], body = "" }: FakeCallOptions): SipRequest {
  const raw = [
    `${method} ${uri} SIP/2.0`,
    "Via: SIP/2.0/UDP 192.0.2.200:5060;branch=z9hG4bKfake;rport",
    "Max-Forwards: 70",
    'From: "Ali" <sip:alice@example.net>;tag=from-tag',
    "To: <sip:1000@balancer.example>",
    "Call-ID: fake-call@192.0.2.200",
    `CSeq: 1 ${method}`,
    ...headers,
    `Content-Length: ${body.length}`,
    "",
    body,
  ].join("\r\n");
  const message = parseMessage(raw);
  if (message instanceof SipRequest) return message;
  throw new Error(`Cannot build the request of a fake call: ${JSON.stringify(message)}`);
}
