import { describeDialog, toWire } from "./describe-dialog.ts";
import { invalidParams, MiError } from "./jsonrpc.ts";
import { MAX_LISTED_DIALOGS } from "./limits.ts";
import type { Params } from "./params.ts";
import type { ManagedDialog, ManagementPorts } from "./ports.ts";

/** Parameters of `dlg_list` and `dlg_list_ctx`. */
export const LISTING_RECIPES = [[], ["callid"], ["callid", "from_tag"], ["index", "counter"]] as const;

/**
 * One dialog by its Call-ID, a page from `index` of at most `counter` dialogs with the `count` of all, or all of them.
 *
 * @param extra members to add to each dialog
 */
export function listDialogs(params: Params, ports: ManagementPorts, extra: (dialog: ManagedDialog) => object): object {
  const { dialogs } = ports;
  if (params.has("callid")) {
    const fromTag = params.has("from_tag") ? toWire(params.text("from_tag")) : undefined;
    const dialog = dialogs.byCallId(toWire(params.text("callid")), fromTag);
    if (dialog === undefined) throw new MiError(404, "No such dialog");
    return { Dialog: { ...describeDialog(dialog), ...extra(dialog) } };
  }
  if (!params.has("counter")) return { Dialogs: describeAll(dialogs.list(), dialogs.size, extra) };
  const index = notNegative(params, "index");
  const counter = notNegative(params, "counter");
  // OpenSIPS takes a counter of 0 for no paging at all.
  if (counter === 0) return { Dialogs: describeAll(dialogs.list(), dialogs.size, extra) };
  return { count: dialogs.size, Dialogs: describeAll(page(dialogs.list(), index, counter), counter, extra) };
}

/** @param expected how many there may be, for the refusal @throws MiError 413 when the answer would be too long */
export function describeAll(dialogs: Iterable<ManagedDialog>, expected: number, extra: (dialog: ManagedDialog) => object): object[] {
  const listed: object[] = [];
  for (const dialog of dialogs) {
    if (listed.length >= MAX_LISTED_DIALOGS) {
      const data = `Cannot list ${expected} dialogs in one answer: ask for at most ${MAX_LISTED_DIALOGS} with index and counter`;
      throw new MiError(413, "Too many dialogs", data);
    }
    listed.push({ ...describeDialog(dialog), ...extra(dialog) });
  }
  return listed;
}

function* page(dialogs: Iterable<ManagedDialog>, index: number, counter: number): Iterable<ManagedDialog> {
  let position = 0;
  for (const dialog of dialogs) {
    if (position >= index + counter) return;
    if (position >= index) yield dialog;
    position++;
  }
}

function notNegative(params: Params, name: string): number {
  const value = params.int(name);
  if (value < 0) throw invalidParams(`Cannot list dialogs: ${name} must be >= 0, current value is ${value}`);
  return value;
}
