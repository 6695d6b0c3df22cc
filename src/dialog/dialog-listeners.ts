import type { Dialog, DialogState } from "./dialog.ts";
import { DialogIndex } from "./dialog-index.ts";
import { OpenByes } from "./open-byes.ts";

/** As `fr_inv_timeout` unless the proxy says another one. */
const EARLY_LIFETIME_MS = 120_000;
/** As OpenSIPS. */
const RACE_CONDITION_MS = 5_000;

/** Who is told of what becomes of calls, and asked; and what those that are over still wait for. */
export class DialogListeners extends DialogIndex {
  /**
   * Is told when a lifetime ends, before the leases are given back: the shell then ends the call on both sides. Also of a call that was over when its node
   * ended: then the shell sends what that node would have gone on to send.
   */
  onExpired: ((dialog: Dialog) => void) | undefined = undefined;
  /** Is told of each change of a state, when it is done. It must not throw. */
  onState: ((dialog: Dialog, before: DialogState) => void) | undefined = undefined;
  /** Are told of each call that is new or of which something may have changed that its snapshot or its leases show, but for its end. They must not throw. */
  readonly changeListeners: ((dialog: Dialog) => void)[] = [];
  /** Is told of each call of another node that goes on here, with the state that it has. It must not throw. */
  onRestored: ((dialog: Dialog) => void) | undefined = undefined;
  /**
   * Is asked when a lifetime ends: whether this node may end the call. False: another one will, within `PUT_OFF_MS`. Asked once more then; when it
   * is false again the call is forgotten without a word to its parties.
   */
  mayExpire: ((dialog: Dialog) => boolean) | undefined = undefined;
  /**
   * Is asked when a party says that it has no such call: whether this node is sure to be the one that has it. False: another one may have it, and know
   * better where its parties are by now; the party is asked again later.
   */
  isOwn: ((dialog: Dialog) => boolean) | undefined = undefined;
  /** Is told of each call that is up, restored ones too, and of the end of each. Neither may throw. */
  pings: { began(dialog: Dialog): void; ended(dialog: Dialog): void } | undefined = undefined;
  /** How long a restored call may still be unanswered, in milliseconds: as long as the INVITE that was lost (`fr_inv_timeout`). */
  earlyLifetimeMs = EARLY_LIFETIME_MS;
  /**
   * Is asked when a restored call was not answered in time, or its INVITE was taken back: whether to ask once more in so many milliseconds. Undefined: the
   * call is over.
   */
  onUnanswered: ((dialog: Dialog) => number | undefined) | undefined = undefined;
  /** How long a call goes on that `DialogTable.raced` is told of, in milliseconds (`race_condition_timeout`). */
  raceConditionMs = RACE_CONDITION_MS;
  /** What was not answered when a call ended. */
  readonly byes = new OpenByes();

  /** Whether this node may end the call for want of a word from its parties: see {@link mayExpire}. */
  mayEnd(dialog: Dialog): boolean {
    try {
      return this.mayExpire?.(dialog) ?? true;
    } catch {
      return true; // a fault of whoever is asked must not keep a call for ever
    }
  }

  /** A call that is over, and of which an answer to a BYE is waited for. */
  lingering(did: string): Dialog | undefined {
    const dialog = this.whatever(did);
    return dialog !== undefined && this.byes.lingers(dialog) ? dialog : undefined;
  }
}
