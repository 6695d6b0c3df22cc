import { plain } from "./terminal.ts";

/** Where the management interface listens unless the configuration says otherwise. */
export const DEFAULT_URL = "http://127.0.0.1:8888/mi";
/** Longer than the server lets a method take. */
const TIMEOUT_MS = 30_000;

/** How a running balancer is reached. */
export interface MiOptions {
  readonly url: string;
  /** Print the result as JSON. */
  readonly json: boolean;
  readonly token?: string | undefined;
}

/** One method with its parameters, by position or by name. */
export interface MiCall {
  readonly method: string;
  readonly params?: unknown;
}

/** What came of one call of a batch. */
export type MiResult = { readonly result: unknown } | { readonly error: MiFailure };

/** What the person at the terminal is told. `code` is that of the JSON-RPC error, where there is one. */
export class MiFailure extends Error {
  override readonly name = "MiFailure";
  readonly code: number | undefined;
  constructor(message: string, code?: number) {
    super(plain(message)); // whoever answers is no reason to trust what it writes
    this.code = code;
  }
}

/** @returns a sentence when the text is no address of a management interface */
export function checkUrl(url: string): string | undefined {
  const { protocol, username, password } = URL.parse(url) ?? { protocol: "", username: "", password: "" };
  if (username !== "" || password !== "") {
    return `Cannot use --url "${shown(url)}" with a name or password in it: give the token with --token or HEADROOM_MI_TOKEN`;
  }
  if (protocol === "http:" || protocol === "https:") return undefined;
  return `Cannot use --url "${shown(url)}": want an address such as ${DEFAULT_URL}`;
}

/** The address for a sentence, without what may be a token: sentences end up in logs. */
function shown(url: string): string {
  return url.replace(/\/\/[^/]*@/, "//").replace(/[?#].*$/s, "");
}

/** Sends one method to the balancer. @throws MiFailure when it is refused or nobody answers */
export async function ask({ method, params }: MiCall, options: MiOptions): Promise<unknown> {
  const { status, text } = await post(options, JSON.stringify({ jsonrpc: "2.0", id: "1", method, params }), TIMEOUT_MS);
  const answer = parse(text);
  checkStatus(status, options);
  const result = isAnswer(answer) ? read(answer) : undefined;
  if (result === undefined)
    throw new MiFailure(`${shown(options.url)} answered HTTP ${status} without a JSON-RPC answer: is this the management interface?`);
  if ("error" in result) throw result.error;
  return result.result;
}

/**
 * Sends several methods in one request. Each is answered by itself: what one balancer does not offer fails alone.
 *
 * @param timeoutMs when the answer is not waited for any longer
 * @param ended ends the wait early
 * @throws MiFailure when nobody answers
 */
export async function askAll(
  calls: readonly MiCall[],
  options: MiOptions,
  timeoutMs = TIMEOUT_MS,
  ended?: AbortSignal,
): Promise<MiResult[]> {
  const body = JSON.stringify(calls.map(({ method, params }, id) => ({ jsonrpc: "2.0", id, method, params })));
  const { status, text } = await post(options, body, timeoutMs, ended);
  checkStatus(status, options);
  const answers = parse(text);
  if (!Array.isArray(answers)) {
    const refused = isAnswer(answers) ? read(answers) : undefined;
    if (refused !== undefined && "error" in refused) throw refused.error;
    throw new MiFailure(`${shown(options.url)} answered HTTP ${status} without a JSON-RPC answer: is this the management interface?`);
  }
  return calls.map((_, id) => {
    const answer: unknown = answers.find((one: unknown) => isAnswer(one) && one.id === id);
    return (
      (isAnswer(answer) ? read(answer) : undefined) ?? { error: new MiFailure(`${shown(options.url)} left a request without an answer`) }
    );
  });
}

function checkStatus(status: number, { token }: MiOptions): void {
  if (status !== 401) return;
  const wanted = token === undefined ? "a bearer token" : "another bearer token";
  throw new MiFailure(`the balancer wants ${wanted}: give it with --token or HEADROOM_MI_TOKEN`, status);
}

async function post(
  { url, token }: MiOptions,
  body: string,
  timeoutMs: number,
  ended?: AbortSignal,
): Promise<{ status: number; text: string }> {
  const headers = { "content-type": "application/json", ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  const late = AbortSignal.timeout(timeoutMs);
  const signal = ended === undefined ? late : AbortSignal.any([late, ended]);
  try {
    const response = await fetch(url, { method: "POST", headers, body, redirect: "error", signal });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    throw new MiFailure(connectionSentence(shown(url), error, timeoutMs));
  }
}

function connectionSentence(url: string, error: unknown, timeoutMs: number): string {
  if (error instanceof Error && error.name === "TimeoutError") return `no answer from ${url} within ${timeoutMs / 1000} s`;
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  if (code === "ECONNREFUSED") return `nothing listens at ${url}: start the balancer with "headroom start", or say where it is with --url`;
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return `the host of ${url} has no address: check --url`;
  if (UNTRUSTED.has(code)) {
    return `the certificate of ${url} is from an authority that Node.js does not know (${code}): name its file in NODE_EXTRA_CA_CERTS`;
  }
  return `cannot reach ${url}: ${cause instanceof Error && cause.message !== "" ? cause.message : String(error)}`;
}

/** What OpenSSL says when it finds nobody who vouches for a certificate. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

interface RpcAnswer {
  readonly id?: unknown;
  readonly result?: unknown;
  readonly error?: unknown;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isAnswer(value: unknown): value is RpcAnswer {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function read(answer: RpcAnswer): MiResult | undefined {
  if (isRpcError(answer.error)) return { error: new MiFailure(errorSentence(answer.error), answer.error.code) };
  return "result" in answer ? { result: answer.result } : undefined;
}

interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: unknown;
}

function isRpcError(error: unknown): error is RpcError {
  return typeof error === "object" && error !== null && "code" in error && "message" in error;
}

function errorSentence({ code, message, data }: RpcError): string {
  return `${message} (${code})${data === undefined ? "" : `: ${data}`}`;
}
