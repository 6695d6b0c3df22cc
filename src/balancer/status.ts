/** Status bit: the destination gets no call. */
export const STATUS_DISABLED = 1;
/** Status bit: a probe must not enable the destination again. It stands only together with {@link STATUS_DISABLED}. */
export const STATUS_NO_AUTO_REENABLE = 2;
/** Status bit: the destination is being drained. */
export const STATUS_DRAINING = 4;
/** Status bit: the breaker is open, or its trial calls are under way. */
export const STATUS_BREAKER = 8;
/** Status bit: the destination asked to be left alone for a while. */
export const STATUS_RESTING = 16;
/** Status bit: the destination got all calls that it may get in a second. */
export const STATUS_OVER_RATE = 32;
/** Status bit in a `TableLook` only: the LB session has chosen the destination before. */
export const STATUS_TRIED = 64;
/** Status bit: whoever tells its capacities says that it takes no calls now. */
export const STATUS_WITHDRAWN = 128;
/** Status bit: the registration that made the destination has ended, and its calls are left to end. */
export const STATUS_LEAVING = 256;

/** Any of these: the destination is not available. {@link STATUS_OVER_RATE} is not among them, as it counts as full. */
export const CLOSED = STATUS_DISABLED | STATUS_DRAINING | STATUS_BREAKER | STATUS_RESTING | STATUS_LEAVING | STATUS_WITHDRAWN;

/** Any of these keeps a destination closed when a group fails open: somebody wants it so, while probes and breakers only believe that it is down. */
export const CLOSED_FAILING_OPEN = STATUS_NO_AUTO_REENABLE | STATUS_DRAINING | STATUS_RESTING | STATUS_LEAVING | STATUS_WITHDRAWN;
