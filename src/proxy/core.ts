import type { Address, Balancer } from "../balancer/index.ts";
import type { DialogTable, PingOutage } from "../dialog/index.ts";
import type { Dispatcher } from "../dispatch/index.ts";
import type { OutcomePort } from "../health/index.ts";
import type { OverloadGate } from "../overload/index.ts";
import type { Registrar } from "../registrar/index.ts";
import type { SipTarget } from "../resolution/index.ts";
import { type SipUri, uriParam } from "../sip/index.ts";
import type { Endpoint, Listener, TimerWheel, TransactionLayer } from "../transaction/index.ts";
import type { Branch } from "./branch.ts";
import type { CallMeasures } from "./call-measures.ts";
import type { Divide } from "./divide.ts";
import type { Elsewhere } from "./elsewhere.ts";
import type { LargeRequests } from "./large-requests.ts";
import type { Admission, Log, Router } from "./ports.ts";
import type { SendFailures } from "./send-failures.ts";

/** Addresses and names, as the proxy needs them. */
export interface Network {
  /** Whether host and port are one of our listeners, or our advertised address. `host` without brackets, lower case. */
  isOwn(host: string, port: number): boolean;
  /** Whether host and port are those of another node of the cluster: a Route with them that carries `did` is as ours. Spelled as for isOwn; nobody is without it. */
  isPeer?(host: string, port: number): boolean;
  /** The peer as we can reach it: through `preferred` when it fits, else through a listener of the same transport and family; undefined when there is none. */
  endpoint(address: string, port: number, transport: string, preferred?: Listener): Endpoint | undefined;
  /** Addresses of a name, in the order in which one request is to try them; literal addresses are not asked for. Empty when it has none. */
  locate(target: SipTarget): readonly Address[] | Promise<readonly Address[]>;
  /** The order in which one request is to try the addresses of a destination; as they stand without it. */
  order?(addresses: readonly Address[]): readonly Address[];
  /** Is told of an address that did not answer though its name has others. */
  failed?(endpoint: Endpoint): void;
  /** Whether this source may send initial requests (`sip.allow`). */
  isAllowed(source: Endpoint): boolean;
}

export interface ProxyTimeouts {
  /** No answer at all to an INVITE, or no final one to another request (`fr_timeout`). */
  readonly frMs: number;
  /** Timer C: no final answer to an INVITE that was answered provisionally (`fr_inv_timeout`, RFC 3261 §16.8). */
  readonly frInviteMs: number;
}

/** From one ping of a party to the next (`options_ping_interval`, `reinvite_ping_interval`), in milliseconds. */
export interface PingIntervals {
  readonly optionsMs: number;
  readonly reinviteMs: number;
}

/** How calls are pinged. */
export interface PingSettings extends PingIntervals {
  /** How long calls are kept when nobody answers any more (`ping_outage_timeout`), in milliseconds; not at all without it. */
  readonly outageMs?: number;
  readonly outageChanged?: (outage: PingOutage) => void;
}

/** Messages that the proxy itself refused or dropped, and what it forwarded. */
export class ProxyCounters {
  fwd_requests = 0;
  fwd_replies = 0;
  drop_requests = 0;
  drop_replies = 0;
  err_requests = 0;
  loops = 0;
  too_many_hops = 0;
  unknown_dialog = 0;
  foreign_route = 0;
  not_allowed = 0;
  script_errors = 0;
  failovers = 0;
  /** Times that another address of the same name was tried. */
  address_failovers = 0;
  late_answers = 0;
  orphans_ended = 0;
  /** Callers that vanished with the only connection that leads to them, before their INVITE was answered. */
  callers_gone = 0;
  requests_2xx = 0;
  requests_3xx = 0;
  requests_4xx = 0;
  requests_5xx = 0;
  requests_6xx = 0;
  timeouts_invite = 0;
  timeouts_other = 0;
  transport_errors = 0;
  /** Requests that went over TCP because of their size. */
  large_over_tcp = 0;
  /** Those of them that went over UDP after all, as nobody took them. */
  large_back_to_udp = 0;
}

/** What every part of the proxy works with. */
export interface ProxyCore {
  readonly layer: TransactionLayer;
  readonly wheel: TimerWheel;
  readonly nowMs: () => number;
  readonly dialogs: DialogTable;
  readonly balancer: Balancer;
  readonly network: Network;
  readonly router: Router;
  /** Counts calls beside the balancer; absent when nobody does. */
  readonly dispatcher?: Pick<Dispatcher, "countedOn" | "moveTo"> | undefined;
  /** Is told what becomes of the calls that go to destinations; absent when nobody judges them. */
  readonly outcomes?: OutcomePort | undefined;
  /** Answers every REGISTER outside of calls; absent when nobody may register. */
  readonly registrar?: Pick<Registrar, "handle"> | undefined;
  /** Says whether the cluster has room for a call; absent when no loads are counted exactly. */
  readonly admission?: Admission | undefined;
  /** Calls of other nodes; absent when there are none. */
  readonly elsewhere?: Elsewhere | undefined;
  /** Refuses what there is no time for; absent when everything is taken. */
  readonly overload?: OverloadGate | undefined;
  /** Sends what is too large for UDP over TCP; absent when everything goes as its URI says. */
  readonly large?: LargeRequests | undefined;
  /** How often calls are pinged whose route asked for it; absent when none are. */
  readonly pings?: PingSettings | undefined;
  readonly timeouts: ProxyTimeouts;
  readonly defaultMaxForwards: number;
  readonly log: Log;
  readonly counters: ProxyCounters;
  /** Measures calls; absent when nobody reads it. */
  readonly measures?: CallMeasures | undefined;
  /** Tells the log of requests that could not be sent; absent when nobody reads it. */
  readonly sendFailures?: SendFailures | undefined;
  /** Which messages another process of this program handles, while one takes over from the other; absent: none. */
  divide?: Divide | undefined;
  /** INVITE branches that were given up before anybody answered: a late answer must still be cancelled or hung up. */
  readonly abandoned: Map<string, Branch>;
}

export const DEFAULT_PORT = 5060;
export const DEFAULT_TLS_PORT = 5061;

/** Port of a URI (RFC 3261 §19.1.2). */
export function uriPort(uri: SipUri): number {
  if (uri.port !== undefined) return uri.port;
  return uri.scheme === "sips" || uriParam(uri, "transport")?.toLowerCase() === "tls" ? DEFAULT_TLS_PORT : DEFAULT_PORT;
}
