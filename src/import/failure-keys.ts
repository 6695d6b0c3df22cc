import { type FailurePlan, planOf } from "./failure-route.ts";
import type { Findings } from "./findings.ts";
import type { Value } from "./new-config.ts";
import { namesOf } from "./status-sets.ts";
import type { CfgFile } from "./tree.ts";

type Keys = { readonly [key: string]: Value };

const NO_FAILOVER: Keys = { failover_on: [], max_failovers: 0, disable_on: [] };

/** What the failure routes of a script are as keys of a rule. */
export class FailureKeys {
  readonly #cfg: CfgFile;
  readonly #findings: Findings;
  readonly #plans = new Map<string, FailurePlan>();

  constructor(cfg: CfgFile, findings: Findings) {
    this.#cfg = cfg;
    this.#findings = findings;
  }

  /** A selection of the dispatcher with the letters of `ds_mark_dst`, where they are not those of the default. */
  withMark(chosen: Keys, failureRoute: string | undefined): Keys {
    const mark = failureRoute === undefined ? undefined : this.#planFor(failureRoute, 0)?.mark;
    if (chosen["dispatch"] === undefined || mark === undefined || mark === "ip" || !/^(?:[ait]p?|d)$/.test(mark)) return chosen;
    return { ...chosen, dispatch: { ...(chosen["dispatch"] as object), mark } };
  }

  /** @param line of the selection whose failures they are */
  keysOf(failureRoute: string | undefined, line: number): Keys {
    const plan = failureRoute === undefined ? undefined : this.#planFor(failureRoute, line);
    if (failureRoute === undefined || plan === undefined) return NO_FAILOVER;
    const chain = this.#chain(failureRoute);
    const failover = namesOf(new Set(chain.plans.flatMap((each) => [...each.failover])));
    const disable = namesOf(new Set(chain.plans.flatMap((each) => [...each.disable])));
    return { failover_on: failover, max_failovers: failover.length === 0 ? 0 : chain.length, disable_on: disable };
  }

  /** The failure routes that handle one failure after the other. One that arms itself goes on until nobody is left to try. */
  #chain(first: string): { plans: FailurePlan[]; length: number } {
    const names: string[] = [];
    const plans: FailurePlan[] = [];
    for (let name: string | undefined = first; name !== undefined; ) {
      if (names.includes(name)) return { plans, length: 100 };
      const plan = this.#planFor(name, 0);
      if (plan === undefined) break;
      names.push(name);
      plans.push(plan);
      name = plan.rearmed.has(name) ? name : plan.rearmed.values().next().value;
    }
    return { plans, length: Math.min(100, plans.length) };
  }

  #planFor(name: string, line: number): FailurePlan | undefined {
    const known = this.#plans.get(name);
    if (known) return known;
    const block = this.#cfg.blocks.find((other) => other.type === "failure_route" && other.name === name);
    if (block === undefined) {
      this.#findings.add(line, "left", `t_on_failure("${name}"): there is no such failure_route`);
      return undefined;
    }
    const plan = planOf(block, this.#cfg, this.#findings);
    this.#plans.set(name, plan);
    this.#findings.add(block.line, "taken", `failure_route[${name}] is failover_on, max_failovers and disable_on of the rules that use it`);
    return plan;
  }
}
