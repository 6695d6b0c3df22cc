import { createRequire } from "node:module";
import type Parser from "modesl/lib/esl/Parser.js";
import type { ModeslEvent } from "modesl/lib/esl/Parser.js";
import { FrameError } from "./framer.ts";
import { MAX_EVENT_BODY_BYTES, MAX_EVENT_FIELDS } from "./limits.ts";

/** A frame that was read. */
export interface EslMessage {
  /** `auth/request`, `command/reply`, `api/response`, `text/event-json`, `text/disconnect-notice` … */
  readonly contentType: string;
  /** Of an event its fields, otherwise the headers of the frame. */
  readonly fields: ReadonlyMap<string, string>;
  readonly body: string;
}

const load = createRequire(import.meta.url);
const END_OF_HEADERS = "\n\n";
const EVENT = /^Content-Type: text\/event-(json|plain|xml)$/m;
const QUOTE = 0x22;
const LF = 0x0a;
/** A JSON field has four quotes: two around its name, two around its value. */
const QUOTES_PER_FIELD = 4;

/**
 * The parser of `modesl` behind a guard. By itself it throws inside its socket handler for a `%` that decodes to nothing and for a reply that is not
 * text, takes a Content-Length that is no number for a missing one, recurses once a frame, copies all it holds for each chunk, needs time that grows
 * with the square of the number of fields, and holds without bound. So it is never given a socket: it gets exactly one whole frame at a time, cut
 * and bounded by our framer, and has to make exactly one message of it.
 */
export class EslMessageParser {
  #feed: (frame: Buffer) => void = () => undefined;
  readonly #parser: Parser;
  #messages: EslMessage[] = [];
  #failure: unknown;

  constructor() {
    // Loaded with the first FreeSWITCH: a megabyte that others do not need.
    const Modesl = load("modesl/lib/esl/Parser.js") as typeof Parser;
    this.#parser = new Modesl({
      on: (event, listener) => {
        if (event === "data") this.#feed = listener;
      },
    });
    this.#parser.on("esl::event", (event, headers) => this.#messages.push(toMessage(event, headers)));
    this.#parser.on("error", (error) => {
      this.#failure ??= error ?? true;
    });
  }

  /** Reads one whole frame. After an error the parser is not to be used again. @throws FrameError */
  parse(frame: Buffer): EslMessage {
    checkSize(frame);
    this.#messages = [];
    try {
      this.#feed(frame);
    } catch (error) {
      throw unreadable(error);
    }
    const [message, more] = this.#messages;
    this.#messages = [];
    if (message === undefined || more !== undefined || this.#failure !== undefined) throw unreadable(this.#failure);
    if (this.#parser.buffer.length > 0 || this.#parser.bodyLen !== 0) throw unreadable(undefined);
    return message;
  }
}

/** Bounds the work that the parser has with an event. */
function checkSize(frame: Buffer): void {
  const bodyStart = frame.indexOf(END_OF_HEADERS) + END_OF_HEADERS.length;
  const [, format] = EVENT.exec(frame.toString("latin1", 0, bodyStart)) ?? [];
  if (format === undefined) return;
  if (format === "xml") throw new FrameError("unexpected-format", "Cannot read an event: it is XML, which nobody asked for");
  const body = frame.subarray(bodyStart);
  if (body.length > MAX_EVENT_BODY_BYTES) {
    throw new FrameError("body-too-long", `Cannot read an event: it has ${body.length} bytes; want at most ${MAX_EVENT_BODY_BYTES}`);
  }
  const marks = format === "json" ? countBytes(body, QUOTE) / QUOTES_PER_FIELD : countBytes(body, LF);
  if (marks > MAX_EVENT_FIELDS)
    throw new FrameError("too-many-fields", `Cannot read an event: it has more than ${MAX_EVENT_FIELDS} fields`);
}

function countBytes(bytes: Buffer, wanted: number): number {
  let count = 0;
  for (let at = bytes.indexOf(wanted); at !== -1; at = bytes.indexOf(wanted, at + 1)) count++;
  return count;
}

function toMessage(event: ModeslEvent, headers: Record<string, unknown>): EslMessage {
  const fields = new Map<string, string>();
  for (const { name, value } of event.headers) {
    if (typeof value === "string") fields.set(name, value);
    else if (typeof value === "number") fields.set(name, String(value));
  }
  const contentType = headers["Content-Type"];
  return {
    contentType: typeof contentType === "string" ? contentType : "",
    fields,
    body: typeof event.body === "string" ? event.body : "",
  };
}

/** The cause is not kept: what V8 says of bad JSON quotes it, and a server may send anything back, a password too. */
function unreadable(cause: unknown): FrameError {
  const kind = cause instanceof Error ? `: ${cause.name}` : "";
  return new FrameError("unreadable", `Cannot read a frame${kind}`);
}
