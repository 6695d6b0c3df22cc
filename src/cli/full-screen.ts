import type { ReadStream, WriteStream } from "node:tty";

/** Other screen, no cursor; and back. What was on the terminal before is there again. */
const ENTER = "\u001b[?1049h\u001b[?25l";
const LEAVE = "\u001b[?25h\u001b[?1049l";
const HOME = "\u001b[H";
const CLEAR_TO_END_OF_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

/** Keys by what a terminal sends for them; letters come as they are. */
const KEYS: Readonly<Record<string, string>> = {
  "\u0003": "q",
  "\u0004": "q",
  "\u001b": "q",
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

/** A terminal that belongs to one command until it is given back. */
export interface FullScreen {
  /** Shows lines in place of what stands there, none wider than the terminal. */
  show(lines: readonly string[]): void;
  /** Gives the terminal back as it was. May be called again. */
  close(): void;
}

/**
 * Takes the whole terminal. However the process ends, the terminal is given back: only a SIGKILL leaves it as it is.
 *
 * @param onKey is told of keys: letters, `up`, `down`, `page-up`, `page-down`, `home`, `end`; Ctrl-C and Escape are `q`
 */
export function openFullScreen(input: ReadStream, output: WriteStream, onKey: (key: string) => void): FullScreen {
  let isOpen = true;
  const take = (data: string): void => onKey(KEYS[data] ?? data.toLowerCase());
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    process.off("exit", close);
    input.off("data", take);
    if (input.isTTY) input.setRawMode(false);
    input.pause();
    output.write(LEAVE);
  };
  process.once("exit", close);
  if (input.isTTY) {
    input.setRawMode(true);
    input.setEncoding("utf8").on("data", take).resume();
  }
  output.write(ENTER);
  return {
    show: (lines) => {
      if (!isOpen) return;
      // In one write, over what stands there: a screen that is cleared first flickers.
      output.write(`${HOME}${lines.map((line) => `${line}${CLEAR_TO_END_OF_LINE}`).join("\r\n")}${CLEAR_BELOW}`);
    },
    close,
  };
}
