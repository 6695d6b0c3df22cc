import { ownText } from "../balancer/index.ts";
import { type Dialog, DialogState } from "../dialog/index.ts";
import type { EventParams, ParamsSource } from "../events/index.ts";
import { fromWire } from "../management/index.ts";

/** A tag that is remembered keeps all texts of its call in memory when it is a part of them; with more of these than this it gets a copy. */
const LONG_TEXTS = 1_024;

/** A call, as far as the event of a change of its state tells of it. */
export type NamedDialog = Pick<Dialog, "did" | "callId" | "fromTag" | "toTag" | "endReason" | "state" | "textChars">;

/**
 * What is remembered of a change of a call. There are four a call, and nearly all go out of the history unread: nothing is made of it before somebody asks. Name
 * and Call-ID are texts of the dialog's own.
 */
export class DialogNews implements ParamsSource {
  readonly #did: string;
  readonly #callId: string;
  readonly #fromTag: string;
  readonly #toTag: string;
  readonly #endReason: string;
  readonly #before: DialogState;
  readonly #state: DialogState;

  constructor(dialog: NamedDialog, before: DialogState) {
    this.#did = dialog.did;
    this.#callId = dialog.callId;
    const isLong = dialog.textChars > LONG_TEXTS;
    this.#fromTag = isLong ? ownText(dialog.fromTag) : dialog.fromTag;
    this.#toTag = isLong ? ownText(dialog.toTag) : dialog.toTag;
    this.#endReason = dialog.endReason;
    this.#before = before;
    this.#state = dialog.state;
  }

  toParams(): EventParams {
    const did = this.#did;
    return {
      id: did,
      db_id: did,
      callid: fromWire(this.#callId),
      from_tag: fromWire(this.#fromTag),
      to_tag: fromWire(this.#toTag),
      old_state: this.#before,
      new_state: this.#state,
      ...(this.#state === DialogState.Deleted && { reason: this.#endReason }),
    };
  }
}
