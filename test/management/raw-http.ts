import { connect } from "node:net";
import { assertDescribed } from "../support/openrpc.ts";

/** An HTTP response as it came over the socket. */
export interface RawResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** How long a test waits for the end of a response: an answer that never ends is a failure. */
const PATIENCE_MS = 3_000;

/** Sends bytes as they are to the server at `url` and reads until it closes the connection. */
export function sendRaw(url: string, bytes: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`No end of the response within ${PATIENCE_MS} ms`)));
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(chunks).toString("utf8")));
  });
}

/** One request with exactly these headers, plus Host, Connection: close and, unless chunked, Content-Length. */
export async function request(
  url: string,
  options: {
    method?: string;
    path?: string;
    version?: string;
    headers?: readonly (readonly [string, string])[];
    body?: string | undefined;
  },
): Promise<RawResponse> {
  const { host, pathname } = new URL(url);
  const { method = "POST", path = pathname, version = "1.1", headers = [], body } = options;
  const chunked = headers.some(([name, value]) => name.toLowerCase() === "transfer-encoding" && value === "chunked");
  const lines = [
    `${method} ${path} HTTP/${version}`,
    `Host: ${host}`,
    "Connection: close",
    ...headers.map(([name, value]) => `${name}: ${value}`),
  ];
  const length = Buffer.byteLength(body ?? "");
  if (body !== undefined && !chunked) lines.push(`Content-Length: ${length}`);
  const payload = chunked ? `${length.toString(16)}\r\n${body ?? ""}\r\n0\r\n\r\n` : (body ?? "");
  return parseResponse(await sendRaw(url, `${lines.join("\r\n")}\r\n\r\n${payload}`));
}

/** A JSON-RPC request or any other text, sent as a well-behaved client does. What a method answers must be as it is described. */
export async function post(url: string, body: unknown, headers: readonly (readonly [string, string])[] = []): Promise<RawResponse> {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await request(url, { headers: [["Content-Type", "application/json"], ...headers], body: text });
  const method = new URL(url).pathname === "/RPC" || response.status !== 200 ? undefined : methodOf(text);
  if (method !== undefined) assertDescribed(method, JSON.parse(response.body));
  return response;
}

/** Method of a request with an id; nothing of a batch or of what is no request. */
function methodOf(text: string): string | undefined {
  try {
    const { id, method } = JSON.parse(text) as { id?: unknown; method?: unknown };
    return id !== undefined && typeof method === "string" ? method : undefined;
  } catch {
    return undefined;
  }
}

/** Calls one method and answers its result. @throws the error member */
export async function call(url: string, method: string, params?: unknown): Promise<unknown> {
  const { body } = await post(url, { jsonrpc: "2.0", id: 1, method, ...(params === undefined ? {} : { params }) });
  const { result, error } = JSON.parse(body);
  if (error !== undefined) throw error;
  return result;
}

export function parseResponse(text: string): RawResponse {
  const end = text.indexOf("\r\n\r\n");
  const [statusLine = "", ...headerLines] = text.slice(0, end).split("\r\n");
  const headers = new Map(
    headerLines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
  );
  return { status: Number(statusLine.split(" ")[1]), headers, body: text.slice(end + 4) };
}
