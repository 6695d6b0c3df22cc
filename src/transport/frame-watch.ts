/** Longest head of a frame that a client sends: two bytes, a length of eight, a mask of four (RFC 6455 §5.2). */
const MAX_HEAD_BYTES = 14;
const FIN = 0x80;
const OPCODE = 0x0f;
/** Opcodes from here on are control frames, which may stand between the fragments of a message (RFC 6455 §5.4). */
const FIRST_CONTROL_OPCODE = 8;
const MASKED = 0x80;
const LENGTH = 0x7f;
const LENGTH_16 = 126;
const LENGTH_64 = 127;

/**
 * Follows the frames of a WebSocket without looking into them (RFC 6455 §5.2), to know whether a message has begun and is not whole: who sends one byte now
 * and then, or fragments without an end, must be told from who is silent. What is wrong with a frame is for others to find.
 */
export class FrameWatch {
  readonly #head = new Uint8Array(MAX_HEAD_BYTES);
  #headLength = 0;
  /** Bytes of the payload that are still to come. */
  #left = 0;
  #isFragmented = false;

  /** A frame, or a message, has begun and is not whole. */
  get isPartial(): boolean {
    return this.#headLength > 0 || this.#isFragmented;
  }

  /** @returns whether a message ended in these bytes */
  push(bytes: Uint8Array): boolean {
    let hasEnded = false;
    let at = 0;
    while (at < bytes.length) {
      if (this.#left > 0) {
        const passed = Math.min(this.#left, bytes.length - at);
        this.#left -= passed;
        at += passed;
      } else {
        this.#head[this.#headLength] = bytes[at]!;
        this.#headLength++;
        at++;
        if (this.#headLength < this.#wantedHead()) continue;
        this.#left = this.#payloadLength();
      }
      if (this.#left === 0) hasEnded = this.#endFrame() || hasEnded;
    }
    return hasEnded;
  }

  #wantedHead(): number {
    if (this.#headLength < 2) return 2;
    const second = this.#head[1]!;
    const length = second & LENGTH;
    return 2 + (length === LENGTH_16 ? 2 : length === LENGTH_64 ? 8 : 0) + ((second & MASKED) === 0 ? 0 : 4);
  }

  #payloadLength(): number {
    const length = this.#head[1]! & LENGTH;
    if (length < LENGTH_16) return length;
    const view = new DataView(this.#head.buffer);
    return length === LENGTH_16 ? view.getUint16(2) : view.getUint32(2) * 2 ** 32 + view.getUint32(6);
  }

  /** @returns whether that was the last frame of a message */
  #endFrame(): boolean {
    this.#headLength = 0;
    const first = this.#head[0]!;
    if ((first & OPCODE) >= FIRST_CONTROL_OPCODE) return false;
    this.#isFragmented = (first & FIN) === 0;
    return !this.#isFragmented;
  }
}
