/** What pings the parties of one call. */
export interface Pings {
  stop(): void;
  /** The next of each comes at once. */
  askNow(): void;
  /** Whether that side is asked by OPTIONS anyway. */
  asks(side: "caller" | "callee"): boolean;
  /** A request is about to go to that side that may change the session: whether a re-INVITE of ours, which is taken back, is in its way (RFC 3261 §14.2). */
  giveWay(side: "caller" | "callee"): boolean;
}

/** Sources that a call was counted for, as text. */
export interface CountedPeers {
  readonly sources: readonly string[];
}
