/** Items of one list: there are 600 codes and 6 classes. */
const MAX_ITEMS = 606;

/** Status codes that count as alive besides 2xx. */
export interface ReplyCodes {
  readonly codes: ReadonlySet<number>;
  /** First digits. */
  readonly classes: ReadonlySet<number>;
}

export const NO_REPLY_CODES: ReplyCodes = { codes: new Set(), classes: new Set() };

/**
 * Reads `ds_ping_reply_codes`, such as `code=403;code=488;class=3`.
 *
 * A time-out counts as the code 408 that Kamailio's transaction layer makes of it: with `class=4` or `code=408` a dead host looks alive, as it
 * does there.
 *
 * @returns the codes, or a sentence that says what is wrong
 */
export function parseReplyCodes(text: string): ReplyCodes | string {
  const codes = new Set<number>();
  const classes = new Set<number>();
  const items = text.split(";", MAX_ITEMS + 1);
  if (items.length > MAX_ITEMS) return `Cannot use ds_ping_reply_codes: want at most ${MAX_ITEMS} items`;
  for (const item of items) {
    const [, name = "", digits = ""] = /^\s*(code|class)\s*=\s*(\d{1,3})\s*$/i.exec(item) ?? [];
    const number = Number(digits);
    const isClass = name.toLowerCase() === "class";
    if (item.trim() === "") continue;
    // "class=400" is in Kamailio's own documentation for the class that is 4
    const first = number >= 100 ? Math.trunc(number / 100) : number;
    if (isClass && first >= 1 && first <= 6) classes.add(first);
    else if (name !== "" && !isClass && number >= 100 && number <= 699) codes.add(number);
    else return `Cannot use "${item.trim().slice(0, 40)}" in ds_ping_reply_codes: want "code=403" (100 to 699) or "class=3" (1 to 6)`;
  }
  return { codes, classes };
}

/** The code of a probe that nobody answered: of Kamailio's transaction layer. */
export const TIMEOUT_CODE = 408;

/** Whether an answer to a probe says that the destination is alive: any 2xx, or a code of the list. Source: Kamailio, `ds_options_callback`. */
export function isAlive(statusCode: number, { codes, classes }: ReplyCodes): boolean {
  const first = Math.trunc(statusCode / 100);
  return first === 2 || codes.has(statusCode) || classes.has(first);
}
