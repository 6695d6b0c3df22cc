import type { SipUri } from "../sip/index.ts";
import type { Account } from "./account.ts";
import type { Source } from "./ports.ts";
import type { BindingView, DynamicRow, LeavingCause } from "./row.ts";
import { type Target, targetUri } from "./target.ts";
import { fillTemplate } from "./template.ts";

/** What a REGISTER says about a binding. */
export interface Registration {
  /** User of the address of record. */
  readonly user: string;
  /** URI of the Contact as the client wrote it. */
  readonly contact: string;
  /** What of the Contact tells it from another: {@link contactIdentity}. */
  readonly contactId: string;
  readonly callId: string;
  readonly cseq: number;
  readonly source: Source;
  /** Monotonic milliseconds. */
  readonly expiresAtMs: number;
}

/** One server at one address, as an account registered it: a row. */
export interface Binding {
  readonly id: number;
  readonly key: string;
  readonly account: Account;
  readonly target: Target;
  readonly uri: string;
  registration: Registration;
  state: "active" | "leaving";
  cause: LeavingCause | undefined;
}

/** Account and address: a server that registers with two accounts is two destinations, one that registers twice with one is one. */
export function bindingKey(account: Account, target: Target): string {
  return `${account.user} ${targetUri(target)}`;
}

/** User, host and port of a Contact: its parameters, such as the `gw` of FreeSWITCH, may change. */
export function contactIdentity({ user, host, port }: SipUri): string {
  return `${user ?? ""}@${host}:${port ?? ""}`;
}

export function rowOf({ id, key, account, target, uri, registration, state, cause }: Binding): DynamicRow {
  const values = { host: target.host, port: target.port, user: registration.user };
  return {
    id,
    key,
    group: account.group,
    uri,
    resources: fillTemplate(account.resources, values),
    attrs: account.attrs === undefined ? undefined : fillTemplate(account.attrs, values),
    probeMode: account.probeMode,
    description: `registered as ${registration.user}`,
    state,
    cause,
  };
}

export function viewOf({ id, key, account, uri, registration, state, cause }: Binding, nowMs: number): BindingView {
  const { user, contact, source } = registration;
  const expiresS = state === "active" ? secondsLeft(registration, nowMs) : 0;
  return { id, key, group: account.group, uri, account: account.user, user, contact, source, state, cause, expiresS };
}

/** Seconds until it runs out, rounded up. */
export function secondsLeft({ expiresAtMs }: Registration, nowMs: number): number {
  return Math.max(0, Math.ceil((expiresAtMs - nowMs) / 1000));
}
