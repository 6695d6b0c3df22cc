import { canonicalIp } from "../balancer/index.ts";
import { H, type SipRequest } from "../sip/index.ts";
import type { Account, Accounts } from "./account.ts";
import type { RegistrarCounters } from "./counters.ts";
import { type Credentials, parseCredentials } from "./credentials.ts";
import { digestHa1, digestResponse, isSameSecret, utf8Bytes } from "./digest.ts";
import { FailureGuard } from "./failure-guard.ts";
import { MAX_CREDENTIALS, MAX_USER_CHARS } from "./limits.ts";
import { Nonces } from "./nonces.ts";
import type { DigestAlgorithm, RegistrarPorts, Source } from "./ports.ts";
import { type RegistrarReply, reply } from "./reply.ts";
import type { RegistrarSettings } from "./settings.ts";

/** Who sent a request; or what to answer in place of serving it. */
export type Authentication =
  | { readonly kind: "known"; readonly account: Account; readonly username: string }
  | { readonly kind: "refused"; readonly reply: RegistrarReply };

/**
 * Digest authentication of requests (RFC 3261 §22, RFC 7616, RFC 8760) with qop "auth".
 *
 * The `uri` of the credentials is hashed as the client wrote it and not compared with the Request-URI: "it is not necessarily a failure if
 * the two fields are not equivalent" (RFC 3261 §22.4), and a nonce and count that are good once leave nothing to repeat elsewhere.
 */
export class Authenticator {
  readonly #settings: RegistrarSettings;
  readonly #ports: RegistrarPorts;
  readonly #accounts: Accounts;
  readonly #counters: RegistrarCounters;
  readonly #realm: string;
  readonly #nonces: Nonces;
  readonly #guard: FailureGuard;

  constructor(settings: RegistrarSettings, ports: RegistrarPorts, accounts: Accounts, counters: RegistrarCounters) {
    const { nowMs, hash, chance } = ports;
    this.#settings = settings;
    this.#ports = ports;
    this.#accounts = accounts;
    this.#counters = counters;
    this.#realm = utf8Bytes(settings.realm);
    this.#nonces = new Nonces({ hash, nowMs, secret: chance.token() + chance.token(), ttlMs: settings.nonceTtlMs });
    const { maxFailures, failureWindowMs: windowMs, banMs } = settings;
    this.#guard = new FailureGuard({ nowMs, maxFailures, windowMs, banMs });
  }

  isBanned(source: Source): boolean {
    return this.#guard.isBanned(addressOf(source));
  }

  check(request: SipRequest, source: Source): Authentication {
    const credentials = this.#ownCredentials(request);
    if (credentials === "malformed") {
      this.#counters.bad_requests++;
      return { kind: "refused", reply: reply(400, "Bad Authorization") };
    }
    const algorithm = credentials && this.#offered(credentials.algorithm);
    if (credentials === undefined || algorithm === undefined) {
      this.#counters.challenged++;
      return this.#challenge(source, false);
    }
    // Before the password is looked at: whether it is right must not be told to somebody whose failures cannot be counted. A client that kept
    // its credentials asks again with them only when it hears that the nonce is stale (sofia-sip, auth_client.c).
    if (!this.#nonces.isFresh(credentials.nonce, addressOf(source))) {
      this.#counters.stale++;
      return this.#challenge(source, true);
    }
    const account = this.#accounts.for(credentials.username);
    if (!this.#isRight(credentials, algorithm, request.method, account) || account === undefined) {
      this.#fail(source, credentials);
      return this.#challenge(source, false);
    }
    if (!this.#nonces.use(credentials.nonce, Number.parseInt(credentials.nc, 16))) {
      this.#counters.replays++;
      return this.#challenge(source, true);
    }
    return { kind: "known", account, username: credentials.username };
  }

  #ownCredentials(request: SipRequest): Credentials | "malformed" | undefined {
    let found: "malformed" | undefined;
    let looked = 0;
    for (let i = request.indexOf(H.Authorization); i !== -1 && looked < MAX_CREDENTIALS; i = request.indexOf(H.Authorization, i + 1)) {
      looked++;
      const credentials = parseCredentials(request.headerValueAt(i));
      if (credentials === "malformed") found = credentials;
      else if (credentials?.realm === this.#realm) return credentials;
    }
    return found;
  }

  #offered(name: string): DigestAlgorithm | undefined {
    const lower = name.toLowerCase();
    return this.#settings.algorithms.find((algorithm) => algorithm.toLowerCase() === lower);
  }

  /** An unknown user costs as much time as a known one. */
  #isRight(credentials: Credentials, algorithm: DigestAlgorithm, method: string, account: Account | undefined): boolean {
    const { hash } = this.#ports;
    const { username, response } = credentials;
    const ha1 = account?.ha1(hash, algorithm, username, this.#realm);
    const expected = digestResponse(hash, algorithm, ha1 ?? digestHa1(hash, algorithm, username, this.#realm, ""), {
      ...credentials,
      method,
    });
    return isSameSecret(expected, response) && ha1 !== undefined;
  }

  #fail(source: Source, { username, nonce, nc, response }: Credentials): void {
    this.#counters.auth_failures++;
    const { isNews, beginsBan } = this.#guard.failed(addressOf(source), `${nonce} ${nc} ${response}`);
    const fields = { source: source.address, user: username.slice(0, MAX_USER_CHARS) };
    if (isNews) this.#ports.log.warn(fields, "REGISTER: wrong password, or no account has this user");
    if (!beginsBan) return;
    this.#counters.bans++;
    const banS = this.#settings.banMs / 1000;
    this.#ports.log.warn({ ...fields, ban_s: banS }, "REGISTER: too many wrong passwords, the source is banned");
  }

  /** "The user agent server ... adds a header field for each algorithm, most preferred first" (RFC 8760 §2.4). */
  #challenge(source: Source, isStale: boolean): Authentication {
    const nonce = this.#nonces.issue(addressOf(source));
    const stale = isStale ? ", stale=true" : "";
    const headers = this.#settings.algorithms.map(
      (algorithm) =>
        ["WWW-Authenticate", `Digest realm="${this.#realm}", nonce="${nonce}", algorithm=${algorithm}, qop="auth"${stale}`] as const,
    );
    return { kind: "refused", reply: reply(401, "Unauthorized", ...headers) };
  }
}

function addressOf({ address }: Source): string {
  return canonicalIp(address) ?? address;
}
