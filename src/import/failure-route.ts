import type { Findings } from "./findings.ts";
import { MAX_CALLS, MAX_FAILURE_STEPS } from "./limits.ts";
import { everyFailure, type Failure, failuresCompared, failuresLike } from "./status-sets.ts";
import type { Block, Call, CfgFile, Statement, Test } from "./tree.ts";
import { callInWords, lineOf, wordsOf } from "./words.ts";

/** What a failure route does, as far as a rule can say it. */
export interface FailurePlan {
  readonly failover: Set<Failure>;
  readonly disable: Set<Failure>;
  /** The letters of `ds_mark_dst`. */
  mark: string | undefined;
  /** Whether the next failure is handled by this or another failure route, too. */
  rearmed: Set<string>;
}

const NEXT = new Set(["lb_next", "lb_start_or_next", "load_balance", "ds_next_dst", "ds_next_domain", "use_next_gw", "next_gw"]);
const DISABLE = new Set(["lb_disable_dst", "lb_disable", "ds_mark_dst"]);
/** Calls that change nothing of what a rule says. */
const SILENT = new Set([
  "xlog",
  "log",
  "xdbg",
  "xinfo",
  "xnotice",
  "xwarn",
  "xerr",
  "xalert",
  "t_relay",
  "route",
  "append_branch",
  "acc_log_request",
  "setflag",
  "resetflag",
  "t_on_branch",
  "t_on_reply",
]);
/** Conditions that need no word: a rule goes by the failure alone, and a flag of the script was set by a call that is followed. */
const EITHER = new Set(["lb_is_started", "isflagset", "t_branch_replied", "t_any_replied"]);
const END = new Set(["exit", "drop", "break"]);

/** Both outcomes of a condition: the failures for which it may hold, and those for which it may not. */
type Split = readonly [yes: Set<Failure>, no: Set<Failure>];

/** Finds out for which failures a failure route takes the next destination, and for which it disables the one that failed. */
export function planOf(block: Block, cfg: CfgFile, findings: Findings): FailurePlan {
  const plan: FailurePlan = { failover: new Set(), disable: new Set(), mark: undefined, rearmed: new Set() };
  let steps = 0;
  run(block.body, everyFailure(), 0);
  return plan;

  /** @returns the failures with which the statements are left at their end; none after `exit` */
  function run(statements: readonly Statement[], failures: Set<Failure>, depth: number): Set<Failure> {
    let left = failures;
    for (const statement of statements) {
      steps += 1;
      if (left.size === 0 || steps > MAX_FAILURE_STEPS) return new Set();
      if (statement.kind === "if") {
        const [yes, no] = split(statement.test, left, depth);
        left = union(run(statement.body, yes, depth), run(statement.otherwise, no, depth));
      } else if (statement.kind === "call") {
        if (END.has(statement.name) || statement.name === "return") return new Set();
        act(statement, left, depth);
      } else if (statement.kind === "loop") findings.add(statement.line, "left", `${statement.text} in a failure route`);
      else
        findings.add(
          statement.line,
          "left",
          `${statement.target} ${statement.operator} ${statement.value}: a rule changes nothing between attempts`,
        );
    }
    return left;
  }

  function act(call: Call, failures: Set<Failure>, depth: number): void {
    const { name, args, line } = call;
    if (NEXT.has(name)) for (const failure of failures) plan.failover.add(failure);
    else if (DISABLE.has(name)) {
      for (const failure of failures) plan.disable.add(failure);
      if (name === "ds_mark_dst") plan.mark = (args[0] ?? "").toLowerCase().slice(0, 2) || "i";
    } else if (name === "t_on_failure") plan.rearmed.add(args[0] ?? "");
    else if (name === "route" && depth < MAX_CALLS) {
      const inner = cfg.blocks.find((other) => other.type === "route" && other.name === (args[0] ?? ""));
      if (inner) run(inner.body, failures, depth + 1);
    } else if (/reply$/.test(name))
      findings.add(line, "changed", `${callInWords(call)}: the caller gets the best response of all attempts instead`);
    else if (!SILENT.has(name)) findings.add(line, "left", `${callInWords(call)} in a failure route`);
  }

  function split(test: Test, failures: Set<Failure>, depth: number): Split {
    switch (test.kind) {
      case "not": {
        const [yes, no] = split(test.of, failures, depth);
        return [no, yes];
      }
      case "and": {
        const [yes, no] = split(test.left, failures, depth);
        const [both, second] = split(test.right, yes, depth);
        return [both, union(no, second)];
      }
      case "or": {
        const [yes, no] = split(test.left, failures, depth);
        const [second, neither] = split(test.right, no, depth);
        return [union(yes, second), neither];
      }
      case "call":
        return splitCall(test, failures, depth);
      case "compare": {
        const isStatus = /^\$(?:T_reply_code|T_rpl\(rs\)|rs|\(<reply>rs\)|status)$/.test(test.left) || test.left === "status";
        const matching = !isStatus
          ? undefined
          : test.operator === "=~"
            ? failuresLike(test.right)
            : /^\d{3}$/.test(test.right)
              ? failuresCompared(test.operator, Number(test.right))
              : undefined;
        return matching ? cut(failures, matching) : unknown(test, failures);
      }
      case "plain":
        return unknown(test, failures);
    }
  }

  function splitCall(test: Call, failures: Set<Failure>, depth: number): Split {
    const { name, args } = test;
    if (NEXT.has(name) || DISABLE.has(name) || name === "t_relay") {
      act(test, failures, depth);
      return [failures, name === "t_relay" ? new Set() : failures];
    }
    if (name === "t_check_status") {
      const matching = failuresLike(args[0] ?? "");
      return matching ? cut(failures, matching) : unknown(test, failures);
    }
    if (name === "t_was_cancelled" || name === "t_is_canceled") return [new Set(), failures];
    if (name === "t_branch_timeout" || name === "t_any_timeout") return cut(failures, new Set(["timeout"]));
    if (name === "t_local_replied") return cut(failures, new Set(["timeout", "transport"]));
    if (name === "is_method") return (args[0] ?? "").includes("INVITE") ? [failures, new Set()] : [new Set(), failures];
    if (EITHER.has(name)) return [failures, failures];
    return unknown(test, failures);
  }

  function unknown(test: Test, failures: Set<Failure>): Split {
    findings.add(lineOf(test), "left", `condition "${wordsOf(test)}" of a failure route: what stands in it was taken over without it`);
    return [failures, failures];
  }
}

function cut(failures: Set<Failure>, matching: ReadonlySet<Failure>): Split {
  return [
    new Set([...failures].filter((failure) => matching.has(failure))),
    new Set([...failures].filter((failure) => !matching.has(failure))),
  ];
}

function union(a: Set<Failure>, b: Set<Failure>): Set<Failure> {
  return new Set([...a, ...b]);
}
