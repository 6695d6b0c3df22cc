import type { ManagedDialog } from "./ports.ts";
import { dateTime } from "./time-text.ts";

/** One dialog with the keys of OpenSIPS `dlg_list`, in their order (`dlg_hash.c`). `timestart`, `timeout`: seconds since 1970, 0 when unset. */
export function describeDialog(dialog: ManagedDialog): Record<string, unknown> {
  const { startedAtMs, expiresAtMs, callerEndpoint, calleeEndpoint } = dialog;
  return {
    ID: dialog.did,
    // OpenSIPS has a second, numeric id for its database; ours is the same, so that either ends the dialog.
    db_id: dialog.did,
    state: dialog.state,
    user_flags: dialog.flags,
    timestart: Math.floor(startedAtMs / 1000),
    ...(startedAtMs > 0 ? { datestart: dateTime(startedAtMs) } : {}),
    timeout: Math.floor(expiresAtMs / 1000),
    ...(expiresAtMs > 0 ? { dateout: dateTime(expiresAtMs) } : {}),
    callid: fromWire(dialog.callId),
    from_uri: fromWire(dialog.fromUri),
    to_uri: fromWire(dialog.toUri),
    caller_tag: fromWire(dialog.fromTag),
    caller_contact: fromWire(dialog.callerContact),
    callee_cseq: String(dialog.calleeCseq),
    caller_route_set: fromWire(dialog.callerRouteSet.join(",")),
    caller_bind_addr: socketOf(callerEndpoint),
    CALLEES: dialog.legs.map((leg) => ({
      callee_tag: fromWire(leg.tag),
      callee_contact: fromWire(leg.contact),
      caller_cseq: String(dialog.callerCseq),
      callee_route_set: fromWire(leg.routeSet.join(",")),
      callee_bind_addr: calleeEndpoint === undefined ? null : socketOf(calleeEndpoint),
    })),
  };
}

function socketOf({ listener }: ManagedDialog["callerEndpoint"]): string {
  const host = listener.family === 6 ? `[${listener.address}]` : listener.address;
  return `${listener.transport}:${host}:${listener.port}`;
}

/** A text of a message as JSON wants it: messages are held one character a byte, JSON wants the UTF-8 that those bytes spell. */
export function fromWire(text: string): string {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return Buffer.from(text, "latin1").toString("utf8");
  return text;
}

/** What a client wrote, as the messages hold it. */
export function toWire(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
