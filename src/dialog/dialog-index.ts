import type { SipRequest, SipResponse } from "../sip/index.ts";
import { CallIndex } from "./call-index.ts";
import { type Dialog, DialogState } from "./dialog.ts";
import type { Direction } from "./leg.ts";

/** A request and the dialog that it belongs to. */
export interface DialogMatch {
  readonly dialog: Dialog;
  readonly direction: Direction;
}

/** Calls by `did` and by Call-ID and tags (OpenSIPS `dlg_match_mode` 1, DID_FALLBACK), those that have just ended among them. */
export class DialogIndex {
  readonly #byDid = new Map<string, Dialog>();
  readonly #byCallId = new CallIndex();

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
    for (const dialog of this.#byCallId.all(callId)) {
      if (dialog.state !== DialogState.Deleted && (fromTag === undefined || dialog.fromTag === fromTag)) return dialog;
    }
    return undefined;
  }

  /** Whether the call is known here, also for some seconds after its end. */
  knows(did: string): boolean {
    return this.#byDid.has(did);
  }

  /** The call of that name, also for some seconds after its end. */
  protected whatever(did: string): Dialog | undefined {
    return this.#byDid.get(did);
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
    // A call whose legs are these goes before one that rings and would take any tag.
    let second: DialogMatch | undefined;
    for (const dialog of this.#byCallId.candidates(request.callId, request)) {
      const direction = dialog.directionOf(request);
      if (direction === undefined) continue;
      if (dialog.hasLegOf(request, direction)) return { dialog, direction };
      second ??= { dialog, direction };
    }
    return second;
  }

  /** The call of a response to an INVITE that no transaction waits for, also for some seconds after its end. */
  matchResponse(did: string, response: SipResponse): Dialog | undefined {
    const dialog = this.#byDid.get(did);
    return dialog?.owns(response) ? dialog : undefined;
  }

  /** The restored call whose INVITE was answered, for an answer that does not repeat our Record-Route: those other than 2xx need not. */
  lostInviteOf(response: SipResponse): Dialog | undefined {
    for (const dialog of this.#byCallId.candidates(response.callId, response))
      if (dialog.isRestored && dialog.owns(response)) return dialog;
    return undefined;
  }

  /** The restored call that is not up and whose INVITE a CANCEL, or a copy of it, has by Call-ID, tag and number. */
  lostInvite({ callId, fromTag, toTag, cseqNumber }: SipRequest): Dialog | undefined {
    if (toTag !== "") return undefined;
    for (const dialog of this.#byCallId.candidates(callId, { fromTag, toTag })) {
      const { isRestored, state, inviteCseq, inviteUri } = dialog;
      if (!isRestored || state >= DialogState.ConfirmedNoAck || inviteUri === "") continue;
      if (dialog.fromTag === fromTag && inviteCseq === cseqNumber) return dialog;
    }
    return undefined;
  }

  /** Restored calls that are or were up and that a response to a request inside them may belong to, with the way that the request took. */
  *matchInside(response: SipResponse): IterableIterator<DialogMatch> {
    for (const dialog of this.#byCallId.candidates(response.callId, response)) {
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
    this.#byCallId.add(dialog);
  }

  /** To be called when legs of the call may have become known. */
  protected learned(dialog: Dialog): void {
    this.#byCallId.learned(dialog);
  }

  protected remove(dialog: Dialog): void {
    this.#byDid.delete(dialog.did);
    this.#byCallId.remove(dialog);
  }
}
