/** Most rows at a time, those that leave included: what a balancer keeps in its tables without anybody having looked. */
export const MAX_ROWS = 10_000;
/** First id of a row of ours: tables count theirs from 1. */
export const FIRST_ROW_ID = 1_000_000_000;
/** Behind the last id of a row of ours: ids are 32-bit signed numbers in the tables of OpenSIPS. */
export const END_OF_ROW_IDS = 2_147_483_648;
/** Most Contact values of one REGISTER. A FreeSWITCH sends one, or two while its address changes. */
export const MAX_CONTACTS = 8;
/** Longest URI of a Contact. FreeSWITCH's stay under 200. */
export const MAX_CONTACT_CHARS = 512;
/** Most Contact values of an answer: over UDP it has to fit into a few packets. Those that the request named come first. */
export const MAX_LISTED_CONTACTS = 16;
/** Most option tags that a 420 repeats. */
export const MAX_UNSUPPORTED = 16;
/** Longest Call-ID that is kept. FreeSWITCH sends a UUID of 36 characters. */
export const MAX_CALL_ID_CHARS = 256;
/** Longest user name, in bytes. */
export const MAX_USER_CHARS = 64;
/** Longest value in an Authorization header. */
export const MAX_CREDENTIAL_CHARS = 1024;
/** Most parameters of an Authorization header: the RFCs have 11. */
export const MAX_CREDENTIAL_PARAMS = 32;
/** Most Authorization headers that are looked through for the one of our realm. */
export const MAX_CREDENTIALS = 4;
/** Most nonces whose counts are remembered: only what was answered with the right password takes a place. */
export const MAX_USED_NONCES = 65_536;
/** Most source addresses whose failures are remembered. */
export const MAX_FAILING_SOURCES = 4096;
/** Seconds that a malformed Expires stands for (RFC 3261 §20.19, §10.2.1.1). */
export const MALFORMED_EXPIRES_S = 3600;
