import { ImportSyntaxError, MAX_TEXT, MAX_TOKENS } from "./limits.ts";
import { type Token, tokensOf } from "./tokens.ts";

/** What a file of `include_file` holds. `name` is what the report calls it. */
export interface IncludedText {
  readonly name: string;
  readonly text: string;
}

/**
 * Reads a file that a configuration includes.
 *
 * @param path as the configuration has it
 * @param from name of the file that includes it; undefined: the configuration itself
 * @throws {ImportSyntaxError} that says why it cannot be read
 */
export type ReadInclude = (path: string, from: string | undefined) => IncludedText;

/** Where something stands. `file` is undefined in the configuration itself. */
export interface Place {
  readonly file: string | undefined;
  readonly line: number;
}

/** Lines of the first included file begin here, those of the second at twice that: above all lines that a text can have. */
const LINES_A_FILE = 10_000_000;
/** Most files that a configuration may include, and how deep. */
const MAX_FILES = 200;
export const MAX_INCLUDE_DEPTH = 10;
/** `Cannot read line 10000012: …` */
const LINE_IN_MESSAGE = /\bline (\d{8,})\b/;

/** The files of a configuration. A line number says which file it is of, too, so that one number goes with a token to its sentence in the report. */
export class Sources {
  readonly #names: string[] = [];
  readonly #read: ReadInclude | undefined;
  #length = 0;
  #tokens = 0;

  /** @param read undefined: included files are not read */
  constructor(read?: ReadInclude) {
    this.#read = read;
  }

  get areRead(): boolean {
    return this.#read !== undefined;
  }

  /** @throws {ImportSyntaxError} when there are too many files or too much text, or the file cannot be read */
  tokensOf(path: string, includedAt: number): Token[] {
    if (this.#read === undefined) throw new ImportSyntaxError("included files are not read");
    if (this.#names.length >= MAX_FILES) throw new ImportSyntaxError(`want at most ${MAX_FILES} files`);
    const { name, text } = this.#read(path, this.place(includedAt).file);
    this.#length += text.length;
    if (this.#length > MAX_TEXT) throw new ImportSyntaxError(`want at most ${MAX_TEXT} characters in all files`);
    this.#names.push(name);
    const first = this.#names.length * LINES_A_FILE;
    const tokens = tokensOf(text).map((token) => ({ ...token, line: first + token.line }));
    this.#tokens += tokens.length;
    if (this.#tokens > MAX_TOKENS) throw new ImportSyntaxError(`want at most ${MAX_TOKENS} words and signs in all files`);
    return tokens;
  }

  place(line: number): Place {
    const file = Math.trunc(line / LINES_A_FILE);
    return file === 0 ? { file: undefined, line } : { file: this.#names[file - 1], line: line % LINES_A_FILE };
  }

  /** A message in which the line of an included file is named by its file. */
  inWords(message: string): string {
    return message.replace(LINE_IN_MESSAGE, (_, digits: string) => {
      const { file, line } = this.place(Number(digits));
      return `line ${line} of ${file}`;
    });
  }
}
