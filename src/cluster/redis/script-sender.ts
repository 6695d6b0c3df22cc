import { createHash } from "node:crypto";
import { Cluster } from "ioredis";
import type { LuaScript } from "../ports.ts";
import type { CommandClient } from "./redis-clients.ts";

type Word = string | number;

/** How a script is sent. */
export interface ScriptCall {
  readonly send: () => Promise<unknown>;
  /** What to do when the answer {@link isUnknownScript}. */
  readonly sendAgain: (() => Promise<unknown>) | undefined;
}

/**
 * Sends scripts on one connection: the whole text the first time, its hash from then on. So nothing overtakes a script, unless Redis forgets it
 * while the connection stays (SCRIPT FLUSH): then it is sent again and comes after what was sent meanwhile.
 */
export class ScriptSender {
  readonly #client: CommandClient;
  /** Of the texts that were sent. */
  readonly #hashes = new Map<string, string>();

  constructor(client: CommandClient) {
    this.#client = client;
  }

  /** @param words number of keys, keys, arguments */
  prepare({ lua }: LuaScript, words: readonly Word[]): ScriptCall {
    const known = this.#hashes.get(lua);
    const hash = known ?? createHash("sha1").update(lua).digest("hex");
    if (known === undefined) this.#hashes.set(lua, hash);
    if (this.#client instanceof Cluster) return { send: () => this.#sendToShard(lua, hash, words), sendAgain: undefined };
    const sendText = (): Promise<unknown> => this.#client.call("EVAL", lua, ...words);
    if (known === undefined) return { send: sendText, sendAgain: undefined };
    return { send: () => this.#client.call("EVALSHA", hash, ...words), sendAgain: sendText };
  }

  /** ioredis knows which shards have which scripts. */
  #sendToShard(lua: string, hash: string, words: readonly Word[]): Promise<unknown> {
    const methods = this.#client as unknown as Record<string, (...words: readonly Word[]) => Promise<unknown>>;
    if (methods[hash] === undefined) this.#client.defineCommand(hash, { lua });
    return methods[hash]?.(...words) ?? Promise.reject(new Error("Cannot send a script to Redis: ioredis did not take it"));
  }
}

/** Whether Redis did nothing because it has never seen a script, or has forgotten it. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("NOSCRIPT");
}
