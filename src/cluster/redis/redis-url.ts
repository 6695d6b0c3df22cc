/** Addresses that one URL may name. */
const MAX_ADDRESSES = 64;
const REDIS_PORT = 6379;
const SENTINEL_PORT = 26379;
/** Scheme, user information, addresses, path, query. A password may hold anything but a slash, a question mark and a number sign unless it is escaped. */
const SHAPE = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^/?#]*)@)?([^/?#@]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/;
const ADDRESS = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/;

/** What `cluster.redis_url` wants, for sentences. */
export const REDIS_URL_FORMS =
  "redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], redis+sentinel://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT]/NAME[/DATABASE] or " +
  "redis+cluster://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT], with rediss in place of redis for TLS";

/** Thrown for an address of Redis that cannot be read. Its message has nothing of the address in it that could be a password. */
export class RedisUrlError extends Error {
  override readonly name = "RedisUrlError";
}

export interface RedisAddress {
  /** Name or address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Where Redis is, and how one is let in. */
export interface RedisTarget {
  /** One server, a master that Sentinels know (the addresses are theirs), or some nodes of a Redis Cluster. */
  readonly kind: "single" | "sentinel" | "cluster";
  readonly addresses: readonly RedisAddress[];
  readonly isTls: boolean;
  /** What the Sentinels call the master; "" otherwise. */
  readonly masterName: string;
  readonly database: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
  /** For the Sentinels themselves, which often want none. */
  readonly sentinelUsername: string | undefined;
  readonly sentinelPassword: string | undefined;
}

/**
 * Reads an address of Redis. Sentinels that want a password of their own get it by `?sentinel_username=U&sentinel_password=P`.
 *
 * @throws RedisUrlError
 */
export function parseRedisUrl(text: string): RedisTarget {
  const match = SHAPE.exec(text);
  if (match === null) throw refusal("it has another form");
  const [, scheme, variant, userInfo, hosts = "", path = "", query = ""] = match;
  const kind = (variant ?? "single") as RedisTarget["kind"];
  const [username, password] = credentials(userInfo);
  const addresses = hosts.split(",").map((host) => address(host, kind === "sentinel" ? SENTINEL_PORT : REDIS_PORT));
  if (kind === "single" && addresses.length > 1) throw refusal("only Sentinels and a Redis Cluster have several addresses");
  if (addresses.length > MAX_ADDRESSES) throw refusal(`it has more than ${MAX_ADDRESSES} addresses`);
  const words = path === "" ? [] : path.split("/");
  const masterName = kind === "sentinel" ? unescaped(words.shift() ?? "", "name of the master") : "";
  if (kind === "sentinel" && masterName === "") throw refusal("the name that the Sentinels know the master by is missing");
  const database = databaseOf(words);
  if (kind === "cluster" && database !== 0) throw refusal("a Redis Cluster has only database 0");
  const sentinel = sentinelCredentials(query, kind);
  return { kind, addresses, isTls: scheme === "rediss", masterName, database, username, password, ...sentinel };
}

/** An address of Redis for people and logs: without user and password. */
export function shownRedisUrl({ kind, addresses, isTls, masterName, database }: RedisTarget): string {
  const scheme = `${isTls ? "rediss" : "redis"}${kind === "single" ? "" : `+${kind}`}`;
  const hosts = addresses.map(({ host, port }) => `${host.includes(":") ? `[${host}]` : host}:${port}`).join(",");
  const name = masterName === "" ? "" : `/${encodeURIComponent(masterName)}`;
  return `${scheme}://${hosts}${name}${database === 0 ? "" : `/${database}`}`;
}

/** Takes passwords out of a text that somebody else wrote, such as the message of an error. */
export function withoutPasswords(text: string, { password, sentinelPassword }: RedisTarget): string {
  let clean = text;
  for (const secret of [password, sentinelPassword]) {
    if (secret === undefined || secret === "") continue;
    for (const form of [secret, encodeURIComponent(secret)]) clean = clean.replaceAll(form, "***");
  }
  return clean;
}

function refusal(reason: string): RedisUrlError {
  return new RedisUrlError(`Cannot read the address of Redis: ${reason}; want ${REDIS_URL_FORMS}`);
}

function unescaped(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refusal(`its ${what} has a wrong %-escape`);
  }
}

/** As redis-cli: a word alone is the password of the default user when a colon stands before it, else a user. */
function credentials(userInfo: string | undefined): [username: string | undefined, password: string | undefined] {
  if (userInfo === undefined) return [undefined, undefined];
  const colon = userInfo.indexOf(":");
  if (colon < 0) throw refusal("it has a user without a password");
  const username = unescaped(userInfo.slice(0, colon), "user");
  const password = unescaped(userInfo.slice(colon + 1), "password");
  if (password === "") throw refusal("its password is empty");
  return [username === "" ? undefined : username, password];
}

function address(text: string, defaultPort: number): RedisAddress {
  const match = ADDRESS.exec(text);
  if (match === null) throw refusal("one of its addresses is not HOST or HOST:PORT");
  const port = match[3] === undefined ? defaultPort : Number(match[3]);
  if (port < 1 || port > 65_535) throw refusal("one of its ports is not from 1 to 65535");
  return { host: match[1] ?? match[2] ?? "", port };
}

function databaseOf(words: readonly string[]): number {
  const [word = ""] = words;
  if (words.length > 1 || !/^\d{0,4}$/.test(word)) throw refusal("its database is not a number from 0 to 9999");
  return Number(word);
}

function sentinelCredentials(query: string, kind: RedisTarget["kind"]): Pick<RedisTarget, "sentinelUsername" | "sentinelPassword"> {
  const options = new URLSearchParams(query);
  for (const name of options.keys()) {
    if (kind !== "sentinel" || (name !== "sentinel_username" && name !== "sentinel_password")) {
      throw refusal("what follows its question mark is none of sentinel_username and sentinel_password of Sentinels");
    }
  }
  return {
    sentinelUsername: options.get("sentinel_username") ?? undefined,
    sentinelPassword: options.get("sentinel_password") ?? undefined,
  };
}
