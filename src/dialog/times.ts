/** How long an ended call is still found, so that a crossed BYE or a late ACK reaches its peer (OpenSIPS `race_condition_timeout`). */
export const ENDED_LINGER_MS = 5_000;
/** How long a caller has to learn of a call whose callee has sent BYE already, before it is hung up. */
export const OVERTAKEN_BYE_MS = 1_000;
/**
 * The same when a BYE is not answered: as long as its sender may repeat it (RFC 3261 timer F). When it was refused: as long as the next try may take. And
 * when an INVITE was: as long as its answer may be repeated.
 */
export const OPEN_LINGER_MS = 32_000;
/** Whoever has sent a BYE sends it again within 4 s (RFC 3261 timer E): after this time it is gone, as the program was for a while. */
export const BYE_AGAIN_MS = 5_000;
/** Restored calls whose lifetime is over are hung up one after the other, 500 a second, or within 10 s when they are more. */
export const OVERDUE_STEP_MS = 2;
export const MAX_OVERDUE_STEPS = 5_000;
/** How long another node has to end a call whose lifetime is over, before it is forgotten here. */
export const PUT_OFF_MS = 5_000;
