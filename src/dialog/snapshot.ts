import { type Endpoint, facingListener, type Listener } from "../transaction/index.ts";
import { Dialog, DialogState } from "./dialog.ts";
import { type CalleeLeg, MAX_ROUTE_SET } from "./leg.ts";

/** Where a party of a call was last seen, and through which listener, as plain data. */
export interface EndpointSnapshot {
  readonly transport: Endpoint["transport"];
  /** Without brackets. */
  readonly address: string;
  readonly port: number;
  /** Address and port that the listener was bound to: a listener of another node that is bound alike takes its place. */
  readonly listener: readonly [address: string, port: number];
}

/** All that another node needs to go on with a call, as plain data that JSON can carry; its leases are another matter. Text is as on the wire, one character a byte. */
export interface DialogSnapshot {
  readonly did: string;
  readonly callId: string;
  readonly fromTag: string;
  readonly fromUri: string;
  readonly toUri: string;
  readonly fromValue: string;
  readonly toValue: string;
  readonly caller: EndpointSnapshot;
  /** Null before the INVITE went anywhere. */
  readonly callee: EndpointSnapshot | null;
  readonly callerContact: string;
  readonly callerRouteSet: readonly string[];
  readonly callerCseq: number;
  readonly inviteBranch: string;
  /** "" and 0 once the call is up. */
  readonly inviteUri: string;
  readonly inviteCseq: number;
  readonly legs: readonly Readonly<CalleeLeg>[];
  /** Deleted: it is over, and `expiresAtMs` says for how long its BYE may still come, or has to go out. Another node is never told of such a call. */
  readonly state: DialogState;
  /** Wall clock, milliseconds; 0 before the 2xx. */
  readonly startedAtMs: number;
  /** Wall clock, milliseconds; 0 before the 2xx. */
  readonly expiresAtMs: number;
  readonly flags: number;
  /** A script has put something on this call that keeps targets from its parties, which no other node can have: it keeps all others from them. */
  readonly isGuarded: boolean;
}

/** The parties of a restored call, with listeners of this node. */
export interface DialogEndpoints {
  readonly caller: Endpoint;
  readonly callee: Endpoint | undefined;
}

/** Lets nothing pass but what needs no guard: the places where the parties were last seen. */
const REFUSE_ALL = { accepts: (): boolean => false };

/** A call that has not ended, or that lingers, as plain data. */
export function snapshotOf(dialog: Dialog): DialogSnapshot {
  const { calleeEndpoint } = dialog;
  return {
    did: dialog.did,
    callId: dialog.callId,
    fromTag: dialog.fromTag,
    fromUri: dialog.fromUri,
    toUri: dialog.toUri,
    fromValue: dialog.fromValue,
    toValue: dialog.toValue,
    caller: plain(dialog.callerEndpoint),
    callee: calleeEndpoint === undefined ? null : plain(calleeEndpoint),
    callerContact: dialog.callerContact,
    callerRouteSet: dialog.callerRouteSet,
    callerCseq: dialog.callerCseq,
    inviteBranch: dialog.inviteBranch,
    inviteUri: dialog.inviteUri,
    inviteCseq: dialog.inviteCseq,
    legs: dialog.legs.map(({ tag, contact, routeSet, cseq, state, earlyBye }) => ({
      ...{ tag, contact, routeSet, cseq, state },
      ...(earlyBye !== undefined && { earlyBye }),
    })),
    state: dialog.state,
    startedAtMs: dialog.startedAtMs,
    expiresAtMs: dialog.expiresAtMs,
    flags: dialog.flags,
    isGuarded: dialog.guard !== undefined,
  };
}

/** The parties of a call as this node can reach them; undefined when it has no listener of their transport and family. */
export function endpointsOf({ caller, callee }: DialogSnapshot, listeners: readonly Listener[]): DialogEndpoints | undefined {
  const from = reachable(caller, listeners);
  if (from === undefined) return undefined;
  const to = callee === null ? undefined : reachable(callee, listeners);
  return callee !== null && to === undefined ? undefined : { caller: from, callee: to };
}

/** The call that a snapshot tells of. No table knows it, and no timer of it runs. */
export function revive(snapshot: DialogSnapshot, { caller, callee }: DialogEndpoints, onTimer: (dialog: Dialog) => void): Dialog {
  const { did, callId, fromTag, fromUri, toUri, fromValue, toValue, callerContact, callerCseq } = snapshot;
  const callerRouteSet = snapshot.callerRouteSet.slice(0, MAX_ROUTE_SET);
  const dialog = new Dialog(
    did,
    { callId, fromTag, fromUri, toUri, fromValue, toValue, callerEndpoint: caller, callerContact, callerRouteSet, callerCseq },
    onTimer,
  );
  dialog.isRestored = true;
  dialog.calleeEndpoint = callee;
  dialog.inviteBranch = snapshot.inviteBranch;
  dialog.inviteUri = snapshot.inviteUri;
  dialog.inviteCseq = snapshot.inviteCseq;
  dialog.restoreLegs(snapshot.legs);
  dialog.state = snapshot.state;
  dialog.startedAtMs = snapshot.startedAtMs;
  dialog.expiresAtMs = snapshot.expiresAtMs;
  dialog.flags = snapshot.flags;
  if (snapshot.isGuarded) dialog.guard = REFUSE_ALL;
  return dialog;
}

/**
 * Brings a call up to what a later snapshot of it says. Of a call that is up, both may know something new: the higher numbers and the longer life hold, an
 * ended leg stays ended, and no leg is forgotten. Its state stays.
 */
export function catchUp(dialog: Dialog, snapshot: DialogSnapshot, { caller, callee }: DialogEndpoints): void {
  const isUp = dialog.state >= DialogState.ConfirmedNoAck;
  dialog.callerEndpoint = sameOr(dialog.callerEndpoint, caller);
  dialog.calleeEndpoint = callee && sameOr(dialog.calleeEndpoint, callee);
  dialog.callerContact = snapshot.callerContact;
  dialog.callerCseq = Math.max(dialog.callerCseq, snapshot.callerCseq);
  dialog.inviteBranch = snapshot.inviteBranch;
  dialog.inviteUri = snapshot.inviteUri;
  dialog.inviteCseq = snapshot.inviteCseq;
  dialog.flags = snapshot.flags;
  if (snapshot.isGuarded) dialog.guard ??= REFUSE_ALL;
  if (dialog.startedAtMs === 0) dialog.startedAtMs = snapshot.startedAtMs;
  dialog.expiresAtMs = Math.max(dialog.expiresAtMs, snapshot.expiresAtMs);
  const legs = isUp ? [...dialog.legs] : [];
  for (const leg of snapshot.legs) {
    const known = legs.find(({ tag }) => tag === leg.tag);
    if (known === undefined) {
      legs.push({ ...leg, routeSet: leg.routeSet.slice(0, MAX_ROUTE_SET) });
      continue;
    }
    known.contact = leg.contact;
    known.cseq = Math.max(known.cseq, leg.cseq);
    if (known.state === "early" || leg.state === "ended") known.state = leg.state;
  }
  dialog.restoreLegs(legs);
}

/** The place as it was, with its connection, unless the party has moved. */
function sameOr(before: Endpoint | undefined, after: Endpoint): Endpoint {
  const isSame = before?.transport === after.transport && before.address === after.address && before.port === after.port;
  return isSame ? before : after;
}

function plain({ transport, address, port, listener }: Endpoint): EndpointSnapshot {
  return { transport, address, port, listener: [listener.address, listener.port] };
}

function reachable({ transport, address, port, listener }: EndpointSnapshot, listeners: readonly Listener[]): Endpoint | undefined {
  const usable = listeners.filter((other) => other.transport === transport);
  const [boundTo, boundPort] = listener;
  const alike =
    usable.find((other) => other.address === boundTo && other.port === boundPort) ??
    usable.find((other) => other.port === boundPort && other.family === (address.includes(":") ? 6 : 4));
  const found = facingListener(address, usable, alike);
  return found === undefined ? undefined : { transport, address, port, listener: found };
}
