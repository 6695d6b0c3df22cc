import { canonicalIp } from "../balancer/index.ts";
import type { Account } from "./account.ts";
import { type Binding, bindingKey, type Registration, rowOf } from "./binding.ts";
import type { RegistrarCounters } from "./counters.ts";
import type { RegistrarPorts, Source } from "./ports.ts";
import { type LeavingCause, type RowChange, rowStep } from "./row.ts";
import { RowIds } from "./row-ids.ts";
import { type Target, targetUri } from "./target.ts";

/** Shortest wait for the end of a registration, ms: those that end together are looked at together. */
const SHORTEST_WAIT_MS = 50;

/** All bindings, and the clock that ends them. */
export class BindingTable {
  readonly #ports: RegistrarPorts;
  readonly #counters: RegistrarCounters;
  readonly #ids: RowIds;
  readonly #byKey = new Map<string, Binding>();
  readonly #byAccount = new Map<Account, Set<Binding>>();
  /** How many active bindings each Call-ID of each source address has. */
  readonly #callIds = new Map<string, number>();
  #stopTimer: (() => void) | undefined;
  #timerAtMs = Infinity;

  constructor(ports: RegistrarPorts, counters: RegistrarCounters) {
    this.#ports = ports;
    this.#counters = counters;
    this.#ids = new RowIds(ports.hash, ports.isTakenId);
  }

  get size(): number {
    return this.#byKey.size;
  }

  all(): Iterable<Binding> {
    return this.#byKey.values();
  }

  get(key: string): Binding | undefined {
    return this.#byKey.get(key);
  }

  /** Those that are active, in order of their coming. */
  *activeOf(account: Account): Iterable<Binding> {
    for (const binding of this.#byAccount.get(account) ?? []) if (binding.state === "active") yield binding;
  }

  /** Whether an active binding was registered with this Call-ID from the address of this source. */
  knowsCallId(callId: string, source: Source): boolean {
    return this.#callIds.has(callIdKey(callId, source));
  }

  /** Binds, or binds anew. */
  register(account: Account, target: Target, registration: Registration): Binding {
    const key = bindingKey(account, target);
    const known = this.#byKey.get(key);
    const binding = known ?? this.#add(account, target, this.#ids.allocate(key), registration);
    const before = known?.state ?? "none";
    const isSameUser = binding.registration.user === registration.user;
    if (before === "active") this.#uncount(binding);
    else if (before === "leaving") this.#counters.leaving--;
    binding.registration = registration;
    binding.state = rowStep(before, "registered") as "active";
    binding.cause = undefined;
    this.#count(binding);
    this.#arm(registration.expiresAtMs);
    const kind = before === "none" ? "came" : before === "leaving" ? "returned" : isSameUser ? "stayed" : "changed";
    if (kind === "came") this.#counters.rows_came++;
    else if (kind === "returned") this.#counters.rows_returned++;
    else this.#counters.rows_renewed++;
    this.#tell(kind, binding);
    return binding;
  }

  /** Ends a binding: its row leaves. */
  end(binding: Binding, cause: LeavingCause): void {
    if (binding.state !== "active") return;
    this.#uncount(binding);
    binding.state = rowStep("active", "ended") as "leaving";
    binding.cause = cause;
    this.#counters.leaving++;
    if (cause === "expired") this.#counters.rows_expired++;
    else if (cause === "unregistered") this.#counters.rows_unregistered++;
    else this.#counters.rows_moved++;
    this.#tell("left", binding);
  }

  /** Forgets a row that leaves. False when there is none, or it is active. */
  remove(key: string): boolean {
    const binding = this.#byKey.get(key);
    if (binding === undefined || rowStep(binding.state, "removed") !== "none") return false;
    this.#byKey.delete(key);
    const siblings = this.#byAccount.get(binding.account);
    siblings?.delete(binding);
    if (siblings?.size === 0) this.#byAccount.delete(binding.account);
    this.#ids.release(binding.id);
    this.#counters.leaving--;
    this.#counters.rows_gone++;
    this.#tell("gone", binding);
    return true;
  }

  /** Takes up a binding from before a restart, without telling anybody. False when its key or id is taken, or the id cannot be one. */
  restore(account: Account, target: Target, id: number, registration: Registration, ended: LeavingCause | undefined): boolean {
    if (this.#byKey.has(bindingKey(account, target)) || !this.#ids.claim(id)) return false;
    const binding = this.#add(account, target, id, registration);
    if (ended === undefined) {
      this.#count(binding);
      this.#arm(registration.expiresAtMs);
    } else {
      binding.state = "leaving";
      binding.cause = ended;
      this.#counters.leaving++;
    }
    return true;
  }

  /** Lets no timer outlive it. */
  stop(): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#timerAtMs = Infinity;
  }

  #add(account: Account, target: Target, id: number, registration: Registration): Binding {
    const key = bindingKey(account, target);
    const binding: Binding = { id, key, account, target, uri: targetUri(target), registration, state: "active", cause: undefined };
    this.#byKey.set(key, binding);
    const siblings = this.#byAccount.get(account);
    if (siblings === undefined) this.#byAccount.set(account, new Set([binding]));
    else siblings.add(binding);
    return binding;
  }

  #count({ registration: { callId, source } }: Binding): void {
    const key = callIdKey(callId, source);
    this.#callIds.set(key, (this.#callIds.get(key) ?? 0) + 1);
    this.#counters.active++;
  }

  #uncount({ registration: { callId, source } }: Binding): void {
    const key = callIdKey(callId, source);
    const left = (this.#callIds.get(key) ?? 1) - 1;
    if (left === 0) this.#callIds.delete(key);
    else this.#callIds.set(key, left);
    this.#counters.active--;
  }

  #tell(kind: RowChange["kind"], binding: Binding): void {
    const { log, onChange } = this.#ports;
    const { id, account, uri, registration, cause } = binding;
    const fields = { destination: id, group: account.group, uri, user: registration.user, ...(cause && { cause }) };
    if (kind === "stayed") log.debug(fields, "registration renewed");
    else log.info(fields, WORDS[kind]);
    try {
      onChange?.({ kind, row: rowOf(binding) });
    } catch (error) {
      this.#counters.internal_errors++;
      log.error({ err: error, ...fields }, "cannot tell of a registration: internal error");
    }
  }

  #arm(atMs: number): void {
    if (atMs >= this.#timerAtMs) return;
    this.#stopTimer?.();
    this.#timerAtMs = atMs;
    const waitMs = Math.max(SHORTEST_WAIT_MS, atMs - this.#ports.nowMs());
    this.#stopTimer = this.#ports.after(waitMs, () => this.#expire());
  }

  #expire(): void {
    this.stop();
    const now = this.#ports.nowMs();
    let next = Infinity;
    for (const binding of [...this.#byKey.values()]) {
      if (binding.state !== "active") continue;
      if (binding.registration.expiresAtMs <= now) this.end(binding, "expired");
      else next = Math.min(next, binding.registration.expiresAtMs);
    }
    if (next < Infinity) this.#arm(next);
  }
}

const WORDS: Readonly<Record<Exclude<RowChange["kind"], "stayed">, string>> = {
  came: "destination registered",
  changed: "destination registered under another name",
  returned: "destination registered again while it was leaving",
  left: "destination leaves: its registration ended",
  gone: "destination that registered is gone",
};

function callIdKey(callId: string, { address }: Source): string {
  return `${canonicalIp(address) ?? address} ${callId}`;
}
