import { readdirSync, readFileSync } from "node:fs";

/** A collection of test messages that an RFC prints. */
export type Collection = "rfc4475" | "rfc5118";

const cache = new Map<Collection, ReadonlyMap<string, string>>();

/**
 * The messages of an RFC by their names there, one character a byte. The files hold them as the RFC prints them, in its own notation (RFC 4475 §2):
 * `<allOneLine>` joins lines, `<hex>` holds bytes, `<repeat count=n>` repeats.
 */
export function messagesOf(collection: Collection): ReadonlyMap<string, string> {
  const known = cache.get(collection);
  if (known !== undefined) return known;
  const folder = new URL(`./${collection}/`, import.meta.url);
  const messages = new Map<string, string>();
  for (const file of readdirSync(folder).sort()) {
    // RFC 5118 counts the line ends of its bodies as one byte: its Content-Length is right for LF alone.
    const text = expanded(readFileSync(new URL(file, folder), "latin1"), collection === "rfc5118" ? "\n" : "\r\n");
    messages.set(file.replace(/\.txt$/, ""), text);
  }
  cache.set(collection, messages);
  return messages;
}

/** One message; a name that is not there is a fault of the test. */
export function messageOf(collection: Collection, name: string): string {
  const text = messagesOf(collection).get(name);
  if (text === undefined) throw new Error(`Cannot read message "${name}" of ${collection}: it has no such file`);
  return text;
}

/** The message that a file in the notation of RFC 4475 §2 stands for. */
function expanded(file: string, bodyLineEnd: string): string {
  let out = "";
  let joined: string | undefined;
  let inBody = false;
  for (const line of file.replace(/\r?\n$/, "").split(/\r?\n/)) {
    if (line === "<allOneLine>") joined = "";
    else if (line === "</allOneLine>") {
      out += `${joined}${inBody ? bodyLineEnd : "\r\n"}`;
      joined = undefined;
    } else if (joined !== undefined) joined += bytesOf(line);
    else {
      out += `${bytesOf(line)}${inBody ? bodyLineEnd : "\r\n"}`;
      if (line === "") inBody = true;
    }
  }
  return out;
}

function bytesOf(line: string): string {
  return line
    .replace(/<repeat count=(\d+)>([^<]*)<\/repeat>/g, (_, count: string, text: string) => text.repeat(Number(count)))
    .replace(/<hex>([0-9A-F]*)<\/hex>/g, (_, digits: string) => Buffer.from(digits, "hex").toString("latin1"));
}
