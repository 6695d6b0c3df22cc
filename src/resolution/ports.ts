/** An SRV record (RFC 2782). `port` 1 to 65535; a lower `priority` comes first. */
export interface SrvRecord {
  readonly priority: number;
  readonly weight: number;
  readonly port: number;
  /** Host name without the final dot; empty when the service is decidedly not there. */
  readonly target: string;
}

/** A NAPTR record (RFC 3403 §4.1). A lower `order` comes first, and of equals a lower `preference`. */
export interface NaptrRecord {
  readonly order: number;
  readonly preference: number;
  readonly flags: string;
  readonly service: string;
  readonly regexp: string;
  /** Name without the final dot; empty when there is none. */
  readonly replacement: string;
}

/**
 * What a question for records came to. "none" is an answer as well: the name is not there, or has no such records. "failed" is none: nobody answered,
 * or what was answered cannot be used; `reason` is half a sentence.
 */
export type DnsAnswer<R> =
  | { readonly outcome: "found"; readonly records: readonly R[] /** Seconds. */; readonly ttlS: number }
  | { readonly outcome: "none" /** Seconds for which that holds (RFC 2308 §5). */; readonly ttlS: number }
  | { readonly outcome: "failed"; readonly reason: string };

/** The domain name system, as the rules see it. Nothing rejects. Names come without a final dot. */
export interface Dns {
  naptr(name: string): Promise<DnsAnswer<NaptrRecord>>;
  srv(name: string): Promise<DnsAnswer<SrvRecord>>;
  /** IPv4 and IPv6 addresses, IPv4 first. */
  addresses(host: string): Promise<DnsAnswer<string>>;
  /** Whether this machine itself says where the host is (a hosts file): then nobody is asked for NAPTR and SRV records. */
  isLocal(host: string): Promise<boolean>;
}
