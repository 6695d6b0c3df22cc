import type { Balancer } from "../../balancer/index.ts";
import { bodyOf } from "../../cluster/dialogs/dialog-record.ts";
import { type Dialog, DialogState, type DialogTable, snapshotOf } from "../../dialog/index.ts";
import type { CallNote } from "../handover/messages.ts";
import type { ThreadNote } from "./messages.ts";

/** Changes of a call are told together, this long after the first one, ms. */
const NOTES_MS = 20;
/** Calls that are told of in one go. */
const CHUNK = 200;

type States = [before: DialogState, state: DialogState][];

/** Tells the main thread how the calls of this one are: only names wait, and what is told is how a call is at that moment. */
export class ThreadCalls {
  readonly #dialogs: DialogTable;
  readonly #balancer: Pick<Balancer, "held">;
  readonly #tell: (notes: readonly ThreadNote[]) => void;
  readonly #changed = new Map<string, { readonly names: ThreadNote["names"]; readonly states: States }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(dialogs: DialogTable, balancer: Pick<Balancer, "held">, tell: (notes: readonly ThreadNote[]) => void) {
    this.#dialogs = dialogs;
    this.#balancer = balancer;
    this.#tell = tell;
    dialogs.changeListeners.push((dialog) => this.#note(dialog));
    dialogs.byes.listeners.push((dialog) => this.#note(dialog));
  }

  stateChanged(dialog: Dialog, before: DialogState): void {
    this.#note(dialog).push([before, dialog.state]);
  }

  /** Tells what waits. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let notes: ThreadNote[] = [];
    for (const [did, { names, states }] of this.#changed) {
      this.#changed.delete(did); // before it is told of: what fails once must not fail for ever
      notes.push({ note: this.#noteOf(did, names.endReason), names, states });
      if (notes.length < CHUNK) continue;
      this.#tell(notes);
      notes = [];
    }
    if (notes.length > 0) this.#tell(notes);
  }

  #note(dialog: Dialog): States {
    const { did, callId, fromTag, toTag, endReason } = dialog;
    const states = this.#changed.get(did)?.states ?? [];
    this.#changed.set(did, { names: { did, callId, fromTag, toTag, endReason }, states });
    this.#timer ??= setTimeout(() => this.flush(), NOTES_MS);
    return states;
  }

  #noteOf(did: string, endReason: string): CallNote {
    const dialog = this.#dialogs.byDid(did);
    if (dialog !== undefined && dialog.state !== DialogState.Deleted) return noteOfCall(dialog, this.#balancer);
    const lingering = this.#dialogs.lingering(did);
    return { did, endReason, body: lingering && bodyOf({ snapshot: snapshotOf(lingering), held: [] }, 0) };
  }
}

/** A call that goes on, for another thread. */
export function noteOfCall(dialog: Dialog, balancer: Pick<Balancer, "held">): CallNote {
  const { did, pending, hasSessionTimer, callerSession, calleeSession } = dialog;
  return {
    did,
    body: bodyOf({ snapshot: snapshotOf(dialog), held: balancer.held(dialog.load) }, 0),
    ...{ isPending: pending !== undefined, isGiven: false, hasSessionTimer, callerSession, calleeSession },
    ...{ callerConnection: undefined, calleeConnection: undefined },
  };
}
