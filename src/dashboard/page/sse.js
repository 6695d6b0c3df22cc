/** What is kept of a frame that has not ended: the table of 10,000 destinations takes some 2 MB. */
const MAX_FRAME_LENGTH = 64 * 1024 * 1024;

/** @typedef {{ name: string, data: string }} Frame */

/** Reads server-sent events (WHATWG HTML §9.2.6) piece by piece, as far as our server uses them: names and data, no ids, no `retry`. */
export class SseParser {
  #kept = "";
  /** Where a search for the next end begins: what was searched holds none. */
  #from = 0;

  /**
   * @param {string} piece as it came; frames and lines may be cut anywhere
   * @returns {Frame[]} those that have ended
   * @throws {RangeError} when a frame does not end
   */
  push(piece) {
    this.#kept += piece.includes("\r") ? piece.replaceAll("\r", "") : piece;
    /** @type {Frame[]} */
    const frames = [];
    let start = 0;
    for (;;) {
      const end = this.#kept.indexOf("\n\n", Math.max(start, this.#from));
      if (end === -1) break;
      const frame = frameOf(this.#kept.slice(start, end));
      if (frame !== undefined) frames.push(frame);
      start = end + 2;
      this.#from = start;
    }
    this.#kept = this.#kept.slice(start);
    this.#from = Math.max(0, this.#kept.length - 1);
    if (this.#kept.length > MAX_FRAME_LENGTH) throw new RangeError(`Cannot read a frame of more than ${MAX_FRAME_LENGTH} characters`);
    return frames;
  }
}

/** @param {string} text @returns {Frame | undefined} undefined for a comment */
function frameOf(text) {
  let name = "message";
  /** @type {string[]} */
  const data = [];
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    const value = line.slice(line.charAt(colon + 1) === " " ? colon + 2 : colon + 1);
    if (line.startsWith("event:")) name = value;
    else if (line.startsWith("data:")) data.push(value);
  }
  return data.length === 0 ? undefined : { name, data: data.join("\n") };
}
