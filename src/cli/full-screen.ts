import type { ReadStream, WriteStream } from "node:tty";

/** Other screen, no cursor, no line that goes on in the next; and back. What was on the terminal before is there again. */
const ENTER = "\u001b[?1049h\u001b[?25l\u001b[?7l";
const LEAVE = "\u001b[?7h\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_TO_END_OF_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

/** Keys by what a terminal sends for them; letters come as they are. */
const KEYS: Readonly<Record<string, string>> = {
  "\u0003": "q",
  "\u0004": "q",
  "\u001b[A": "up",
  "\u001bOA": "up",
  k: "up",
  "\u001b[B": "down",
  "\u001bOB": "down",
  j: "down",
  "\u001b[5~": "page-up",
  "\u001b[6~": "page-down",
  " ": "page-down",
  "\u001b[H": "home",
  "\u001b[F": "end",
};
/** A terminal sends a key that is held down several times at once. */
const KEY = /\u001b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])|[^\u001b]/g;
const CTRL_Z = "\u001a";

/** A terminal that belongs to one command until it is given back. */
export interface FullScreen {
  /** Shows lines in place of what stands there, none wider than the terminal. */
  show(lines: readonly string[]): void;
  /** Gives the terminal back as it was. May be called again. */
  close(): void;
}

/**
 * Takes the whole terminal. However the process ends, the terminal is given back: only a SIGKILL leaves it as it is. While the process is stopped (Ctrl-Z)
 * it belongs to the shell.
 *
 * @param onKey is told of keys: letters, `up`, `down`, `page-up`, `page-down`, `home`, `end`; Ctrl-C, and a terminal that is gone, are `q`;
 * `again` wants all to be shown anew
 */
export function openFullScreen(input: ReadStream, output: WriteStream, onKey: (key: string) => void): FullScreen {
  let isOpen = true;
  const read = (data: string): void => {
    for (const key of data.match(KEY) ?? []) {
      if (key === CTRL_Z)
        process.kill(0, "SIGTSTP"); // all of the job, as the terminal would: npm may be in between
      else onKey(KEYS[key] ?? key.toLowerCase());
    }
  };
  const leave = (): void => onKey("q");
  const enter = (): void => {
    if (input.isTTY) {
      // The shell has its own mode meanwhile, of which Node.js knows nothing.
      input.setRawMode(false);
      input.setRawMode(true);
    }
    output.write(ENTER);
  };
  const giveBack = (): void => {
    if (input.isTTY) input.setRawMode(false);
    output.write(LEAVE);
  };
  const stop = (): void => {
    giveBack();
    process.off("SIGTSTP", stop);
    process.kill(process.pid, "SIGTSTP"); // here it stands, unless there is no shell that could go on with it
    process.on("SIGTSTP", stop);
    goOn();
  };
  const goOn = (): void => {
    enter();
    onKey("again");
  };
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    process.off("exit", close);
    process.off("SIGTSTP", stop);
    process.off("SIGCONT", goOn);
    input.off("data", read).off("end", leave);
    input.pause();
    giveBack();
  };
  process.once("exit", close);
  process.on("SIGTSTP", stop);
  process.on("SIGCONT", goOn);
  input.on("error", leave); // stays: a terminal that is gone has one more
  if (input.isTTY) input.setEncoding("utf8").on("data", read).on("end", leave).resume();
  enter();
  return {
    show: (lines) => {
      if (!isOpen) return;
      // In one write, over what stands there: a screen that is cleared first flickers.
      output.write(`${HOME}${lines.map((line) => `${line}${CLEAR_TO_END_OF_LINE}`).join("\r\n")}${CLEAR_BELOW}`);
    },
    close,
  };
}
