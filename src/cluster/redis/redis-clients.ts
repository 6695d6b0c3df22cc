import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { RedisTarget } from "./redis-url.ts";

/** The mapping of replies is left out: its type takes no undefined, and RESP 2 has none. */
type Options = Omit<RedisOptions, "replyMapping">;

/** A connection for commands: to one server, or one to each master of a Redis Cluster. */
export type CommandClient = Redis | Cluster;

/** Milliseconds that a connection which is closed may take to send what it still has. */
const FLUSH_MS = 50;

/**
 * What all connections have in common. ioredis neither connects again nor sends anything twice: a connection that fails is thrown away, and
 * {@link RedisLink} makes another one. RESP 2 is what every Redis and every proxy before it speaks.
 */
function common(target: RedisTarget, name: string): Options {
  const { username, password, isTls } = target;
  return {
    connectionName: name,
    protocol: 2,
    retryStrategy: null,
    reconnectOnError: null,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 0,
    disconnectTimeout: FLUSH_MS,
    keepAlive: 10_000,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(isTls ? { tls: {} } : {}),
  };
}

/** Where a connection of a target that is no Redis Cluster goes. Sentinels are asked in another order at each attempt: the first may be down. */
function place(target: RedisTarget, attempt: number, answerMs: number): Options {
  const { kind, addresses, database, isTls } = target;
  if (kind === "single") return { ...addresses[0], db: database };
  const first = attempt % addresses.length;
  return {
    sentinels: [...addresses.slice(first), ...addresses.slice(0, first)],
    name: target.masterName,
    db: database,
    role: "master",
    sentinelRetryStrategy: () => null,
    sentinelCommandTimeout: answerMs,
    connectTimeout: answerMs,
    updateSentinels: false,
    ...(target.sentinelUsername === undefined ? {} : { sentinelUsername: target.sentinelUsername }),
    ...(target.sentinelPassword === undefined ? {} : { sentinelPassword: target.sentinelPassword }),
    ...(isTls ? { sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
  };
}

/** Begins to connect for commands. @param attempt counts them @param answerMs how long a Sentinel, or a node that is asked for slots, may take */
export function openCommandClient(target: RedisTarget, attempt: number, answerMs: number): CommandClient {
  const options = common(target, "headroom");
  if (target.kind !== "cluster") return new Redis({ ...options, ...place(target, attempt, answerMs), enableOfflineQueue: false });
  const { retryStrategy, ...redisOptions } = options;
  return new Cluster(
    target.addresses.map(({ host, port }) => ({ host, port })),
    {
      redisOptions: { ...redisOptions, connectTimeout: answerMs },
      clusterRetryStrategy: () => null,
      enableOfflineQueue: false,
      enableReadyCheck: false, // the session asks each master
      slotsRefreshTimeout: answerMs,
      // Whoever sent it learns that it failed; sent again later it would come after what was sent meanwhile.
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      // A certificate names hosts, not the addresses they resolve to.
      ...(target.isTls ? { dnsLookup: (host: string, done: (error: null, address: string) => void) => done(null, host) } : {}),
    },
  );
}

/**
 * Begins to connect for messages. In a Redis Cluster every node tells what is published on any: the connection goes to one of the masters.
 *
 * @param commands is connected
 */
export function openSubscriber(target: RedisTarget, commands: CommandClient, attempt: number, answerMs: number): Redis {
  const options = { ...common(target, "headroom-messages"), enableOfflineQueue: false };
  if (!(commands instanceof Cluster)) return new Redis({ ...options, ...place(target, attempt, answerMs) });
  const masters = commands.nodes("master");
  const { host = "", port = 0 } = masters[attempt % masters.length]?.options ?? {};
  return new Redis({ ...options, host, port });
}

/** The connections that carry commands: each of them is pinged. */
export function linesOf(client: CommandClient): readonly Redis[] {
  return client instanceof Cluster ? client.nodes("master") : [client];
}

/** Closes for good, within {@link FLUSH_MS}, also when nothing answers. */
export function closeClient(client: CommandClient): void {
  client.disconnect();
}
