import { readFileSync } from "node:fs";
import { parseResponse, type RawResponse } from "./raw-http.ts";

/** One recorded exchange. */
export interface Transcript {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly version: "1.0" | "1.1";
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string | undefined;
  /** Undefined when the server broke the connection without an answer. */
  readonly recorded: RawResponse | undefined;
  /** The answer never ended: its body is what came until curl gave up. */
  readonly hung: boolean;
}

const FOLDER = new URL("../fixtures/mi-transcripts/", import.meta.url);

export function readTranscript(name: string): Transcript {
  const text = readFileSync(new URL(`${name}.txt`, FOLDER), "utf8").replaceAll("\r\n", "\n");
  const [, command = "", answer = "", exit = ""] =
    /^### REQUEST\n(.*)\n### RESPONSE \(verbatim\)\n([\s\S]*?)\n### curl exit status (\d+)\n$/.exec(text) ?? [];
  const start = answer.indexOf("HTTP/1.1 ");
  const [head = "", body = ""] = answer.slice(start).split("\n\n");
  return {
    ...readCommand(command),
    recorded: start === -1 ? undefined : parseResponse(`${head.trimEnd().replaceAll("\n", "\r\n")}\r\n\r\n${body.trimEnd()}`),
    hung: exit === "28",
  };
}

function readCommand(command: string): Pick<Transcript, "method" | "path" | "version" | "headers" | "body"> {
  const words = shellWords(command).slice(1);
  const headers: (readonly [string, string])[] = [];
  let method: string | undefined;
  let body: string | undefined;
  let version: "1.0" | "1.1" = "1.1";
  let url = "";
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === "-i") continue;
    else if (word === "-m") i++;
    else if (word === "-H") headers.push(readHeader(words[++i]!));
    else if (word === "-d") body = words[++i]!;
    else if (word === "-X") method = words[++i]!;
    else if (word === "-I") method = "HEAD";
    else if (word === "--http1.0") version = "1.0";
    else url = word;
  }
  const { pathname, search } = new URL(url);
  const typed = headers.some(([name]) => name === "Content-Type");
  // curl's own default with -d; an empty value after the colon takes the header away.
  if (body !== undefined && !typed) headers.push(["Content-Type", "application/x-www-form-urlencoded"]);
  return {
    method: method ?? (body === undefined ? "GET" : "POST"),
    path: pathname + search,
    version,
    headers: headers.filter(([, value]) => value !== ""),
    body,
  };
}

function readHeader(text: string): readonly [string, string] {
  const colon = text.indexOf(":");
  return [text.slice(0, colon), text.slice(colon + 1).trim()];
}

/** Splits what bash `printf %q` wrote: words with backslash escapes, or ''. */
function shellWords(text: string): string[] {
  return [...text.matchAll(/(?:\\.|[^\s\\])+/g)].map(([word]) => (word === "''" ? "" : word.replace(/\\(.)/g, "$1")));
}
