import { isForeignHost, isForeignPage } from "./access.ts";
import type { ClientRates } from "./client-rates.ts";
import { FAILED_LOGIN_REFILL_MS } from "./limits.ts";
import { type Role, sentToken, type TokenBook } from "./tokens.ts";

/** Who asks management for something. */
export interface Asker {
  /** Name of the token, `local` where none is asked for, `anna on node 2` where another node of the cluster was asked. */
  readonly name: string;
  readonly role: Role;
  /** Address that it came from. */
  readonly client: string;
}

/** What a request says of where it comes from. */
export interface Knock {
  readonly method: string;
  /** Path and query; undefined where a token in the URL does not count. */
  readonly url: string | undefined;
  /** Address of the other side. */
  readonly client: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Why a request is not looked at. */
export interface Refusal {
  readonly status: 401 | 403 | 429;
  readonly detail: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface GatePorts {
  readonly tokens: TokenBook;
  readonly rates: ClientRates;
  /** The name or address that the configuration listens on. */
  readonly listenHost: string;
  /** Is told of each token that nobody holds, as often as one client may send them. */
  readonly onWrongToken: (client: string) => void;
}

/** Name of whoever asks where no token is wanted. */
const LOCAL = "local";
const TOO_MANY = "Too many requests a second";
const BEARER = 'Bearer realm="Headroom MI"';
/** A browser then asks the person in front of it. */
const BEARER_OR_BASIC = `${BEARER}, Basic realm="Headroom MI", charset="UTF-8"`;

/** Decides who may ask anything at all, before a body is read. What somebody may do is decided for each method. */
export class Gate {
  readonly #ports: GatePorts;

  constructor(ports: GatePorts) {
    this.#ports = ports;
  }

  admit(knock: Knock): Asker | Refusal {
    const { client, headers, method } = knock;
    const { tokens, listenHost } = this.#ports;
    if (tokens.isRequired) return this.#admitToken(knock);
    const tooMany = this.admitAnybody(client);
    if (tooMany !== undefined) return tooMany;
    if (isForeignHost(single(headers["host"]), listenHost)) return forbidden("Host must be an address or a name of this machine");
    return this.#isForeign(method, headers) ?? { name: LOCAL, role: "operator", client };
  }

  /** For what everybody may have: only the number of requests counts. */
  admitAnybody(client: string): Refusal | undefined {
    return this.#admitHolder(client, undefined);
  }

  #admitHolder(client: string, holder: string | undefined): Refusal | undefined {
    return this.#ports.rates.take(client, holder) ? undefined : { status: 429, detail: TOO_MANY, headers: { "retry-after": "1" } };
  }

  #admitToken({ method, url, client, headers }: Knock): Asker | Refusal {
    const { tokens, rates, onWrongToken } = this.#ports;
    const sent = sentToken(single(headers["authorization"]), url);
    const holder = sent && tokens.holderOf(sent.token);
    const tooMany = this.#admitHolder(client, holder?.name);
    if (tooMany !== undefined) return tooMany;
    if (sent === undefined) return unauthorized(method, headers);
    if (!rates.mayTry(client, holder?.name)) {
      const seconds = Math.ceil(FAILED_LOGIN_REFILL_MS / 1000);
      return { status: 429, detail: "Too many wrong tokens", headers: { "retry-after": String(seconds) } };
    }
    if (holder === undefined) {
      rates.failed(client);
      onWrongToken(client);
      return unauthorized(method, headers);
    }
    rates.succeeded(client, holder.name);
    return (sent.isAmbient ? this.#isForeign(method, headers) : undefined) ?? { ...holder, client };
  }

  #isForeign(method: string, headers: Knock["headers"]): Refusal | undefined {
    const isForeign = isForeignPage({
      isRead: method === "GET" || method === "HEAD",
      host: single(headers["host"]),
      origin: single(headers["origin"]),
      site: single(headers["sec-fetch-site"]),
      mode: single(headers["sec-fetch-mode"]),
    });
    return isForeign ? forbidden("Cross-origin requests are not accepted") : undefined;
  }
}

/** Whether {@link Gate.admit} has let somebody in. */
export function isAsker(verdict: Asker | Refusal): verdict is Asker {
  return "role" in verdict;
}

function forbidden(detail: string): Refusal {
  return { status: 403, detail, headers: {} };
}

/** A script of a page asks its reader by itself; the browser's own question is for whoever follows a link. */
function unauthorized(method: string, headers: Knock["headers"]): Refusal {
  const mode = single(headers["sec-fetch-mode"]);
  const challenge = method === "GET" && (mode === undefined || mode === "navigate") ? BEARER_OR_BASIC : BEARER;
  return { status: 401, detail: "A token is wanted in the Authorization header", headers: { "www-authenticate": challenge } };
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(", ") : value;
}
