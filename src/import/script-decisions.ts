import type { Findings } from "./findings.ts";
import { mentions, RELAY, refusesAtOnce } from "./initial-invite.ts";
import { asksWhoWithin, isGuard } from "./security.ts";
import { isSelection } from "./selection.ts";
import type { Call, CfgFile, Statement, Test } from "./tree.ts";
import { lineOf, wordsOf } from "./words.ts";

/** What happens where a condition holds and where it does not, by which one that has no counterpart is answered. */
export interface Sides {
  readonly yes: readonly Statement[];
  readonly no: readonly Statement[];
  /** What follows both; undefined when nothing depends on the condition. */
  readonly rest: readonly Statement[] | undefined;
}
/** Of a call whose answer decides something that is not known. */
export const NO_SIDES: Sides = { yes: [], no: [], rest: [] };

/** The conditions of a script that have no counterpart: members of `decide` in the module, for the operator to answer. */
export class ScriptDecisions {
  readonly #findings: Findings;
  readonly #placeOf: (line: number) => string;
  readonly #members = new Map<string, { text: string; answer: boolean | undefined }>();

  readonly #asks: (call: Call) => boolean;

  constructor(cfg: CfgFile, findings: Findings, placeOf: (line: number) => string) {
    this.#asks = asksWhoWithin(cfg);
    this.#findings = findings;
    this.#placeOf = placeOf;
  }

  /**
   * As the rules do: what only refuses a call is left out, what leads to a destination is followed, and what keeps strangers out has no answer.
   *
   * @param isSecret that the condition keeps strangers out is known
   * @returns the member and the text of the condition, and whether it has no answer
   */
  add(test: Test, { yes, no, rest }: Sides, isSecret: boolean): { code: string; words: string; isOpen: boolean } {
    const line = lineOf(test);
    const place = this.#placeOf(line);
    const [then, otherwise] = [
      [...yes, ...(rest ?? [])],
      [...no, ...(rest ?? [])],
    ] as const;
    const isSkipping = this.#skips(yes, otherwise) || this.#skips(no, then);
    const isOpen = rest !== undefined && (isSecret || isSkipping || isGuard(test, then, otherwise));
    const answer = isOpen ? undefined : !refusesAtOnce(yes) && (mentions(then, isSelection, 20) || !mentions(otherwise, isSelection, 20));
    const words = wordsOf(test);
    const text = `${words}, line ${place}`;
    const base = `line${place.replace(/\W/g, "_")}`;
    let name = base;
    for (let i = 2; this.#members.has(name) && this.#members.get(name)?.text !== text; i += 1) name = `${base}_${i}`;
    this.#members.set(name, { text, answer });
    const isWhere = `condition "${words}" is decide.${name} in the route module`;
    if (isOpen)
      this.#findings.add(line, "security", `${isWhere}: calls that come to it are refused until you answer it there, or ask it otherwise`);
    else this.#findings.add(line, "todo", `${isWhere}, ${answer} unless you decide otherwise`);
    return { code: `decide.${name}`, words, isOpen };
  }

  /** Whether one side sends calls on, and callers are asked who they are on the other. */
  #skips(side: readonly Statement[], other: readonly Statement[]): boolean {
    return (
      mentions(side, (call) => isSelection(call) || RELAY.has(call.name) || call.name === "route", 20) && mentions(other, this.#asks, 20)
    );
  }

  /** The object of the module; "" when there is nothing to decide. */
  get inWords(): string {
    if (this.#members.size === 0) return "";
    const members = [...this.#members].map(
      ([name, { text, answer }]) =>
        `  /** ${inComment(text)} */\n  ${name}: ${answer === undefined ? "undefined as boolean | undefined" : answer},`,
    );
    return `/** Conditions of the script that have no counterpart: decide each, or write in its place what Headroom can ask. Where one is undefined, calls are refused. */\nconst decide = {\n${members.join("\n")}\n};`;
  }
}

/** Nothing in a script ends a comment. */
export function inComment(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, " ").replaceAll("*/", "* /");
}
