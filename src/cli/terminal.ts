/** Where a command writes and how it ends: the process, or a test. */
export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** One line of the answer. */
  print(line: string): void;
  /** One line of what went wrong. */
  complain(line: string): void;
  /** Sets how the command ends: 0 done, 1 refused. */
  exitCode(code: 0 | 1): void;
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
};

/**
 * Text that a terminal shows as it stands: control characters, which a database or a file may hold, become visible escapes.
 */
export function visible(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
