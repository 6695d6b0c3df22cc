import { ImportSyntaxError } from "./limits.ts";
import type { Token } from "./tokens.ts";

/** Walks over tokens. */
export class TokenReader {
  readonly #tokens: readonly Token[];
  readonly #tell: (line: number, text: string) => void;
  #at = 0;

  /** @param tell is told of brackets that were closed by a sign that cannot stand within them */
  constructor(tokens: readonly Token[], tell: (line: number, text: string) => void) {
    this.#tokens = tokens;
    this.#tell = tell;
  }

  /** The token that comes next, or one after it; undefined at the end. */
  peek(ahead = 0): Token | undefined {
    return this.#tokens[this.#at + ahead];
  }

  /** @throws {ImportSyntaxError} at the end of the text */
  next(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new ImportSyntaxError(`Cannot read line ${this.last.line}: the text ends within a block, want "}"`);
    this.#at += 1;
    return token;
  }

  /** The token that was taken last. */
  get last(): Token {
    return this.#tokens[Math.max(0, this.#at - 1)] ?? { kind: "sign", text: "", line: 1 };
  }

  isSign(sign: string): boolean {
    const token = this.peek();
    return token?.kind === "sign" && token.text === sign;
  }

  /** Takes the sign when it is the next token. */
  takeSign(sign: string): boolean {
    const found = this.isSign(sign);
    if (found) this.#at += 1;
    return found;
  }

  /** Takes the arguments of a call from `(` to its `)`, each as text. Of one that is an expression, all its tokens with blanks between. */
  arguments(): string[] {
    const args: string[] = [];
    let parts: string[] = [];
    let depth = 0;
    this.next();
    for (;;) {
      const token = this.next();
      const sign = token.kind === "sign" ? token.text : "";
      if (sign === ")" && depth === 0) {
        if (parts.length > 0 || args.length > 0) args.push(parts.join(" "));
        return args;
      }
      if (sign === "," && depth === 0) {
        args.push(parts.join(" "));
        parts = [];
        continue;
      }
      if (sign === ";" || sign === "{" || sign === "}") {
        this.#tell(token.line, 'a bracket is open, want ")": it was closed here');
        this.#at -= 1;
        return [...args, parts.join(" ")];
      }
      if (sign === "(") depth += 1;
      if (sign === ")") depth -= 1;
      parts.push(token.text);
    }
  }
}
