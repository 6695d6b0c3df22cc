/** Largest message taken, in bytes: what one UDP datagram can hold (RFC 3261 §18.1.1 asks for the same over streams). */
export const MAX_MESSAGE_BYTES = 65_535;

/** Most header lines in one message. Real traffic stays under 60; each line costs a table entry and may be walked several times. */
export const MAX_HEADERS = 256;

/**
 * Most continuation lines in all headers of one message (RFC 3261 §7.3.1). Streams are read up to four times {@link MAX_HEADERS} lines of a head: what comes as a
 * datagram must not go on as something that ends the connection to the next hop.
 */
export const MAX_FOLDED_LINES = 256;

/** Longest start line or header in bytes, its continuation lines included. A PASSporT in an Identity header, the longest seen, is below 4 KB. */
export const MAX_LINE_BYTES = 8_192;

/** Highest CSeq number: "MUST be less than 2**31" (RFC 3261 §8.1.1.5). */
export const MAX_CSEQ = 2 ** 31 - 1;

/** Highest Max-Forwards: "an integer in the range 0-255" (RFC 3261 §20.22). */
export const MAX_MAX_FORWARDS = 255;

/** Max-Forwards that a request starts with: "This value SHOULD be 70" (RFC 3261 §8.1.1.6). */
export const DEFAULT_MAX_FORWARDS = 70;

/** Highest Max-Breadth that is told apart from others. RFC 5393 §5.2 sets no bound; nobody has so many branches at a time. */
export const MAX_MAX_BREADTH = 2 ** 31 - 1;

/** Max-Breadth of a request that came without one: "the RECOMMENDED value is 60" (RFC 5393 §5.3). */
export const DEFAULT_MAX_BREADTH = 60;

/** Highest port; 0 cannot be sent to and is refused. */
export const MAX_PORT = 65_535;

/** Longest host name in bytes: the limit of DNS (RFC 1035 §2.3.4). */
export const MAX_HOST_BYTES = 255;

/** Seconds in a delta-seconds value: "between 0 and (2**32)-1" (RFC 3261 §20.19). */
export const MAX_DELTA_SECONDS = 2 ** 32 - 1;

/** How much of a refused value an error message repeats, in characters: it may be kilobytes of noise. */
export const MAX_QUOTED_CHARACTERS = 80;
