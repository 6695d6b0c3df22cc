import { type Dialog, DialogState } from "../dialog/index.ts";
import type { SipResponse } from "../sip/index.ts";
import type { ClientTransaction, ClientUser, ServerTransaction, ServerUser } from "../transaction/index.ts";
import type { Branch } from "./branch.ts";
import type { ProxyCore } from "./core.ts";
import { endOrphan } from "./hangup.ts";
import { passResponse } from "./pass-response.ts";

/** Lets the context and the branch of a request go whose only branch was answered 2xx, unless the router may still ask for it. */
export function leaveAnswered(
  core: ProxyCore,
  transaction: ServerTransaction,
  dialog: Dialog,
  branch: Branch,
  wasCancelled: boolean,
): void {
  if (!core.router.forgetsCalls) return;
  const rest = new AnsweredInvite(core, transaction, dialog, wasCancelled);
  if (!branch.leaveTo(rest)) return;
  transaction.user = rest;
  transaction.forgetRequest();
}

/**
 * What is left of an initial INVITE whose only branch was answered 2xx, as long as copies of that and 2xx of forks may come (RFC 6026 §7): 32 s. It takes the place
 * of the request's context and its branch, with all that was needed to send it: 1.4 KB a call, which at 1,000 calls/s each collection had to move.
 */
class AnsweredInvite implements ClientUser, ServerUser {
  readonly #core: ProxyCore;
  readonly #transaction: ServerTransaction;
  readonly #dialog: Dialog;
  /** Its caller had cancelled it before it was answered. */
  readonly #wasCancelled: boolean;

  constructor(core: ProxyCore, transaction: ServerTransaction, dialog: Dialog, wasCancelled: boolean) {
    this.#core = core;
    this.#transaction = transaction;
    this.#dialog = dialog;
    this.#wasCancelled = wasCancelled;
  }

  response({ target }: ClientTransaction, response: SipResponse): void {
    const { dialogs } = this.#core;
    const dialog = this.#dialog;
    if (dialog.state === DialogState.Deleted && dialog.findLeg(response.toTag) === undefined) {
      endOrphan(this.#core, dialog, response, target);
      return;
    }
    dialogs.confirmed(dialog, response);
    if (this.#wasCancelled) this.cancelledLate();
    passResponse(this.#core, this.#transaction, response, undefined);
  }

  timeout(): void {
    // Of a transaction that was answered there is none.
  }

  transportError(): void {
    // What was sent has arrived.
  }

  cancel(): void {
    // It comes too late, see below.
  }

  cancelledLate(): void {
    this.#core.dialogs.raced(this.#dialog);
  }
}
