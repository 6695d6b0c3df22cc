import { type Config, parseHttpListen } from "../config/index.ts";
import { runMethod } from "./mi.ts";
import type { Terminal } from "./terminal.ts";

/** Where the running balancer is, as far as the command line says it. */
export interface ReloadOptions {
  readonly reload?: boolean;
  readonly url?: string;
  readonly token?: string;
}

/** What came of a reload. */
export interface Reloaded {
  readonly isDone: boolean;
  readonly sentence: string;
}

/** A row as `lb_list` has it. */
interface Listed {
  readonly id: number;
  readonly uri: string;
}

/**
 * Has the running balancer load the table, and looks whether it uses the rows that were written.
 *
 * @param written the rows that it is to have
 */
export async function reload(
  config: Config,
  { url = managementUrl(config), token }: ReloadOptions,
  { environment }: Terminal,
  written: readonly Listed[],
): Promise<Reloaded> {
  const options = { url, json: true, token: token ?? environment["HEADROOM_MI_TOKEN"] ?? operatorToken(config) };
  const goesOn = "the database has the change, the balancer goes on with what it has loaded";
  const loaded = await call("lb_reload", options);
  if ("refusal" in loaded) return { isDone: false, sentence: `${loaded.refusal}: ${goesOn}` };
  const listed = await call("lb_list", options);
  if ("refusal" in listed) return { isDone: true, sentence: `The balancer at ${url} has loaded the table` };
  const used = (JSON.parse(listed.text) as { readonly Destinations?: readonly Listed[] }).Destinations ?? [];
  const uris = new Map(used.map(({ id, uri }) => [id, uri]));
  const lacking = written.filter(({ id, uri }) => uris.get(id) !== uri).map(({ id }) => id);
  const total = `The balancer at ${url} has loaded the table: it has ${used.length} ${used.length === 1 ? "destination" : "destinations"}`;
  if (lacking.length === 0) return { isDone: true, sentence: total };
  const which = lacking.length === 1 ? `destination ${lacking[0]} is none of them` : `destinations ${lacking.join(", ")} are none of them`;
  return { isDone: false, sentence: `${total}, ${which}; headroom check says why, as does its log` };
}

/** Where a balancer with this configuration takes management methods, for somebody on the same machine. */
function managementUrl({ mi_http: { listen, root, tls } }: Config): string {
  const { address, port } = parseHttpListen(listen);
  const any = address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
  const host = any.includes(":") ? `[${any}]` : any;
  return `${tls.certificate === null ? "http" : "https"}://${host}:${port}/${root.replace(/^\/+/, "")}`;
}

function operatorToken({ mi_http: { auth } }: Config): string | undefined {
  return auth.bearer_tokens[0] ?? auth.tokens.find(({ role }) => role === "operator")?.token;
}

type Answer = { readonly text: string } | { readonly refusal: string };

async function call(method: string, options: { url: string; json: boolean; token: string | undefined }): Promise<Answer> {
  let text = "";
  let refusal = "";
  const output = {
    out(line: string) {
      text = line;
    },
    error(line: string) {
      refusal = line;
    },
  };
  const code = await runMethod(method, [], options, output, String);
  return code === 0 ? { text } : { refusal };
}
