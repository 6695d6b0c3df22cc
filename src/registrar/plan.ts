import type { SipRequest } from "../sip/index.ts";
import type { Account } from "./account.ts";
import { type Binding, bindingKey, contactIdentity } from "./binding.ts";
import type { BindingTable } from "./binding-table.ts";
import type { ContactRequest } from "./contacts.ts";
import { MAX_ROWS } from "./limits.ts";
import type { Source } from "./ports.ts";
import { type RegistrarReply, reply } from "./reply.ts";
import type { LeavingCause } from "./row.ts";
import { chooseTarget, type Target } from "./target.ts";

/** Who asks, and with what; the password was right. */
export interface Registrant {
  readonly account: Account;
  /** User name of the credentials, and so of the address of record. */
  readonly user: string;
  readonly request: SipRequest;
  readonly source: Source;
}

/** A Contact that is to be bound. */
export interface Placement {
  readonly target: Target;
  readonly contact: ContactRequest;
  /** The target is the source address, as the Contact names another. */
  readonly natted: boolean;
}

/** What a REGISTER does to the table, when nothing speaks against it. */
export interface Plan {
  readonly ending: ReadonlyMap<Binding, LeavingCause>;
  /** By the key of the binding. */
  readonly placing: ReadonlyMap<string, Placement>;
}

/** Why nothing of it is done; the counter is one of `RegistrarCounters`. */
export interface Refusal {
  readonly reply: RegistrarReply;
  readonly counter: "bad_requests" | "forbidden" | "out_of_order" | "too_many";
}

export interface TargetRules {
  readonly transports: readonly string[];
  readonly isOwn: (host: string, port: number) => boolean;
}

/** A client that finds the account full asks again after this many seconds: some registration may have run out by then. */
const FULL_RETRY_S = 60;

/**
 * `Contact: *` takes away all bindings of the address of record (RFC 3261 §10.3, step 6). Where many servers share an account, only those of
 * the server that says it, told by Call-ID or source address and port: one that starts must not end its neighbours.
 */
export function planRemoval(table: BindingTable, registrant: Registrant): Plan | Refusal {
  const { account, user, request, source } = registrant;
  const ending = new Map<Binding, LeavingCause>();
  for (const binding of table.activeOf(account)) {
    const { registration } = binding;
    const isOwn =
      registration.callId === request.callId ||
      (registration.source.address === source.address && registration.source.port === source.port);
    if (registration.user === user && (isOwn || account.maxRegistrations === 1)) ending.set(binding, "unregistered");
  }
  return inOrder(ending.keys(), registrant) ?? { ending, placing: new Map() };
}

/** Each Contact is bound or taken away (RFC 3261 §10.3, step 7). */
export function planContacts(
  table: BindingTable,
  registrant: Registrant,
  contacts: readonly ContactRequest[],
  rules: TargetRules,
): Plan | Refusal {
  const { account, source } = registrant;
  const ending = new Map<Binding, LeavingCause>();
  const placing = new Map<string, Placement>();
  for (const contact of contacts) {
    const { target, natted } = chooseTarget(contact.uri, source, account.trustContact);
    const key = bindingKey(account, target);
    if (contact.expiresS === 0) {
      for (const binding of namedBy(table, registrant, contact, { key, natted })) ending.set(binding, "unregistered");
      continue;
    }
    const refusal = refusalOf(target, rules);
    if (refusal !== undefined) return refusal;
    // The same server at another address, as when its NAT gave it a new port: it is not at the old one any more.
    for (const binding of namedBy(table, registrant, contact, undefined)) if (!ending.has(binding)) ending.set(binding, "moved");
    placing.set(key, { target, contact, natted });
  }
  const touched = new Set(ending.keys());
  for (const key of placing.keys()) {
    const binding = table.get(key);
    if (binding === undefined) continue;
    if (binding.state === "active") touched.add(binding);
    ending.delete(binding); // behind NAT an old and a new Contact come to the same address
  }
  return inOrder(touched, registrant) ?? withinBounds(table, account, ending, placing) ?? { ending, placing };
}

/**
 * Active bindings of the user that a Contact means: those that the same client made for the same Contact, and the one at its address. Behind
 * NAT every Contact is at the same address, so that there it must be the same Contact as well.
 */
function* namedBy(
  table: BindingTable,
  { account, user, request }: Registrant,
  contact: ContactRequest,
  at: { readonly key: string; readonly natted: boolean } | undefined,
): Iterable<Binding> {
  const id = contactIdentity(contact.uri);
  for (const binding of table.activeOf(account)) {
    const { registration } = binding;
    if (registration.user !== user) continue;
    const isSameContact = registration.contactId === id;
    const isThere = binding.key === at?.key && (isSameContact || !at.natted);
    if (isThere || (isSameContact && registration.callId === request.callId)) yield binding;
  }
}

function refusalOf({ host, port, transport }: Target, { transports, isOwn }: TargetRules): Refusal | undefined {
  if (!transports.includes(transport)) return { counter: "bad_requests", reply: reply(400, "Bad Contact: transport is not supported") };
  if (isOwn(host, port)) return { counter: "forbidden", reply: reply(403, "Forbidden: Contact is this proxy") };
  return undefined;
}

/** With the Call-ID of the binding, a CSeq that is not higher is old news: the request fails (RFC 3261 §10.3, steps 6 and 7). */
function inOrder(bindings: Iterable<Binding>, { request }: Registrant): Refusal | undefined {
  for (const { registration } of bindings) {
    if (registration.callId === request.callId && registration.cseq >= request.cseqNumber) {
      return { counter: "out_of_order", reply: reply(500, "CSeq Out Of Order") };
    }
  }
  return undefined;
}

function withinBounds(
  table: BindingTable,
  account: Account,
  ending: ReadonlyMap<Binding, LeavingCause>,
  placing: ReadonlyMap<string, Placement>,
): Refusal | undefined {
  const fresh = [...placing.keys()].map((key) => table.get(key)).filter((known) => known?.state !== "active");
  if (fresh.length === 0) return undefined;
  let active = fresh.length;
  for (const _ of table.activeOf(account)) active++;
  for (const { state } of ending.keys()) if (state === "active") active--;
  const rows = table.size + fresh.filter((known) => known === undefined).length;
  if (active <= account.maxRegistrations && rows <= MAX_ROWS) return undefined;
  return { counter: "too_many", reply: reply(503, "Too Many Registrations", ["Retry-After", String(FULL_RETRY_S)]) };
}
