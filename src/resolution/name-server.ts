import { canonicalIp } from "../balancer/index.ts";

/** Where a name server is. */
export interface NameServer {
  /** IPv4 or IPv6 without brackets. */
  readonly address: string;
  readonly port: number;
}

const DNS_PORT = 53;
const MAX_PORT = 65_535;

/** Reads `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53` or `[2001:db8::53]:5353`; undefined for anything else. */
export function parseNameServer(text: string): NameServer | undefined {
  const [, v6, v4, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const address = v6 ?? v4 ?? text;
  const port = Number(digits ?? DNS_PORT);
  const isOfForm = v4 === undefined ? address.includes(":") : true;
  return canonicalIp(address) === undefined || !isOfForm || port < 1 || port > MAX_PORT ? undefined : { address, port };
}
