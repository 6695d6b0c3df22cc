import { createHash } from "node:crypto";
import type {
  AccountSettings,
  DynamicRow,
  RegistrarPorts,
  RegistrarReply,
  RegistrarSettings,
  RowChange,
  Source,
} from "../../src/registrar/index.ts";
import { Registrar } from "../../src/registrar/index.ts";
import { digestHash } from "../../src/server/digest-hash.ts";
import { bracketHost, parseMessage, type SipRequest } from "../../src/sip/index.ts";
import { FakeClock } from "./fake-clock.ts";
import { request, unique } from "./sip-messages.ts";

/** Wall clock of the tests at the start of the monotonic one. */
export const WALL_MS = 1_700_000_000_000;

export const ACCOUNT: AccountSettings = {
  user: "fs",
  password: "secret word",
  ha1: {},
  group: 7,
  resources: "pstn=30;conf=fs://:ClueCon@{host}:8021",
  attrs: "name={user}",
  probeMode: 2,
  maxRegistrations: 3,
  minExpiresS: 30,
  maxExpiresS: 120,
  trustContact: false,
};

export const SETTINGS: RegistrarSettings = {
  realm: "farm",
  accounts: [ACCOUNT],
  algorithms: ["MD5"],
  nonceTtlMs: 600_000,
  maxFailures: 3,
  failureWindowMs: 60_000,
  banMs: 300_000,
  transports: ["udp"],
};

/** A registrar with a clock of its own, and all that it says. */
export function registrarAt(settings: Partial<RegistrarSettings> = {}, ports: Partial<RegistrarPorts> = {}) {
  const clock = new FakeClock(5_000);
  const changes: RowChange[] = [];
  const logged: string[] = [];
  const note = (fields: object, message: string): void => void logged.push(`${message} ${JSON.stringify(fields)}`);
  let tokens = 0;
  const registrar = new Registrar(
    { ...SETTINGS, ...settings },
    {
      nowMs: clock.now,
      wallMs: () => WALL_MS + clock.nowMs,
      after: (ms, run) => clock.after(ms, run),
      chance: { token: () => `token${++tokens}` },
      hash: digestHash,
      log: { debug: note, info: note, warn: note, error: note },
      onChange: (change) => void changes.push(change),
      ...ports,
    },
  );
  return { registrar, clock, changes, logged, kinds: () => changes.map(({ kind }) => kind) };
}

/** What of a row most tests look at. */
export function seen({ uri, state }: DynamicRow): string {
  return `${uri} ${state}`;
}

/** The text of a SIP request, parsed. */
export function parsedRequest(text: string): SipRequest {
  const message = parseMessage(text);
  if (message.kind !== "request") throw new Error(`not a request: ${text}`);
  return message as SipRequest;
}

/** Values of the headers of a reply with this name. */
export function valuesOf({ headers }: RegistrarReply, name: string): string[] {
  return headers.filter(([other]) => other === name).map(([, value]) => value);
}

interface Challenge {
  readonly realm: string;
  readonly nonce: string;
  readonly algorithm: string;
  readonly stale: boolean;
}

export interface ClientOptions {
  readonly user?: string;
  readonly password?: string;
  /** address:port that requests come from. */
  readonly from?: string;
  /** Contact values; the source address when left out. */
  readonly contacts?: readonly string[];
  readonly callId?: string;
}

/**
 * A server that registers as sofia-sip does it: it keeps nonce and count between requests, takes the first challenge, and answers a second one
 * only when it says that the nonce was stale.
 */
export class RegisterClient {
  readonly #registrar: Registrar;
  readonly #user: string;
  readonly #password: string;
  readonly #callId: string;
  source: Source;
  contacts: readonly string[];
  /** User of To. */
  to: string;
  cseq = 0;
  /** Requests that the last call took. */
  sent = 0;
  /** The last request, as it was sent. */
  lastText = "";
  #challenge: Challenge | undefined;
  #count = 0;

  constructor(registrar: Registrar, options: ClientOptions = {}) {
    const { user = "fs", password = "secret word", from = "192.0.2.10:5080", contacts, callId = unique("reg") } = options;
    this.#registrar = registrar;
    this.#user = user;
    this.to = user;
    this.#password = password;
    this.#callId = callId;
    this.source = sourceAt(from);
    this.contacts = contacts ?? [`<sip:gw+proxy@${from};transport=udp;gw=proxy>`];
  }

  /** Registers, with as many requests as it takes. */
  register(headers: readonly string[] = ["Expires: 60"], contacts: readonly string[] = this.contacts): RegistrarReply {
    this.sent = 0;
    let reply = this.send([...headers, ...contacts.map((contact) => `Contact: ${contact}`)]);
    for (let tries = 0; reply.status === 401 && tries < 2; tries++) {
      const challenge = readChallenge(valuesOf(reply, "WWW-Authenticate")[0] ?? "");
      if (this.#challenge !== undefined && !challenge.stale) return reply;
      this.#challenge = challenge;
      this.#count = 0;
      reply = this.send([...headers, ...contacts.map((contact) => `Contact: ${contact}`)]);
    }
    return reply;
  }

  unregister(): RegistrarReply {
    return this.register(["Expires: 0"]);
  }

  /** One request, with credentials when there is a challenge to answer. */
  send(headers: readonly string[]): RegistrarReply {
    this.sent++;
    this.cseq++;
    this.lastText = request({
      method: "REGISTER",
      uri: "sip:proxy.example",
      sentBy: `${bracketHost(this.source.address)}:${this.source.port}`,
      from: `<sip:${this.#user}@proxy.example>;tag=1`,
      to: `<sip:${this.to}@proxy.example>`,
      callId: this.#callId,
      cseq: this.cseq,
      headers: [...headers, ...(this.#challenge === undefined ? [] : [this.#authorization(this.#challenge)])],
    });
    return this.#registrar.handle(parsedRequest(this.lastText), this.source);
  }

  #authorization({ realm, nonce, algorithm }: Challenge): string {
    this.#count++;
    const nc = this.#count.toString(16).padStart(8, "0");
    const hash = (text: string): string =>
      createHash(algorithm === "SHA-256" ? "sha256" : "md5")
        .update(text)
        .digest("hex");
    const a1 = hash(`${this.#user}:${realm}:${this.#password}`);
    const response = hash(`${a1}:${nonce}:${nc}:c0:auth:${hash("REGISTER:sip:proxy.example")}`);
    return `Authorization: Digest username="${this.#user}", realm="${realm}", nonce="${nonce}", uri="sip:proxy.example", algorithm=${algorithm}, response="${response}", cnonce="c0", qop=auth, nc=${nc}`;
  }
}

/** `192.0.2.1:5060` or `[2001:db8::1]:5060`, over UDP. */
export function sourceAt(text: string): Source {
  const colon = text.lastIndexOf(":");
  return { address: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)), transport: "udp" };
}

function readChallenge(value: string): Challenge {
  const param = (name: string): string => new RegExp(`${name}="?([^",]+)`).exec(value)?.[1] ?? "";
  return { realm: param("realm"), nonce: param("nonce"), algorithm: param("algorithm"), stale: param("stale") === "true" };
}
