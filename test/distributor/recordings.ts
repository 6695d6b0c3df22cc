import { readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "../fixtures/distributor");

/** One `api …` command that FreeSWITCH 1.11.1 was sent, and the body of its answer, byte for byte. */
export interface Exchange {
  readonly command: string;
  readonly answer: string;
}

export function fixture(name: string): string {
  return readFileSync(join(FOLDER, name), "utf8");
}

/** The commands of a recording with their answers, in order. */
export function exchangesOf(recording: string): Exchange[] {
  const commands = fixture(`${recording}.sent`)
    .split("\n\n")
    .filter((frame) => frame.startsWith("api "));
  const answers = apiAnswers(fixture(`${recording}.recv`));
  if (commands.length !== answers.length) throw new Error(`${recording}: ${commands.length} commands, ${answers.length} answers`);
  return commands.map((command, i) => ({ command: command.slice("api ".length), answer: answers[i] ?? "" }));
}

/** Bodies of the frames of type api/response; all recordings are ASCII. */
function apiAnswers(bytes: string): string[] {
  const answers: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const headerEnd = bytes.indexOf("\n\n", at);
    const header = bytes.slice(at, headerEnd);
    const bodyStart = headerEnd + 2;
    at = bodyStart + Number(/^Content-Length: (\d+)$/m.exec(header)?.[1] ?? 0);
    if (header.includes("Content-Type: api/response")) answers.push(bytes.slice(bodyStart, at));
  }
  return answers;
}
