import type { AccountSettings } from "./account.ts";
import type { DigestAlgorithm } from "./ports.ts";

/** Parameters of the registrar. */
export interface RegistrarSettings {
  readonly realm: string;
  readonly accounts: readonly AccountSettings[];
  /** Offered in this order, the preferred one first, at least one (RFC 8760 §2.4). */
  readonly algorithms: readonly DigestAlgorithm[];
  readonly nonceTtlMs: number;
  /** Wrong passwords within the window that ban a source; 0: nobody is banned. */
  readonly maxFailures: number;
  readonly failureWindowMs: number;
  readonly banMs: number;
  /** Transports over which destinations can be reached, such as `udp`. */
  readonly transports: readonly string[];
}

/** An account as the configuration says it. */
export interface AccountKeys {
  readonly user: string;
  readonly password: string | null;
  readonly ha1: string | null;
  readonly ha1_sha256: string | null;
  readonly group: number;
  readonly resources: string;
  readonly attrs: string | null;
  readonly probe_mode: number;
  readonly max_registrations: number;
  readonly min_expires: number;
  readonly max_expires: number;
  readonly trust_contact: boolean;
}

/** The section `registrar` of the configuration. */
export interface RegistrarKeys {
  readonly realm: string;
  readonly accounts: readonly AccountKeys[];
  readonly algorithms: readonly string[];
  readonly nonce_ttl: number;
  readonly max_failures: number;
  readonly failure_window: number;
  readonly ban: number;
}

/**
 * The parameters that a configuration asks for.
 *
 * @param transports those of the listeners
 */
export function registrarSettings(keys: RegistrarKeys, transports: readonly string[] = ["udp"]): RegistrarSettings {
  return {
    realm: keys.realm,
    accounts: keys.accounts.map(accountSettings),
    algorithms: keys.algorithms as readonly DigestAlgorithm[],
    nonceTtlMs: keys.nonce_ttl * 1000,
    maxFailures: keys.max_failures,
    failureWindowMs: keys.failure_window * 1000,
    banMs: keys.ban * 1000,
    transports,
  };
}

function accountSettings(keys: AccountKeys): AccountSettings {
  return {
    user: keys.user,
    password: keys.password ?? undefined,
    ha1: { ...(keys.ha1 && { MD5: keys.ha1 }), ...(keys.ha1_sha256 && { "SHA-256": keys.ha1_sha256 }) },
    group: keys.group,
    resources: keys.resources,
    attrs: keys.attrs ?? undefined,
    probeMode: keys.probe_mode as 0 | 1 | 2,
    maxRegistrations: keys.max_registrations,
    minExpiresS: keys.min_expires,
    maxExpiresS: keys.max_expires,
    trustContact: keys.trust_contact,
  };
}
