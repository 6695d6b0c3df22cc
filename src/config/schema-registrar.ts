import { type Static, Type } from "typebox";
import { parseResources } from "../balancer/index.ts";
import { ANY_USER, fillTemplate, MAX_ROWS, MAX_USER_CHARS, PLACEHOLDERS, unknownPlaceholder } from "../registrar/index.ts";
import type { Reading } from "./read-values.ts";
import { flag, item, list, MAX_INT32, MAX_TEXT_LENGTH, optionalText, text, whole } from "./schema-keys.ts";

/** One day: a server that says nothing for longer is not there. */
const MAX_EXPIRES_S = 86_400;
const MAX_ACCOUNTS = 1000;

const AccountSchema = Type.Object(
  {
    user: Type.String({
      description:
        'User name of the credentials and of To. "*": every name that has no account of its own, such as the host names of a farm that share one password.',
      check: checkUser,
      maxLength: MAX_USER_CHARS,
      numberIsText: true,
    }),
    password: optionalText("Password. Null: ha1 or ha1_sha256 stands for it.", { check: checkPassword, secret: true }),
    ha1: optionalText("MD5 of user:realm:password, in hexadecimal, in place of the password.", { check: checkHex(32), secret: true }),
    ha1_sha256: optionalText("SHA-256 of user:realm:password, in hexadecimal, in place of the password.", {
      check: checkHex(64),
      secret: true,
    }),
    group: whole("Group of the destinations.", 0, 0, MAX_INT32),
    // A resource may hold the password of an event socket.
    resources: Type.String({
      description:
        'Resources of each destination, as in the database, such as "transc=32;conf=20" or "pstn=fs://:ClueCon@{host}:8021". {host}, {port} and {user} stand for those of the registration.',
      check: checkTemplate,
      maxLength: MAX_TEXT_LENGTH,
      secret: true,
    }),
    attrs: optionalText(
      "Attributes of each destination, as in the database. {host}, {port} and {user} stand for those of the registration.",
    ),
    probe_mode: whole("Whether the destinations are probed: 0 never, 1 when disabled, 2 always.", 2, 0, 2),
    max_registrations: whole("Most servers that are registered with the account at a time.", 100, 1, MAX_ROWS),
    min_expires: whole("Shortest time that a registration may ask for.", 30, 1, MAX_EXPIRES_S, { unit: "seconds" }),
    max_expires: whole(
      "Longest time that a registration lasts, unless it is renewed. A server that has died keeps its place for that long.",
      120,
      1,
      MAX_EXPIRES_S,
      { unit: "seconds" },
    ),
    trust_contact: flag(
      "The address in Contact is the destination, even when the REGISTER came from another. False: then it is the address that it came from.",
      false,
    ),
  },
  { description: "Who may register, and what destination comes of it.", additionalProperties: false },
);

/** The section `registrar` of the configuration. */
export const RegistrarSchema = Type.Object(
  {
    realm: text("Realm of the digest authentication.", "headroom", { check: checkRealm }),
    accounts: Type.Array(AccountSchema, { description: "Accounts of the servers that may register.", default: [], maxItems: MAX_ACCOUNTS }),
    algorithms: list(
      'Digest algorithms that are offered, the preferred one first: "MD5", "SHA-256". A FreeSWITCH may understand only MD5.',
      item({ check: checkAlgorithm }),
      ["MD5"],
      { single: true },
    ),
    nonce_ttl: whole("How long a client may use the nonce of a challenge.", 600, 10, MAX_EXPIRES_S, { unit: "seconds" }),
    max_failures: whole("Wrong passwords from one address within failure_window that ban it. 0: it is never banned.", 10, 0, 1_000_000),
    failure_window: whole("Time over which wrong passwords are counted.", 60, 1, MAX_EXPIRES_S, { unit: "seconds" }),
    ban: whole("How long no registration is taken from an address that is banned, but for those that are renewed.", 300, 1, MAX_EXPIRES_S, {
      unit: "seconds",
    }),
  },
  {
    description:
      "Destinations that register themselves: each server that sends a REGISTER with the credentials of an account is a destination for as long as it renews it. Without accounts there is no registrar.",
    additionalProperties: false,
  },
);

/**
 * What no key of the section shows alone: no algorithm at all, accounts without a secret, with two, or twice, and times that contradict each other.
 *
 * @param found nothing is reported of an account of which a part was refused
 */
export function checkRegistrar(
  { accounts, algorithms }: Static<typeof RegistrarSchema>,
  found: Pick<Reading, "set" | "report" | "refused">,
): void {
  if (algorithms.length === 0 && !found.refused.some((bad) => bad.startsWith("registrar.algorithms"))) {
    const path = "registrar.algorithms";
    found.report(found.set.get(path) ?? { line: 1, column: 1 }, `${path}: found an empty list, want "MD5", "SHA-256" or both`);
  }
  const users = new Set<string>();
  for (const [i, account] of accounts.entries()) {
    const path = `registrar.accounts[${i}]`;
    if (found.refused.some((bad) => bad === path || bad.startsWith(`${path}.`))) continue;
    for (const message of faultsOf(account, algorithms)) found.report(found.set.get(path) ?? { line: 1, column: 1 }, `${path}: ${message}`);
    if (users.has(account.user)) {
      found.report(found.set.get(path) ?? { line: 1, column: 1 }, `${path}: found the user "${account.user}" twice, want each once`);
    }
    users.add(account.user);
  }
}

function faultsOf(account: Static<typeof AccountSchema>, algorithms: readonly string[]): string[] {
  const { user, password, ha1, ha1_sha256, min_expires, max_expires } = account;
  const faults: string[] = [];
  const hasHash = ha1 !== null || ha1_sha256 !== null;
  if (password !== null && hasHash) faults.push("found both a password and a hash of it, want one of them");
  if (password === null && !hasHash) faults.push("found no password, want password, ha1 or ha1_sha256");
  if (user === ANY_USER && hasHash)
    faults.push(`found a hash for the user "${ANY_USER}", want a password: the hash depends on the user name`);
  const isAnswerable = password !== null || algorithms.some((name) => (name === "MD5" ? ha1 : ha1_sha256) !== null);
  if (hasHash && !isAnswerable) faults.push(`found no hash for ${algorithms.join(" or ")}, want one for an algorithm that is offered`);
  if (min_expires > max_expires) faults.push(`found min_expires ${min_expires} above max_expires ${max_expires}, want it at most as long`);
  return faults;
}

function checkUser(user: string): string | undefined {
  if (user === ANY_USER || /^[A-Za-z0-9._+~-]{1,64}$/.test(user)) return undefined;
  return `"${ANY_USER}", or 1 to ${MAX_USER_CHARS} letters, digits and . _ + ~ -`;
}

function checkPassword(password: string): string | undefined {
  return password === "" || /[\x00-\x1f\x7f]/.test(password) ? "a text that is not empty, without control characters" : undefined;
}

function checkHex(length: number): (hash: string) => string | undefined {
  const form = new RegExp(`^[0-9A-Fa-f]{${length}}$`);
  return (hash) => (form.test(hash) ? undefined : `${length} hexadecimal digits`);
}

function checkRealm(realm: string): string | undefined {
  return /^[^"\\\x00-\x1f\x7f]{1,64}$/.test(realm) ? undefined : "1 to 64 characters without quotes and backslashes";
}

function checkAlgorithm(name: string): string | undefined {
  return name === "MD5" || name === "SHA-256" ? undefined : '"MD5" or "SHA-256"';
}

/** The form of the column `resources`; what an event socket's address is like is not looked at. */
function checkTemplate(template: string): string | undefined {
  const unknown = unknownPlaceholder(template);
  if (unknown !== undefined)
    return `no placeholder but ${PLACEHOLDERS.map((name) => `{${name}}`).join(", ")}: ${unknown} stands for nothing`;
  try {
    const filled = fillTemplate(template, { host: "192.0.2.1", port: 5060, user: "user" });
    parseResources(filled.replace(/=\s*fs:\/\/[^;]+/gi, "=0"));
    return undefined;
  } catch {
    return 'resources with capacities, such as "transc=32;conf=20" or "pstn=fs://:PASSWORD@{host}:8021"';
  }
}
