import { type Dialog, DialogState } from "./dialog.ts";

/**
 * BYEs of which nobody knows yet that they have got there, by their calls. Such a call is over and counts nothing, but one of its parties may not have learned
 * of it: until that one has answered, or whoever sends the BYE has given up, the call has to be found, in the next life of this program, too. Nearly
 * all are answered in no time: nothing is kept of any other call.
 */
export class OpenByes {
  /** Are told of each call that is over and waits no more, or waits once more. They must not throw. */
  readonly listeners: ((dialog: Dialog) => void)[] = [];
  /** How many of a call are under way; of a former life, whatever there was is one. */
  readonly #byes = new Map<Dialog, number>();
  /** Calls whose BYEs a former life would go on to send. */
  readonly #unsent = new Set<Dialog>();

  /** Calls that are over for this program, and perhaps not for both of their parties. */
  *list(): IterableIterator<Dialog> {
    for (const dialog of this.#byes.keys()) if (this.lingers(dialog)) yield dialog;
  }

  /** Whether a call is one of those. One that was never up has no BYE that a next life could see to. */
  lingers(dialog: Dialog): boolean {
    return dialog.state === DialogState.Deleted && dialog.startedAtMs > 0 && this.has(dialog);
  }

  has(dialog: Dialog): boolean {
    return this.#byes.has(dialog);
  }

  /** One goes out, or passes. What comes after the end of a call that both have learned of is nothing to wait for. */
  sent(dialog: Dialog): void {
    const count = this.#byes.get(dialog);
    if (dialog.isGuest || (count === undefined && dialog.state === DialogState.Deleted)) return;
    this.#byes.set(dialog, (count ?? 0) + 1);
  }

  /**
   * One was answered for good.
   *
   * @param isOwn we have sent it, and the other side has to be told, too; false: it has passed, so its sender knows as well
   * @returns whether none is left
   */
  answered(dialog: Dialog, isOwn: boolean): boolean {
    const count = this.#byes.get(dialog);
    if (count === undefined) return false;
    const left = isOwn || dialog.legs.length > 1 ? count - 1 : 0;
    if (left > 0) this.#byes.set(dialog, left);
    else this.forget(dialog);
    return left <= 0;
  }

  /** One was refused: its sender may try once more. */
  refused(dialog: Dialog): void {
    if (!this.has(dialog)) this.#byes.set(dialog, 1);
    this.#tell(dialog);
  }

  /**
   * A call was over when a former life ended, and perhaps not for both parties.
   *
   * @param isOurs that life has hung it up itself; false: one of the parties has, and may repeat its BYE
   * @param isSenderGone that life does not go on to send it
   */
  inherited(dialog: Dialog, isOurs: boolean, isSenderGone: boolean): void {
    this.#byes.set(dialog, isOurs ? 0 : 1);
    if (isSenderGone) this.#unsent.add(dialog);
    this.#tell(dialog); // whoever writes calls down has to know that it is there, to take it out one day
  }

  /** Whether the BYEs of a former life are to be sent again, once. */
  takeUnsent(dialog: Dialog): boolean {
    return this.#unsent.delete(dialog);
  }

  /** Nothing of it is waited for any more. */
  forget(dialog: Dialog): void {
    this.#unsent.delete(dialog);
    if (this.#byes.delete(dialog)) this.#tell(dialog);
  }

  #tell(dialog: Dialog): void {
    if (dialog.state === DialogState.Deleted) for (const tell of this.listeners) tell(dialog);
  }
}
