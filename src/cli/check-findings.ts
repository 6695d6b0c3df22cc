import { hintFor } from "./check-hints.ts";
import { type Terminal, visible } from "./terminal.ts";

/** An error keeps the program from starting, or a destination from its calls; a notice is worth a look. */
export type Severity = "error" | "notice";

/** Where a finding stands: in a file, or in a row of a table. */
export interface Place {
  readonly file?: string;
  /** Line and column count from 1. */
  readonly line?: number;
  readonly column?: number;
  readonly table?: string;
  /** The id of the row. */
  readonly row?: number;
}

/** Something that an operator should know. */
export interface Finding {
  readonly severity: Severity;
  readonly place: Place | undefined;
  readonly text: string;
  /** What to do about it. */
  readonly hint: string;
}

/** Findings in the order in which they were made. */
export class Findings {
  readonly all: Finding[] = [];
  readonly #file: string | undefined;

  /** @param file the configuration file: a text that begins with it has its place there */
  constructor(file: string | undefined) {
    this.#file = file;
  }

  get hasErrors(): boolean {
    return this.all.some(({ severity }) => severity === "error");
  }

  error(text: string, place?: Place): void {
    this.#add("error", text, place);
  }

  notice(text: string, place?: Place): void {
    this.#add("notice", text, place);
  }

  #add(severity: Severity, text: string, place: Place | undefined): void {
    const inFile = place ?? this.#placeIn(text);
    const start = inFile === undefined ? "" : placeText(inFile);
    const bare = start !== "" && text.startsWith(`${start}: `) ? text.slice(start.length + 2) : text;
    this.all.push({ severity, place: inFile, text: bare, hint: hintFor(bare) });
  }

  #placeIn(text: string): Place | undefined {
    const file = this.#file;
    if (file === undefined || !text.startsWith(`${file}:`)) return undefined;
    const [, line, column] = /^:(\d+):(\d+): /.exec(text.slice(file.length)) ?? [];
    return line === undefined ? { file } : { file, line: Number(line), column: Number(column) };
  }
}

/** Prints findings for people: errors to where errors go, the hint under each. */
export function printFindings(findings: readonly Finding[], terminal: Terminal): void {
  for (const { severity, place, text, hint } of findings) {
    const say = severity === "error" ? terminal.complain : terminal.print;
    const start = place?.file === undefined ? "" : `${placeText(place)}: `;
    say(`${severity}: ${visible(`${start}${text}`)}`);
    say(`  hint: ${visible(hint)}`);
  }
}

function placeText({ file, line, column }: Place): string {
  if (file === undefined) return "";
  return line === undefined ? file : `${file}:${line}:${column ?? 1}`;
}
