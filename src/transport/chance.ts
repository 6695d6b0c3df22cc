import { randomBytes, randomInt } from "node:crypto";
import type { Chance } from "../transaction/index.ts";

/** 12 bytes are 96 bits, and exactly 16 characters of base64url, all of which are legal in a SIP token. */
const TOKEN_BYTES = 12;
const TOKEN_CHARACTERS = 16;
/** Tokens made with one call of the generator: its cost is by the call, not by the byte. */
const TOKENS_PER_DRAW = 256;

/** Unguessable tokens for branches, tags and dialog ids. */
export class RandomTokens implements Chance {
  #pool = "";
  #at = 0;

  token(): string {
    if (this.#at >= this.#pool.length) {
      this.#pool = randomBytes(TOKEN_BYTES * TOKENS_PER_DRAW).toString("base64url");
      this.#at = 0;
    }
    this.#at += TOKEN_CHARACTERS;
    return this.#pool.slice(this.#at - TOKEN_CHARACTERS, this.#at);
  }
}

/** Uniform integer from 0 to n-1. */
export function below(n: number): number {
  return randomInt(n);
}
