import type { SipRequest, SipResponse } from "../sip/index.ts";
import { type Dialog, DialogState, type Direction } from "./dialog.ts";

/** A request and the dialog that it belongs to. */
export interface DialogMatch {
  readonly dialog: Dialog;
  readonly direction: Direction;
}

/** Calls by `did` and by Call-ID and tags (OpenSIPS `dlg_match_mode` 1, DID_FALLBACK), those that have just ended among them. */
export class DialogIndex {
  readonly #byDid = new Map<string, Dialog>();
  /** Usually one dialog a Call-ID; a spiral through us makes a second one. */
  readonly #byCallId = new Map<string, Dialog[]>();

  /** Places in its indexes, those of calls that have just ended among them: 0 once all are over and forgotten. */
  get places(): number {
    return this.#byDid.size + this.#byCallId.size;
  }

  /** Calls that have not ended, oldest first. */
  *list(): IterableIterator<Dialog> {
    for (const dialog of this.#byDid.values()) if (dialog.state !== DialogState.Deleted) yield dialog;
  }

  byDid(did: string): Dialog | undefined {
    const dialog = this.#byDid.get(did);
    return dialog?.state === DialogState.Deleted ? undefined : dialog;
  }

  byCallId(callId: string, fromTag?: string): Dialog | undefined {
    return this.#byCallId
      .get(callId)
      ?.find((dialog) => dialog.state !== DialogState.Deleted && (fromTag === undefined || dialog.fromTag === fromTag));
  }

  /** Whether the call is known here, also for some seconds after its end. */
  knows(did: string): boolean {
    return this.#byDid.has(did);
  }

  /** The dialog of an in-dialog request, also for some seconds after its end. The `did` counts only when Call-ID and tags agree. */
  match(did: string | undefined, request: SipRequest): DialogMatch | undefined {
    if (did !== undefined) {
      const dialog = this.#byDid.get(did);
      if (dialog !== undefined && dialog.callId === request.callId) {
        const direction = dialog.directionOf(request);
        if (direction !== undefined) return { dialog, direction };
      }
    }
    const others = this.#byCallId.get(request.callId);
    if (others === undefined) return undefined;
    // A call whose legs are these goes before one that rings and would take any tag.
    for (const dialog of others) {
      const direction = dialog.directionOf(request);
      if (direction !== undefined && dialog.hasLegOf(request, direction)) return { dialog, direction };
    }
    for (const dialog of others) {
      const direction = dialog.directionOf(request);
      if (direction !== undefined) return { dialog, direction };
    }
    return undefined;
  }

  /** The call of a response to an INVITE that no transaction waits for, also for some seconds after its end. */
  matchResponse(did: string, response: SipResponse): Dialog | undefined {
    const dialog = this.#byDid.get(did);
    return dialog?.owns(response) ? dialog : undefined;
  }

  /** The restored call whose INVITE was answered, for an answer that does not repeat our Record-Route: those other than 2xx need not. */
  lostInviteOf(response: SipResponse): Dialog | undefined {
    return this.#byCallId.get(response.callId)?.find((dialog) => dialog.isRestored && dialog.owns(response));
  }

  /** The restored call that is not up and whose INVITE a CANCEL, or a copy of it, has by Call-ID, tag and number. */
  lostInvite({ callId, fromTag, toTag, cseqNumber }: SipRequest): Dialog | undefined {
    if (toTag !== "") return undefined;
    return this.#byCallId
      .get(callId)
      ?.find(
        ({ isRestored, state, fromTag: tag, inviteCseq, inviteUri }) =>
          isRestored && state < DialogState.ConfirmedNoAck && tag === fromTag && inviteCseq === cseqNumber && inviteUri !== "",
      );
  }

  /** Restored calls that are or were up and that a response to a request inside them may belong to, with the way that the request took. */
  *matchInside(response: SipResponse): IterableIterator<DialogMatch> {
    for (const dialog of this.#byCallId.get(response.callId) ?? []) {
      if (!dialog.isRestored || dialog.state < DialogState.ConfirmedNoAck || dialog.owns(response)) continue;
      const { fromTag, toTag } = response;
      if (fromTag === dialog.fromTag && dialog.findLeg(toTag) !== undefined) yield { dialog, direction: "downstream" };
      else if (toTag === dialog.fromTag && dialog.findLeg(fromTag) !== undefined) yield { dialog, direction: "upstream" };
    }
  }

  /** Calls that it finds. */
  protected get count(): number {
    return this.#byDid.size;
  }

  protected insert(dialog: Dialog): void {
    this.#byDid.set(dialog.did, dialog);
    const others = this.#byCallId.get(dialog.callId);
    if (others === undefined) this.#byCallId.set(dialog.callId, [dialog]);
    else others.push(dialog);
  }

  protected remove(dialog: Dialog): void {
    this.#byDid.delete(dialog.did);
    const others = this.#byCallId.get(dialog.callId);
    if (others === undefined) return;
    if (others.length === 1) this.#byCallId.delete(dialog.callId);
    else others.splice(others.indexOf(dialog), 1);
  }
}
