/** A SIP or SIPS URI (RFC 3261 §19.1). Raw parts keep their escapes. */
export interface SipUri {
  readonly scheme: "sip" | "sips";
  /** User part as it stands, its password included; undefined when the URI has none. */
  readonly user: string | undefined;
  /** In lower case; an IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number | undefined;
  /** As they stand, with the first semicolon, such as `;lr;did=x`; "" when there are none. */
  readonly params: string;
  /** As they stand, with the question mark; "" when there are none. */
  readonly headers: string;
}

/** The value of From, To, Contact, Route, Record-Route, Refer-To and the like (RFC 3261 §20.10, §25.1 name-addr and addr-spec). */
export interface NameAddr {
  /** Without quotes and escapes; "" when there is none. */
  readonly displayName: string;
  /** As it stands between the angle brackets. */
  readonly uri: string;
  /** Parameters of the header, not of the URI, as they stand with the first semicolon; "" when there are none. */
  readonly params: string;
}
