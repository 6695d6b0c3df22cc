import { MAX_FRAME_BODY_BYTES, MAX_FRAME_HEADER_BYTES, MAX_FRAME_HEADERS } from "./limits.ts";

/** Why a connection's bytes are no frames any more; the connection has to be dropped. */
export type FrameFault =
  | "header-too-long"
  | "too-many-headers"
  | "body-too-long"
  | "bad-content-length"
  | "too-many-fields"
  | "unexpected-format"
  | "unreadable";

/** Bytes that break the framing or the parser. Its message quotes nothing of them. */
export class FrameError extends Error {
  override readonly name = "FrameError";
  readonly fault: FrameFault;

  constructor(fault: FrameFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.fault = fault;
  }
}

const LF = 0x0a;
const END_OF_HEADERS = "\n\n";
const INITIAL_BYTES = 4096;
const CONTENT_LENGTH = /^content-length[ \t]*:/i;
/** FreeSWITCH's own spelling, which is the only one that the parser behind us knows. */
const WELL_FORMED = /^Content-Length: ([0-9]{1,10})$/;

/**
 * Cuts the stream of an event socket into frames: header lines, an empty line, and as many bytes as `Content-Length` says. However the bytes arrive,
 * each is looked at once and copied a bounded number of times; what is kept never exceeds one frame of the largest size and the chunk that came last.
 */
export class EslFramer {
  #buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  #start = 0;
  #end = 0;
  /** Up to here there is no end of headers. */
  #scanned = 0;
  /** End of the frame whose headers are complete, or -1. */
  #frameEnd = -1;

  /** Bytes that wait for the rest of their frame. */
  get pendingBytes(): number {
    return this.#end - this.#start;
  }

  /**
   * Takes what has come in and hands on each frame that is now complete. The bytes handed on are valid during the call only.
   * `take` answers false to stop: what is left is then forgotten.
   *
   * @throws FrameError when no frame can follow any more
   */
  push(chunk: Uint8Array, take: (frame: Buffer) => boolean): void {
    this.#append(chunk);
    for (;;) {
      if (this.#frameEnd === -1 && !this.#findEnd()) break;
      if (this.#end < this.#frameEnd) break;
      const frame = this.#buffer.subarray(this.#start, this.#frameEnd);
      this.#start = this.#frameEnd;
      this.#scanned = this.#start;
      this.#frameEnd = -1;
      if (!take(frame)) {
        this.#start = this.#end;
        break;
      }
    }
    if (this.#start === this.#end) this.#reset();
  }

  /** @returns whether the headers are complete, and with them the end of the frame known */
  #findEnd(): boolean {
    // Line ends between frames mean nothing: some commands of FreeSWITCH end their reply with one more than they count.
    while (this.#start < this.#end && this.#buffer[this.#start] === LF) this.#start++;
    const from = Math.max(this.#start, this.#scanned - 1);
    const at = this.#buffer.subarray(0, this.#end).indexOf(END_OF_HEADERS, from, "latin1");
    const headerBytes = (at === -1 ? this.#end : at) - this.#start;
    if (headerBytes > MAX_FRAME_HEADER_BYTES) {
      throw new FrameError("header-too-long", `Cannot read a frame: its headers have more than ${MAX_FRAME_HEADER_BYTES} bytes`);
    }
    this.#scanned = this.#end;
    if (at === -1) return false;
    this.#frameEnd = at + END_OF_HEADERS.length + contentLength(this.#buffer.toString("latin1", this.#start, at));
    return true;
  }

  #append(chunk: Uint8Array): void {
    const pending = this.pendingBytes;
    if (this.#end + chunk.length > this.#buffer.length) {
      const needed = pending + chunk.length;
      const size = needed <= this.#buffer.length / 2 ? this.#buffer.length : Math.max(needed, this.#buffer.length * 2);
      const next = size === this.#buffer.length ? this.#buffer : Buffer.allocUnsafe(size);
      this.#buffer.copy(next, 0, this.#start, this.#end);
      this.#buffer = next;
      this.#scanned = Math.max(0, this.#scanned - this.#start);
      if (this.#frameEnd !== -1) this.#frameEnd -= this.#start;
      this.#start = 0;
      this.#end = pending;
    }
    this.#buffer.set(chunk, this.#end);
    this.#end += chunk.length;
  }

  #reset(): void {
    if (this.#buffer.length > INITIAL_BYTES) this.#buffer = Buffer.allocUnsafe(INITIAL_BYTES);
    this.#start = 0;
    this.#end = 0;
    this.#scanned = 0;
  }
}

function contentLength(headers: string): number {
  const lines = headers.split("\n", MAX_FRAME_HEADERS + 1);
  if (lines.length > MAX_FRAME_HEADERS) {
    throw new FrameError("too-many-headers", `Cannot read a frame: it has more than ${MAX_FRAME_HEADERS} header lines`);
  }
  let length: number | undefined;
  for (const line of lines) {
    if (!CONTENT_LENGTH.test(line)) continue;
    const digits = WELL_FORMED.exec(line)?.[1];
    if (digits === undefined || length !== undefined) {
      throw new FrameError("bad-content-length", "Cannot read a frame: want one Content-Length, a whole number");
    }
    length = Number(digits);
  }
  if (length !== undefined && length > MAX_FRAME_BODY_BYTES) {
    throw new FrameError("body-too-long", `Cannot read a frame: its body has ${length} bytes; want at most ${MAX_FRAME_BODY_BYTES}`);
  }
  return length ?? 0;
}
