/** Characters of one piece of a long message: written in a fraction of a millisecond. */
const PIECE_CHARS = 32_768;

/** One message of a stream of server-sent events (WHATWG HTML §9.2). JSON has no line ends in it. */
export function frame(name: string, json: string): Buffer {
  return Buffer.from(`event: ${name}\ndata: ${json}\n\n`);
}

/** A long message that is made bit by bit, of a list with commas between its items, and written in pieces. */
export class LongFrame {
  readonly #pieces: Buffer[] = [];
  #text: string;
  #count = 0;

  /** @param head JSON up to the first item */
  constructor(name: string, head: string) {
    this.#text = `event: ${name}\ndata: ${head}`;
  }

  get count(): number {
    return this.#count;
  }

  add(item: string): void {
    this.#text += this.#count++ === 0 ? item : `,${item}`;
    if (this.#text.length >= PIECE_CHARS) this.#cut();
  }

  /** @param tail JSON after the last item */
  end(tail: string): readonly Buffer[] {
    this.#text += `${tail}\n\n`;
    this.#cut();
    return this.#pieces;
  }

  #cut(): void {
    this.#pieces.push(Buffer.from(this.#text));
    this.#text = "";
  }
}
