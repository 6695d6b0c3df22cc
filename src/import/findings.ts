import { MAX_FINDINGS } from "./limits.ts";

/**
 * What became of a part of the configuration. `security`: it keeps strangers out and has no counterpart, so that calls are refused until the operator decides; `taken`: it is in the new one; `changed`: so, but it works otherwise; `proxy`: Headroom does it by itself; `left`: it is not
 * taken over, and has no counterpart or was not understood; `todo`: the operator has to do something.
 */
export type Fate = "security" | "taken" | "changed" | "proxy" | "left" | "todo";

/** One sentence of the report. `line` is that of the configuration that was read; 0: of none. */
export interface Finding {
  readonly line: number;
  /** The included file that `line` counts in; missing: the configuration itself. */
  readonly file?: string;
  readonly fate: Fate;
  readonly text: string;
}

/** Findings, each once, at most as many as anybody reads. */
export class Findings {
  readonly #all = new Map<string, Finding>();

  add(line: number, fate: Fate, words: string): void {
    const text = withoutSecrets(words);
    const key = `${line} ${text}`;
    if (this.#all.size < MAX_FINDINGS && !this.#all.has(key)) this.#all.set(key, { line, fate, text });
  }

  /** In the order of their lines. */
  get sorted(): Finding[] {
    return [...this.#all.values()].sort((a, b) => a.line - b.line);
  }
}

/** A text in which no URL shows its password: reports are sent around. */
export function withoutSecrets(text: string): string {
  return text.replace(/([a-z][a-z0-9+.-]{0,30}:\/\/[^\s:/"']{0,100}):[^\s"']{1,200}@/gi, "$1:…@");
}
