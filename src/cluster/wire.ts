import type { Static, TSchema } from "typebox";
import { Value } from "typebox/value";
import { SCHEMA_VERSION } from "./keys.ts";
import type { NodeIdentity } from "./ports.ts";

/** Longest message or value that is read, in characters: a dialog with the longest route sets, or a thousand loads, is shorter. */
export const MAX_WIRE_CHARS = 262_144;

/** What was refused of what came from Redis; anybody who reaches it can write there. */
export class WireCounters {
  refused_version = 0;
  refused_malformed = 0;
  refused_too_long = 0;
}

/** Something that a node wrote. */
export interface Received<T> {
  readonly nodeId: number;
  readonly incarnation: string;
  readonly body: T;
}

/** Puts messages and values into text and reads them again: JSON with the schema version and the writer around the body. */
export class Wire {
  readonly counters = new WireCounters();
  readonly #self: Pick<NodeIdentity, "nodeId" | "incarnation">;

  constructor(self: Pick<NodeIdentity, "nodeId" | "incarnation">) {
    this.#self = self;
  }

  encode(body: unknown): string {
    const { nodeId, incarnation } = this.#self;
    return JSON.stringify([SCHEMA_VERSION, nodeId, incarnation, body]);
  }

  /** Undefined, and counted, unless it is of this version and its body is what the schema says and nothing else. Never throws. */
  decode<Schema extends TSchema>(schema: Schema, text: unknown): Received<Static<Schema>> | undefined {
    if (typeof text !== "string") return this.#refuse("refused_malformed");
    if (text.length > MAX_WIRE_CHARS) return this.#refuse("refused_too_long");
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      return this.#refuse("refused_malformed");
    }
    if (!Array.isArray(parsed)) return this.#refuse("refused_malformed");
    const [version, nodeId, incarnation, body] = parsed as unknown[];
    if (version !== SCHEMA_VERSION) return this.#refuse("refused_version");
    if (parsed.length !== 4 || !isNodeId(nodeId) || typeof incarnation !== "string" || incarnation.length > 64)
      return this.#refuse("refused_malformed");
    if (!Value.Check(schema, body)) return this.#refuse("refused_malformed");
    return { nodeId, incarnation, body: body as Static<Schema> };
  }

  #refuse(counter: keyof WireCounters): undefined {
    this.counters[counter]++;
  }
}

function isNodeId(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 2_147_483_647;
}
