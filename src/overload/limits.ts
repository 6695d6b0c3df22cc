/** Places in the table of sources, 2 MB in all. A place is taken from the source with the fewest requests, so a flood of made-up sources drives out each other. */
export const MAX_SOURCES = 65_536;
/** Bans at a time. Each costs whoever wants to fill the table as many requests as the rate allows; beyond it a source is held to its rate without a ban. */
export const MAX_BANS = 4_096;
/** Requests in a sampling unit by which each ongoing call raises the limit of its peers: INVITE, ACK, BYE, and as much again for what calls do meanwhile. */
export const REQUESTS_PER_CALL = 10;
/** Refused calls that are remembered in each of two generations, so that their copies are refused as well. */
export const MAX_REFUSED_CALLS = 16_384;
/** A copy of an INVITE comes no later than this after it (RFC 3261 §17.1.1.2: 64*T1). */
export const REFUSED_CALL_MS = 32_000;
/** Longest header value that is searched for marks of scanners, in characters. */
export const MAX_SEARCHED_CHARS = 256;
/** How long the ceiling of new calls, or a full queue, has to refuse none until it is said to be over, in milliseconds. */
export const CEILING_QUIET_MS = 5_000;
/** Longest key of a refused call that is remembered: branch and Call-ID. Those of programs that are in use are below 150 characters. */
export const MAX_REFUSED_KEY_CHARS = 256;
