import { H, isToken, type SipRequest, tryParseSipUri, uriUser } from "../sip/index.ts";
import { Accounts } from "./account.ts";
import { Authenticator } from "./authenticator.ts";
import { type Binding, contactIdentity, rowOf, secondsLeft, viewOf } from "./binding.ts";
import { BindingTable } from "./binding-table.ts";
import { type ContactRequest, readContacts } from "./contacts.ts";
import { RegistrarCounters } from "./counters.ts";
import { MAX_CALL_ID_CHARS, MAX_LISTED_CONTACTS, MAX_UNSUPPORTED } from "./limits.ts";
import { type Plan, planContacts, planRemoval, type Refusal, type Registrant } from "./plan.ts";
import type { RegistrarPorts, Source } from "./ports.ts";
import { type RegistrarReply, reply } from "./reply.ts";
import type { BindingView, DynamicRow } from "./row.ts";
import type { RegistrarSettings } from "./settings.ts";
import { type RegistrarSnapshot, restoreSnapshot, takeSnapshot } from "./snapshot.ts";

/**
 * Makes destinations of the servers that register (RFC 3261 §10.3), for the accounts of the configuration. A binding is a row for as long as
 * it is renewed; then the row leaves, until {@link removed} says that nothing counts on it any more.
 */
export class Registrar {
  readonly counters = new RegistrarCounters();
  readonly #settings: RegistrarSettings;
  readonly #ports: RegistrarPorts;
  readonly #accounts: Accounts;
  readonly #authenticator: Authenticator;
  readonly #table: BindingTable;

  constructor(settings: RegistrarSettings, ports: RegistrarPorts) {
    this.#settings = settings;
    this.#ports = ports;
    this.#accounts = new Accounts(settings.accounts);
    this.#authenticator = new Authenticator(settings, ports, this.#accounts, this.counters);
    this.#table = new BindingTable(ports, this.counters);
  }

  /** Serves a REGISTER that came outside of any dialog. Never throws. */
  handle(request: SipRequest, source: Source): RegistrarReply {
    this.counters.requests++;
    try {
      return this.#handle(request, source);
    } catch (error) {
      this.counters.internal_errors++;
      this.#ports.log.error({ err: error, source: source.address, callid: request.callId }, "cannot serve a REGISTER: internal error");
      return reply(500, "Server Internal Error");
    }
  }

  /** The destinations that there are by registration, those that leave included. */
  rows(): DynamicRow[] {
    return [...this.#table.all()].map(rowOf);
  }

  /** The one with this key, if there is one. */
  row(key: string): DynamicRow | undefined {
    const binding = this.#table.get(key);
    return binding && rowOf(binding);
  }

  /** The registrations, for an operator. */
  bindings(): BindingView[] {
    const now = this.#ports.nowMs();
    return [...this.#table.all()].map((binding) => viewOf(binding, now));
  }

  /**
   * A row that leaves is not needed any more: no call counts on it, or nobody wants to wait longer. Its id is free from now on.
   * False when there is no such row, or when it is active again.
   */
  removed(key: string): boolean {
    return this.#table.remove(key);
  }

  snapshot(): RegistrarSnapshot {
    return takeSnapshot(this.#table, this.#clocks());
  }

  /** Takes up a snapshot; to be called before the first request. Tells nobody of the rows: ask for {@link rows}. */
  restore(snapshot: unknown): { readonly restored: number; readonly refused: number } {
    return restoreSnapshot(this.#table, this.#accounts, snapshot, this.#clocks());
  }

  /** Lets no timer outlive it. */
  stop(): void {
    this.#table.stop();
  }

  #clocks(): { readonly nowMs: number; readonly wallMs: number } {
    return { nowMs: this.#ports.nowMs(), wallMs: this.#ports.wallMs() };
  }

  #handle(request: SipRequest, source: Source): RegistrarReply {
    // A server that is registered is not thrown out because its neighbour behind the same address tries passwords; nor does its Call-ID, which others on
    // the way may have seen, let anybody in from elsewhere.
    if (this.#authenticator.isBanned(source) && !this.#table.knowsCallId(request.callId, source)) {
      this.counters.banned_requests++;
      return reply(403, "Forbidden");
    }
    const malformed = requirementsOf(request);
    if (malformed !== undefined) {
      this.counters.bad_requests++;
      return malformed;
    }
    const who = this.#authenticator.check(request, source);
    if (who.kind === "refused") return who.reply;
    const { account, username: user } = who;
    const to = tryParseSipUri(request.to.uri);
    if (to === undefined || unescaped(uriUser(to) ?? "") !== user) {
      this.counters.forbidden++;
      return reply(403, "Forbidden: To is not the authenticated user");
    }
    const contacts = readContacts(request, account);
    if (contacts.kind === "refused") {
      this.counters.bad_requests++;
      return contacts.reply;
    }
    const registrant: Registrant = { account, user, request, source };
    if (contacts.kind === "query") return this.#accepted(registrant, new Set());
    return this.#apply(
      registrant,
      contacts.kind === "all" ? planRemoval(this.#table, registrant) : this.#plan(registrant, contacts.contacts),
    );
  }

  #plan(registrant: Registrant, contacts: readonly ContactRequest[]): Plan | Refusal {
    const { transports } = this.#settings;
    return planContacts(this.#table, registrant, contacts, { transports, isOwn: this.#ports.isOwn ?? (() => false) });
  }

  /** All of it, or nothing (RFC 3261 §10.3, step 7). */
  #apply(registrant: Registrant, plan: Plan | Refusal): RegistrarReply {
    if ("reply" in plan) {
      this.counters[plan.counter]++;
      return plan.reply;
    }
    const { account, user, request, source } = registrant;
    const now = this.#ports.nowMs();
    for (const [binding, cause] of plan.ending) this.#table.end(binding, cause);
    const named = new Set<Binding>();
    for (const { target, contact, natted } of plan.placing.values()) {
      if (natted) this.counters.natted++;
      const registration = {
        user,
        contact: contact.text,
        contactId: contactIdentity(contact.uri),
        callId: request.callId,
        cseq: request.cseqNumber,
        source: { address: source.address, port: source.port, transport: source.transport },
        expiresAtMs: now + contact.expiresS * 1000,
      };
      named.add(this.#table.register(account, target, registration));
    }
    return this.#accepted(registrant, named);
  }

  /** "The response MUST contain Contact header field values enumerating all current bindings" (RFC 3261 §10.3, step 8), those just named first. */
  #accepted({ account, user }: Registrant, named: ReadonlySet<Binding>): RegistrarReply {
    this.counters.accepted++;
    const now = this.#ports.nowMs();
    const listed = [...named];
    for (const binding of this.#table.activeOf(account)) {
      if (listed.length >= MAX_LISTED_CONTACTS) break;
      if (binding.registration.user === user && !named.has(binding)) listed.push(binding);
    }
    const headers = listed.map(
      ({ registration }) => ["Contact", `<${registration.contact}>;expires=${secondsLeft(registration, now)}`] as const,
    );
    const date = this.#ports.dateText?.();
    return reply(200, "OK", ...headers, ...(date === undefined ? [] : [["Date", date] as const]));
  }
}

/** What cannot be served whoever asks: extensions that the client requires (RFC 3261 §8.2.2.3; none are known, Path of RFC 3327 neither). */
function requirementsOf(request: SipRequest): RegistrarReply | undefined {
  if (request.callId.length > MAX_CALL_ID_CHARS) return reply(400, "Bad Call-ID: too long");
  const required = request.list(H.Require);
  if (required.length === 0) return undefined;
  const tags = required.filter((tag) => isToken(tag)).slice(0, MAX_UNSUPPORTED);
  if (tags.length === 0) return reply(400, "Bad Require");
  return reply(420, "Bad Extension", ["Unsupported", tags.join(", ")]);
}

/** A user part with its escapes undone (RFC 3261 §19.1.4). */
function unescaped(user: string): string {
  return user.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
