import { MAX_ATTRIBUTES_LENGTH, quote } from "./attributes.ts";
import { MAX_INT, MAX_RECORDS, MAX_URI_LENGTH, Problems, type WrittenRecord } from "./records.ts";
import { atOnce, STEP_SIZE, type Steps } from "./steps.ts";

/** Characters of a line: set id, URI, flags, priority and attributes, with blanks between them. Kamailio cuts lines at 1,023. */
const MAX_LINE_LENGTH = MAX_URI_LENGTH + MAX_ATTRIBUTES_LENGTH + 256;
/** Lines of a file, comments included. */
const MAX_LINES = 10 * MAX_RECORDS;

/** The records of a list file, and a sentence for each line that is left out. */
export interface ListFile {
  readonly records: readonly WrittenRecord[];
  readonly problems: readonly string[];
}

/**
 * Reads Kamailio's list file: `setid uri flags priority attrs` a line, the last three optional, blanks between them, `#` for comments. Flags may
 * be written in hexadecimal (`0x8`), as newer versions allow. Seen on Kamailio 5.6.3.
 *
 * As there the attributes are one word and what follows is ignored, which is told here; a `#` within them is part of them. A line that Kamailio
 * would read as something else than it says is left out with a sentence: one without a number at its head (it is set 0 there), with flags or a
 * priority that are no numbers (they become attributes there).
 */
export function parseListFile(text: string): ListFile {
  return atOnce(parseListSteps(text));
}

/** {@link parseListFile} in steps. */
export function* parseListSteps(text: string): Steps<ListFile> {
  const problems = new Problems();
  const records: WrittenRecord[] = [];
  const lines = text.split("\n", MAX_LINES + 1);
  for (const [index, line] of lines.entries()) {
    if (index % STEP_SIZE === STEP_SIZE - 1) yield;
    const place = `line ${index + 1}`;
    if (index === MAX_LINES) {
      problems.add(`Cannot use what follows ${place}: want at most ${MAX_LINES} lines`);
      break;
    }
    const record = parseLine(line, place, problems);
    if (typeof record === "string") problems.add(`Cannot use ${place}: ${record}`);
    else if (record !== undefined) records.push(record);
  }
  return { records, problems: problems.sentences() };
}

/** A record, `undefined` for a line without one, or what is wrong. */
function parseLine(line: string, place: string, problems: Problems): WrittenRecord | string | undefined {
  if (line.length > MAX_LINE_LENGTH) return `want at most ${MAX_LINE_LENGTH} characters, not ${line.length}`;
  if (/^[ \t\r]*(?:#|$)/.test(line)) return undefined;
  const words = new Words(line);
  const setText = words.next(/^[^ \t\r#]*/);
  const setId = wholeNumber(setText);
  if (setId === undefined) return `want the id of a set, 0 to ${MAX_INT}, not ${quote(setText)}`;
  const uri = words.next(/^[^ \t\r#]*/);
  if (uri === "") return "want the URI of a destination behind the set id";
  const flagsText = words.next(/^[^ \t\r#]*/);
  const flags = flagsText === "" ? 0 : wholeNumber(flagsText);
  if (flags === undefined) return `want flags as a number, such as 8 or 0x8, not ${quote(flagsText)}`;
  const priorityText = words.next(/^[^ \t\r#]*/);
  const priority = priorityText === "" ? 0 : wholeNumber(priorityText);
  if (priority === undefined) return `want a priority from 0 to ${MAX_INT}, not ${quote(priorityText)}`;
  const attrs = words.next(/^(?!#)[^ \t\r]*/);
  const rest = words.next(/^.*/);
  if (rest !== "" && !rest.startsWith("#"))
    problems.add(`Cannot use ${quote(rest)} of ${place}: want attributes without blanks between them`);
  return { setId, uri, flags, priority, attrs, description: "", place };
}

/** Decimal, or hexadecimal behind `0x`. */
function wholeNumber(text: string): number | undefined {
  const number = /^(?:\d{1,10}|0x[0-9a-f]{1,8})$/i.test(text) ? Number(text) : Number.NaN;
  return number <= MAX_INT ? number : undefined;
}

/** A line word by word. */
class Words {
  readonly #line: string;
  #at = 0;

  constructor(line: string) {
    this.#line = line;
  }

  /** What `pattern` takes of the rest behind its blanks. */
  next(pattern: RegExp): string {
    const blanks = /^[ \t\r]*/.exec(this.#line.slice(this.#at)) as RegExpExecArray;
    this.#at += blanks[0].length;
    const [word = ""] = pattern.exec(this.#line.slice(this.#at)) ?? [];
    this.#at += word.length;
    return word.trimEnd();
  }
}
