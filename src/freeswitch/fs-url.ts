import { isIPv6 } from "node:net";
import type { CapacityFeed } from "../balancer/index.ts";
import { DEFAULT_EVENT_SOCKET_PORT, MAX_FS_URL_CHARS } from "./limits.ts";

const PREFIX = /^fs:\/\//i;
const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/;
const PORT = /^[0-9]{1,5}$/;
const CONTROL = /[\u0000-\u001f\u007f]/;
const FORM = 'want "fs://[user]:password@host[:port]"';
const HIDDEN = "***";

/**
 * The event socket of one FreeSWITCH and how to log in to it. The password stands in no property that can be printed, copied or turned into JSON.
 */
export class FsUrl implements CapacityFeed {
  /** Name or address; of an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Empty: `auth` with the password alone, else `userauth`. */
  readonly user: string;
  readonly #password: string;

  constructor(host: string, port: number, user: string, password: string) {
    this.host = host;
    this.port = port;
    this.user = user;
    this.#password = password;
  }

  /** The same for all URLs that one connection serves: host, port and user. */
  get key(): string {
    return `${this.host}:${this.port}:${this.user}`;
  }

  /** For logs and answers: the URL without its password. */
  get label(): string {
    const host = this.host.includes(":") ? `[${this.host}]` : this.host;
    return `fs://${this.user === "" ? "" : `${encodeURIComponent(this.user)}@`}${host}:${this.port}`;
  }

  /** The command that logs in, with its empty line. For the wire only. */
  loginCommand(): string {
    return this.user === "" ? `auth ${this.#password}\n\n` : `userauth ${this.user}:${this.#password}\n\n`;
  }

  /** The same FreeSWITCH, user and password. */
  equals(other: CapacityFeed): boolean {
    return other instanceof FsUrl && other.key === this.key && other.#password === this.#password;
  }

  hasPasswordOf(other: FsUrl): boolean {
    return this.#password === other.#password;
  }

  /** `text` without the password, should a server send it back to us. */
  withoutPassword(text: string): string {
    return text.replaceAll(this.#password, HIDDEN);
  }

  toString(): string {
    return this.label;
  }

  toJSON(): string {
    return this.label;
  }
}

/** True for a value that is meant as the URL of a FreeSWITCH, whether or not it can be used. */
export function isFsUrl(text: string): boolean {
  return PREFIX.test(text.trim());
}

/**
 * Parses `fs://[user]:password@host[:port]` (OpenSIPS, module freeswitch). The port is 8021 when none is named. An IPv6 address stands in brackets.
 * User and password may be percent-encoded; the last `@` ends them, so that a password may hold that sign as it is.
 *
 * @throws RangeError saying what is wanted; it never shows the password
 */
export function parseFsUrl(text: string): FsUrl {
  const url = text.trim();
  if (!PREFIX.test(url)) throw new RangeError(`Cannot parse the URL of a FreeSWITCH: it does not start with "fs://"; ${FORM}`);
  const at = url.lastIndexOf("@");
  const shown = at === -1 ? `fs://${HIDDEN}` : `fs://${HIDDEN}@${url.slice(at + 1, at + 101)}`;
  const refuse = (why: string) => new RangeError(`Cannot parse "${shown}": ${why}`);

  if (url.length > MAX_FS_URL_CHARS) throw refuse(`it has ${url.length} characters; want at most ${MAX_FS_URL_CHARS}`);
  if (at === -1) throw refuse(`it has no "@"; ${FORM}`);
  const login = url.slice("fs://".length, at);
  const colon = login.indexOf(":");
  if (colon === -1) throw refuse(`it has no ":" before the password; ${FORM}`);
  const user = decode(login.slice(0, colon));
  const password = decode(login.slice(colon + 1));
  if (user === undefined || password === undefined)
    throw refuse('a "%" in user or password starts no encoded character; write "%25" for "%"');
  if (login.slice(colon + 1) === HIDDEN) throw refuse(`"${HIDDEN}" stands where a password is not shown; want the password`);
  if (password === "") throw refuse(`the password is empty; ${FORM}`);
  if (CONTROL.test(user) || CONTROL.test(password)) throw refuse("user or password hold a control character");
  if (user.includes(":")) throw refuse('the user holds a ":", which FreeSWITCH takes for the end of it');

  const { host, port } = splitHost(url.slice(at + 1).replace(/\/$/, ""), refuse);
  return new FsUrl(host, port, user, password);
}

function splitHost(text: string, refuse: (why: string) => RangeError): { host: string; port: number } {
  const [, v6, name, digits] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/s.exec(text) ?? [];
  if (v6 === undefined && name === undefined)
    throw refuse("an IPv6 address stands without brackets, or the port is wrong; want host or [IPv6], then :port");
  if (name === "") throw refuse(`it names no host; ${FORM}`);
  if (v6 !== undefined && !isIPv6(v6)) throw refuse("what stands in the brackets is not an IPv6 address");
  if (name !== undefined && !HOST_NAME.test(name)) throw refuse("the host is neither a name nor an address");
  const port = digits === undefined ? DEFAULT_EVENT_SOCKET_PORT : Number(PORT.test(digits) ? digits : 0);
  if (port < 1 || port > 65_535) throw refuse("the port must be a number from 1 to 65535");
  const host = v6 === undefined ? name!.toLowerCase() : new URL(`http://[${v6.replace(/%.*$/, "")}]`).hostname.slice(1, -1);
  return { host, port };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
