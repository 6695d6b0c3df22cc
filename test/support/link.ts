import { openRedisLink, type RedisLink } from "../../src/cluster/redis/redis-link.ts";
import { waitFor } from "./net.ts";
import { type RedisServer, startRedis } from "./redis-server.ts";
import { startTcpProxy, type TcpProxy } from "./tcp-proxy.ts";

export interface LinkOptions {
  /** Whether a {@link TcpProxy} stands between the two. */
  readonly isProxied?: boolean;
  readonly commandTimeoutMs?: number;
  /** Words for redis-server's command line. */
  readonly args?: readonly string[];
  readonly password?: string;
  /** Where the link goes instead. */
  readonly url?: (redis: RedisServer) => string;
}

/** A link, what it says, and the Redis that it goes to. */
export interface LinkBench {
  readonly link: RedisLink;
  readonly redis: RedisServer;
  readonly proxy: TcpProxy | undefined;
  readonly ups: { count: number };
  readonly downs: { count: number };
  readonly faults: unknown[];
  /** Log lines as text. */
  readonly logged: string[];
  /** Waits until it came up so many times, counted from the start. */
  up(times: number, timeoutMs?: number): Promise<void>;
}

/** Runs `use` with a link to a Redis of its own; both are closed afterwards. */
export async function withLink(options: LinkOptions, use: (bench: LinkBench) => Promise<void>): Promise<void> {
  const { isProxied = false, args = [], password } = options;
  const redis = await startRedis({ args, ...(password === undefined ? {} : { password }) });
  const proxy = isProxied ? await startTcpProxy(redis.port) : undefined;
  const url = options.url?.(redis) ?? redis.url.replace(`:${redis.port}`, `:${proxy?.port ?? redis.port}`);
  const logged: string[] = [];
  const note = (fields: object, message: string): void => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const [ups, downs, faults] = [{ count: 0 }, { count: 0 }, [] as unknown[]];
  const link = openRedisLink({
    url,
    log: { debug: note, info: note, warn: note, error: note },
    onFault: (error) => void faults.push(error),
    ...(options.commandTimeoutMs === undefined ? {} : { commandTimeoutMs: options.commandTimeoutMs }),
  });
  link.onUp(() => {
    ups.count++;
  });
  link.onDown(() => {
    downs.count++;
  });
  const up = async (times: number, timeoutMs = 2000): Promise<void> => {
    await waitFor(`the link to be up ${times} times`, timeoutMs, () => link.isUp && ups.count >= times);
  };
  try {
    await use({ link, redis, proxy, ups, downs, faults, logged, up });
  } finally {
    await link.close();
    await proxy?.close();
    await redis.close();
  }
}
