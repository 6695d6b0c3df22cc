import type { Endpoint, Listener } from "../transaction/index.ts";
import type { Network } from "./core.ts";

/** What messages of ours say of a listener, as one side of it is told: it is the same for nearly all messages, and putting it together costs more than finding it. */
export class ListenerTexts {
  readonly transport: Endpoint["transport"];
  /** host[:port] for that side. */
  readonly sentBy: string;
  /** A Via value, up to the branch. */
  readonly via: string;
  /** The URI of our Record-Route, but for its parameters `lr` and `did`; of a SIP URI, not of a SIPS one. */
  readonly routeUri: string;
  /** A Record-Route or Route value, up to the `did`. */
  readonly route: string;
  /** Line of a Via, up to the branch. */
  readonly viaLine: string;
  /** Line of a Record-Route, up to the `did`. */
  readonly recordRouteLine: string;
  /** Has said that {@link routeUri} is one of ours; see loose-route. */
  ownOf: Network | undefined = undefined;

  constructor(transport: Endpoint["transport"], sentBy: string) {
    this.transport = transport;
    this.sentBy = sentBy;
    this.via = `SIP/2.0/${transport.toUpperCase()} ${sentBy};branch=`;
    this.routeUri = transport === "udp" ? `sip:${sentBy}` : `sip:${sentBy};transport=${uriTransport(transport)}`;
    this.route = `<${this.routeUri};lr;did=`;
    this.viaLine = `Via: ${this.via}`;
    this.recordRouteLine = `Record-Route: ${this.route}`;
  }
}

/** Those that were asked for last: a listener at a wildcard may be told to each side by another address. */
const LAST = new WeakMap<Listener, ListenerTexts>();

/** How a listener is told to a peer. */
export function textsFor(listener: Listener, remoteAddress: string): ListenerTexts {
  const sentBy = listener.sentByFor(remoteAddress);
  const last = LAST.get(listener);
  if (last !== undefined && last.sentBy === sentBy) return last;
  const texts = new ListenerTexts(listener.transport, sentBy);
  LAST.set(listener, texts);
  return texts;
}

/** How a URI says a transport: `ws` with TLS or without, as nobody has registered another word (RFC 7118 §5.2.2). */
export function uriTransport(transport: Endpoint["transport"]): string {
  return transport === "wss" ? "ws" : transport;
}
