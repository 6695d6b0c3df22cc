import { digestHa1, utf8Bytes } from "./digest.ts";
import type { DigestAlgorithm, DigestHash } from "./ports.ts";

/** The user of an account for whom no other account has the name. */
export const ANY_USER = "*";

/** An account of the configuration: who may register, and what destination comes of it. */
export interface AccountSettings {
  /** User name, or {@link ANY_USER}. */
  readonly user: string;
  /** Undefined: the hashes of `ha1` stand for it, and only their algorithms can be answered. */
  readonly password: string | undefined;
  /** H(A1) by algorithm, hexadecimal; not with {@link ANY_USER}. */
  readonly ha1: Readonly<Partial<Record<DigestAlgorithm, string>>>;
  readonly group: number;
  /** As the column `resources`; `{host}`, `{port}` and `{user}` stand for those of the registration. */
  readonly resources: string;
  /** As the column `attrs`, with the same placeholders. */
  readonly attrs: string | undefined;
  readonly probeMode: 0 | 1 | 2;
  /** Most registrations at a time, from 1. */
  readonly maxRegistrations: number;
  readonly minExpiresS: number;
  readonly maxExpiresS: number;
  /** The Contact is the destination, whatever the source address. */
  readonly trustContact: boolean;
}

type PublicSettings = Omit<AccountSettings, "password" | "ha1" | "user">;

/** An account; its secrets stand in no property that could be printed. */
export class Account implements PublicSettings {
  /** As messages have it, one character a byte. */
  readonly user: string;
  readonly group: number;
  readonly resources: string;
  readonly attrs: string | undefined;
  readonly probeMode: 0 | 1 | 2;
  readonly maxRegistrations: number;
  readonly minExpiresS: number;
  readonly maxExpiresS: number;
  readonly trustContact: boolean;
  readonly #password: string | undefined;
  readonly #ha1: Partial<Record<DigestAlgorithm, string>>;

  constructor(settings: AccountSettings) {
    this.user = utf8Bytes(settings.user);
    this.group = settings.group;
    this.resources = settings.resources;
    this.attrs = settings.attrs;
    this.probeMode = settings.probeMode;
    this.maxRegistrations = settings.maxRegistrations;
    this.minExpiresS = settings.minExpiresS;
    this.maxExpiresS = settings.maxExpiresS;
    this.trustContact = settings.trustContact;
    this.#password = settings.password === undefined ? undefined : utf8Bytes(settings.password);
    this.#ha1 = { ...settings.ha1 };
  }

  /** H(A1) of a user of the account; undefined when only the hash of another algorithm is known. */
  ha1(hash: DigestHash, algorithm: DigestAlgorithm, username: string, realm: string): string | undefined {
    if (this.#password === undefined) return this.#ha1[algorithm]?.toLowerCase();
    return digestHa1(hash, algorithm, username, realm, this.#password);
  }
}

/** Accounts by user name. */
export class Accounts {
  readonly #byUser = new Map<string, Account>();

  constructor(settings: readonly AccountSettings[]) {
    for (const one of settings) {
      const account = new Account(one);
      if (!this.#byUser.has(account.user)) this.#byUser.set(account.user, account);
    }
  }

  /** The account by the name that the configuration gives it. */
  named(user: string): Account | undefined {
    return this.#byUser.get(user);
  }

  /** The account that a client of this name belongs to. */
  for(username: string): Account | undefined {
    if (username === ANY_USER) return undefined;
    return this.#byUser.get(username) ?? (PLAIN_USER.test(username) ? this.#byUser.get(ANY_USER) : undefined);
  }
}

/** A name that a client chooses itself gets into templates: nothing that a resource list or an attribute could end with. */
const PLAIN_USER = /^[A-Za-z0-9._-]{1,64}$/;
