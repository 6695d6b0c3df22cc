/** One record of a CSV text. `line` is that of its first character, from 1. */
export interface CsvRecord {
  readonly line: number;
  readonly cells: readonly string[];
  /** Of each value, whether it stood in quotes: an empty one can mean nothing, or an empty text. */
  readonly quoted: readonly boolean[];
}

/** A value as it stands in CSV: in quotes where it has to be, and where it is empty. */
export function csvCell(text: string): string {
  return text === "" || /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Parses CSV (RFC 4180): commas, quotes around what holds a comma, a quote or a line break, quotes doubled within.
 *
 * Lines may end in CRLF, LF or CR. Blank lines are left out.
 *
 * @throws {SyntaxError} with the line for a quote that is not closed or stands in the middle of a value
 */
export function parseCsv(text: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  let cells: string[] = [];
  let quoted: boolean[] = [];
  let line = 1;
  let recordLine = 1;
  let at = 0;
  while (at < text.length) {
    quoted.push(text[at] === '"');
    const [cell, end, breaks] = text[at] === '"' ? quotedCell(text, at, line) : plainCell(text, at, line);
    cells.push(cell);
    line += breaks;
    at = end;
    if (text[at] === ",") {
      at++;
      if (at === text.length) {
        cells.push("");
        quoted.push(false);
      }
      continue;
    }
    endRecord();
    if (text[at] === "\r" && text[at + 1] === "\n") at++;
    at++;
    line++;
    recordLine = line;
  }
  if (cells.length > 0) endRecord(); // the text ends in a comma
  return records;

  function endRecord(): void {
    if (cells.length > 1 || cells[0] !== "") records.push({ line: recordLine, cells, quoted });
    cells = [];
    quoted = [];
  }
}

/** The value, where it ends, and how many line breaks it holds. */
type Cell = readonly [cell: string, end: number, breaks: number];

function plainCell(text: string, start: number, line: number): Cell {
  let at = start;
  while (at < text.length && text[at] !== "," && text[at] !== "\n" && text[at] !== "\r") {
    if (text[at] === '"')
      throw new SyntaxError(`line ${line}: a quote stands within a value, want the whole value in quotes and its quotes doubled`);
    at++;
  }
  return [text.slice(start, at), at, 0];
}

function quotedCell(text: string, start: number, line: number): Cell {
  let cell = "";
  let from = start + 1;
  for (;;) {
    const quote = text.indexOf('"', from);
    if (quote === -1) throw new SyntaxError(`line ${line}: a quote is opened and never closed`);
    cell += text.slice(from, quote);
    if (text[quote + 1] !== '"') {
      const next = text[quote + 1];
      if (next !== undefined && !",\r\n".includes(next)) throw new SyntaxError(`line ${line}: a value goes on behind its closing quote`);
      return [cell, quote + 1, cell.split(/\r\n|\r|\n/).length - 1];
    }
    cell += '"';
    from = quote + 2;
  }
}
