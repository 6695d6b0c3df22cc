import { canonicalIp } from "../balancer/index.ts";
import { tryParseSipUri } from "../sip/index.ts";
import type { Accounts } from "./account.ts";
import { contactIdentity } from "./binding.ts";
import type { BindingTable } from "./binding-table.ts";
import { MAX_CALL_ID_CHARS, MAX_CONTACT_CHARS, MAX_ROWS, MAX_USER_CHARS } from "./limits.ts";
import type { Source } from "./ports.ts";
import type { LeavingCause } from "./row.ts";
import { targetUri } from "./target.ts";

/** A binding as plain JSON; without secrets. */
export interface BindingSnapshot {
  readonly id: number;
  readonly account: string;
  readonly user: string;
  readonly host: string;
  readonly port: number;
  readonly transport: string;
  readonly contact: string;
  readonly call_id: string;
  readonly cseq: number;
  readonly source: Source;
  /** Milliseconds since 1970. */
  readonly expires_at_ms: number;
  /** Null: it is active. */
  readonly cause: LeavingCause | null;
}

export interface RegistrarSnapshot {
  readonly version: 1;
  readonly bindings: readonly BindingSnapshot[];
}

interface Clocks {
  readonly nowMs: number;
  readonly wallMs: number;
}

export function takeSnapshot(table: BindingTable, { nowMs, wallMs }: Clocks): RegistrarSnapshot {
  const bindings: BindingSnapshot[] = [];
  for (const { id, account, target, registration, cause } of table.all()) {
    const { user, contact, callId, cseq, source, expiresAtMs } = registration;
    const { address, port, transport } = source;
    bindings.push({
      id,
      account: account.user,
      user,
      ...target,
      contact,
      call_id: callId,
      cseq,
      source: { address, port, transport },
      expires_at_ms: Math.round(wallMs + expiresAtMs - nowMs),
      cause: cause ?? null,
    });
  }
  return { version: 1, bindings };
}

/**
 * Takes up the bindings of a snapshot, whoever wrote it. What ran out meanwhile leaves; what is not well formed, or belongs to an account that
 * is no more, is passed over.
 */
export function restoreSnapshot(
  table: BindingTable,
  accounts: Accounts,
  snapshot: unknown,
  clocks: Clocks,
): { restored: number; refused: number } {
  const entries = isRecord(snapshot) && snapshot.version === 1 && Array.isArray(snapshot.bindings) ? snapshot.bindings : [];
  let restored = 0;
  for (const entry of entries.slice(0, MAX_ROWS)) if (table.size < MAX_ROWS && restoreOne(table, accounts, entry, clocks)) restored++;
  return { restored, refused: entries.length - restored };
}

function restoreOne(table: BindingTable, accounts: Accounts, entry: unknown, { nowMs, wallMs }: Clocks): boolean {
  if (!isRecord(entry) || !isSource(entry.source)) return false;
  const { id, cseq, port, expires_at_ms: expiresAt, cause } = entry;
  const [account, user, host, transport, contact, callId] = [
    text(entry.account, MAX_USER_CHARS),
    text(entry.user, MAX_USER_CHARS),
    text(entry.host, MAX_CONTACT_CHARS),
    text(entry.transport, MAX_USER_CHARS),
    text(entry.contact, MAX_CONTACT_CHARS),
    text(entry.call_id, MAX_CALL_ID_CHARS),
  ];
  const owner = account === undefined ? undefined : accounts.named(account);
  if (owner === undefined || user === undefined || accounts.for(user) !== owner || callId === undefined) return false;
  if (host === undefined || transport === undefined || contact === undefined) return false;
  if (!isWhole(id) || !isWhole(cseq) || !isWhole(port) || !isWhole(expiresAt) || !isCause(cause)) return false;
  const target = { host: canonicalIp(host) ?? host.toLowerCase(), port, transport };
  const [contactUri, rowUri] = [tryParseSipUri(contact), tryParseSipUri(targetUri(target))];
  // The parts must come back as they went in: a host or a transport may not smuggle anything into the URI.
  const isOwnUri = rowUri?.host === target.host && rowUri.port === port && rowUri.user === undefined && /^[a-z]+$/.test(transport);
  if (contactUri === undefined || !isOwnUri) return false;
  const leftMs = Math.min(expiresAt - wallMs, owner.maxExpiresS * 1000);
  const registration = {
    user,
    contact,
    contactId: contactIdentity(contactUri),
    callId,
    cseq,
    source: entry.source,
    expiresAtMs: nowMs + leftMs,
  };
  return table.restore(owner, target, id, registration, cause ?? (leftMs <= 0 ? "expired" : undefined));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function text(value: unknown, maxChars: number): string | undefined {
  return typeof value === "string" && value.length > 0 && value.length <= maxChars ? value : undefined;
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isCause(value: unknown): value is LeavingCause | null {
  return value === null || value === "expired" || value === "unregistered" || value === "moved";
}

function isSource(value: unknown): value is Source {
  if (!isRecord(value) || text(value.address, MAX_CONTACT_CHARS) === undefined || !isWhole(value.port)) return false;
  return ["udp", "tcp", "tls", "ws", "wss"].includes(value.transport as string);
}
