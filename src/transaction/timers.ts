/**
 * Timer values of RFC 3261 §17, table 4, in milliseconds, and those of RFC 6026 §7.1.
 * fr_timeout and fr_inv_timeout take the place of Timers B, F and C (OpenSIPS tm).
 */
export const T1_MS = 500;
/** Longest interval between retransmissions of a non-INVITE request and of an INVITE's final response. */
export const T2_MS = 4_000;
/** Longest time that a message stays in the network. */
export const T4_MS = 5_000;
/** 64*T1: Timers B, D (at least 32 s), F, H, J, L and M. */
export const TIMER_64_T1_MS = 64 * T1_MS;
/** How long a CANCEL waits for the end of what it cancels (RFC 3261 §9.1). */
export const CANCEL_WAIT_MS = TIMER_64_T1_MS;
