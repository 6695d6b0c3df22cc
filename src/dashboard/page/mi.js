import { refusalOf } from "./feed.js";

/** How long an answer may take: methods end after 20 s. */
const PATIENCE_MS = 25_000;

/** Why management has not done something; its message is a sentence for people. */
export class MiRefusal extends Error {
  /** @param {number} code of JSON-RPC, or the status of HTTP @param {string} message */
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Asks management: JSON-RPC 2.0 by POST. */
export class Management {
  #url;
  #token;
  #id = 0;

  /** @param {() => URL} url where methods are asked @param {() => string | null} token */
  constructor(url, token) {
    this.#url = url;
    this.#token = token;
  }

  /**
   * @param {string} method
   * @param {unknown[]} [params]
   * @returns {Promise<any>} its result
   * @throws {MiRefusal}
   */
  async ask(method, params = []) {
    const token = this.#token();
    /** @type {Record<string, string>} */
    const headers = { "content-type": "application/json" };
    if (token !== null) headers["authorization"] = `Bearer ${token}`;
    this.#id += 1;
    const body = JSON.stringify({ jsonrpc: "2.0", id: this.#id, method, params });
    /** @type {Response} */
    let answer;
    try {
      answer = await fetch(this.#url(), { method: "POST", headers, body, credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS) });
    } catch {
      throw new MiRefusal(0, "The server does not answer, so it is not known whether this was done");
    }
    if (!answer.ok) {
      const { status, why } = await refusalOf(answer);
      throw new MiRefusal(status, why);
    }
    const { result, error } = await answer.json();
    if (error === undefined) return result;
    throw new MiRefusal(error.code, typeof error.data === "string" ? error.data : error.message);
  }
}
