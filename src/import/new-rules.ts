import type { Findings } from "./findings.ts";
import { isWithin, type Match } from "./match.ts";
import type { NewConfig, Value } from "./new-config.ts";

type Rule = { readonly [key: string]: Value };

/** Rules as they are found, in the order of the script. */
export class NewRules {
  readonly #rules: { rule: Rule; line: number }[] = [];

  /** Adds a rule, once. */
  push(rule: Rule, line: number): void {
    if (!this.#rules.some((other) => JSON.stringify(other.rule) === JSON.stringify(rule))) this.#rules.push({ rule, line });
  }

  /** Whether a rule before refuses all calls that match. */
  refuses(match: Match): boolean {
    return this.#rules.some(({ rule }) => rule["answer"] === 403 && isWithin({ match }, { match: rule["match"] ?? {} }));
  }

  /** Writes them into the configuration. @param line of the main route */
  write(config: NewConfig, findings: Findings, line: number): void {
    const rules = this.#rules;
    // A rule whose calls the next one would route in the same way says nothing.
    for (let i = rules.length - 2; i >= 0; i -= 1) if (isWithin(rules[i]?.rule, rules[i + 1]?.rule)) rules.splice(i, 1);
    config.set(
      "routing.rules",
      rules.map(({ rule }) => rule),
      rules[0]?.line ?? 0,
    );
    if (!rules.some(({ rule }) => rule["answer"] === undefined))
      findings.add(line, "todo", "no way through the script leads to a selection and t_relay: write routing.rules");
    if (!rules.some(({ rule }) => Object.keys(rule["match"] as object).length === 0))
      findings.add(0, "todo", "no rule is for all calls: those that match none are answered 404");
  }
}
