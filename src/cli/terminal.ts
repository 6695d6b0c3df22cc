import { createInterface } from "node:readline/promises";

/** Where a command writes and how it ends: the process, or a test. */
export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** One line of the answer. */
  print(line: string): void;
  /** One line of what went wrong. */
  complain(line: string): void;
  /** Sets how the command ends: 0 done, 1 refused. */
  exitCode(code: 0 | 1): void;
  /** Asks whoever sits there; absent where nobody does: in a script, behind a pipe. */
  readonly confirm?: ((question: string) => Promise<boolean>) | undefined;
}

/** The terminal of this process. Nothing is cut off: the process ends by itself when all is written. */
export const processTerminal: Terminal = {
  environment: process.env,
  print(line) {
    process.stdout.write(`${line}\n`);
  },
  complain(line) {
    process.stderr.write(`${line}\n`);
  },
  exitCode(code) {
    process.exitCode = code;
  },
  get confirm() {
    return process.stdin.isTTY && process.stdout.isTTY ? askPerson : undefined;
  },
};

/** Anything but "y" or "yes" is a no, the end of the input included. */
async function askPerson(question: string): Promise<boolean> {
  const dialogue = createInterface({ input: process.stdin, output: process.stdout });
  const closed = new Promise<string>((resolve) => dialogue.once("close", () => resolve("")));
  try {
    const answer = await Promise.race([dialogue.question(`${question} [y/N] `), closed]);
    return /^y(?:es)?$/i.test(answer.trim());
  } finally {
    dialogue.close();
  }
}

/** What steers a terminal, or turns the order of what is read: control characters, ends of lines, marks and overrides of direction. */
const STEERING = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** Text that a terminal shows as it stands: what would steer it, which a database or a file may hold, becomes a visible escape. */
export function visible(text: string): string {
  return text.replace(STEERING, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** A value for a terminal where columns count: what would steer it becomes a question mark. */
export function plain(value: unknown): string {
  return (value === null ? "-" : String(value ?? "")).replace(STEERING, "?");
}

/** JSON for a terminal: what JSON leaves as it is and would steer it is escaped, which changes no value. */
export function printableJson(value: unknown, indent?: number): string {
  const escaped = (character: string): string =>
    character < " " ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`; // JSON's own line breaks
  return JSON.stringify(value, undefined, indent).replace(STEERING, escaped);
}

/** A moment as ISO 8601, or a dash where it is none: who answers may write any number. @param ms since 1970 */
export function isoTime(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? "-" : date.toISOString();
}

/** Text of several lines for a terminal: as {@link visible}, but its lines, tabs and colours stay. */
export function visibleLines(text: string): string {
  return text
    .split(/(\u001b\[[\d;]*m|[\t\n])/)
    .map((part, i) => (i % 2 === 1 ? part : visible(part)))
    .join("");
}

/** Environment of colours: `NO_COLOR` (no-color.org) counts when it is not empty. */
type Environment = Readonly<Record<string, string | undefined>>;

/** The stream is a terminal that can be drawn on. */
export function isScreen({ isTTY }: { readonly isTTY?: boolean }, environment: Environment = process.env): boolean {
  return isTTY === true && environment["TERM"] !== "dumb";
}

/** Colours go to a terminal only, and to none of somebody who wants none. */
export function isColourful(stream: { readonly isTTY?: boolean }, environment: Environment = process.env): boolean {
  return isScreen(stream, environment) && (environment["NO_COLOR"] ?? "") === "";
}

/** The locale of the environment has characters beyond ASCII; one that is not set has them, too: containers have none. */
export function isUnicode(environment: Environment = process.env): boolean {
  const locale = [environment["LC_ALL"], environment["LC_CTYPE"], environment["LANG"]].find((name) => name !== undefined && name !== "");
  return locale === undefined || /utf-?8/i.test(locale);
}
