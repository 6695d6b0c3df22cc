import { FailureKeys } from "./failure-keys.ts";
import type { Findings } from "./findings.ts";
import {
  conditional,
  FINAL_REPLY,
  knownAnswer,
  mentions,
  mergeMatch,
  RELAY,
  type Rest,
  refusesAtOnce,
  returnedBy,
} from "./initial-invite.ts";
import { BY_PROXY, whyNot } from "./known-calls.ts";
import { MAX_CALLS, MAX_PATHS, MAX_STEPS } from "./limits.ts";
import { askedBy, type Match } from "./match.ts";
import type { NewConfig } from "./new-config.ts";
import { NewRules } from "./new-rules.ts";
import { asksWho, asksWhoIn, asksWhoWithin, isGuard } from "./security.ts";
import { isSelection, type Selection, selectionOf } from "./selection.ts";
import type { Block, Call, CfgFile, Statement, Test } from "./tree.ts";
import { callInWords, lineOf, wholeNumber, wordsOf } from "./words.ts";

/** What is known on one way through the script. */
interface Way {
  readonly match: Match;
  readonly failureRoute?: string;
  readonly dialogFlags?: string;
  readonly selection?: Selection & { readonly line: number };
  readonly counted?: { readonly resources: string; readonly group: number; readonly line: number };
  /** The answer to a call that nothing could be selected for, until it is given. */
  readonly refusal?: { readonly code?: number };
  /** A condition was followed to the side that a caller need not be asked on. */
  readonly unasked?: { readonly words: string; readonly line: number };
  readonly calls: number;
}

/**
 * Follows an initial INVITE through the script, on each way that a rule can tell from the others, and writes a rule for each that ends in `t_relay` after a selection. The
 * order of the rules is that of the script, so a condition that does not hold needs no word.
 */
export function importRoutes(cfg: CfgFile, config: NewConfig, findings: Findings, placeOf: (line: number) => string): void {
  const main = cfg.blocks.find(({ type, name }) => type === "route" && (name === "" || name === "0"));
  if (main === undefined) {
    if (cfg.blocks.length === 0) return;
    findings.add(0, "todo", "there is no main route: write routing.rules, until then every call is refused");
    config.set("routing.rules", [], 0);
    return;
  }
  const rules = new NewRules();
  const failures = new FailureKeys(cfg, findings);
  const asks = asksWhoWithin(cfg);
  let paths = 0;
  let steps = 0;
  follow(main.body, { match: {}, calls: 0 });
  rules.write(config, findings, main.line);

  function follow(start: Rest, from: Way): void {
    let rest = start;
    let way = from;
    let line = 0;
    for (;;) {
      const [statement, ...further] = rest;
      if (statement === undefined) {
        ended(way, line);
        return;
      }
      line = statement?.line ?? line;
      // What is left is copied at each statement.
      steps += 1 + Math.trunc(rest.length / 1000);
      if (steps > MAX_STEPS || paths > MAX_PATHS) {
        findings.add(line, "todo", "the script has too many ways through it: look at the rules that were made");
        return;
      }
      rest = further;
      if (statement === null) continue;
      if (statement.kind === "returned") rest = statement.then;
      else if (statement.kind === "if") {
        decide(statement.test, way, [...statement.body, ...rest], [...statement.otherwise, ...rest]);
        return;
      } else if (statement.kind === "loop") {
        if (mentions([statement], asksWho, 20)) guard(statement.text, way, statement.line);
        findings.add(statement.line, "left", `${statement.text} is not followed`);
        if (statement.text.startsWith("switch") && mentions(statement.body, isSelection, 20)) {
          rules.push(
            { match: way.match, answer: 404, note: `the switch of line ${placeOf(statement.line)} is not taken over` },
            statement.line,
          );
          return;
        }
        if (statement.body.some((inner) => inner.kind !== "loop" && mentions([inner], isSelection, 20)))
          rest = [...statement.body, ...rest];
      } else if (statement.kind === "assign") assigned(statement, way);
      else {
        const next = carryOut(statement, way, rest);
        if (next === undefined) return;
        [way, rest] = next;
      }
    }
  }

  function assigned(statement: Statement & { kind: "assign" }, way: Way): void {
    const { target, operator, value, line } = statement;
    if (asksWhoIn(statement)) guard(`${target} ${operator} …`, way, line);
    if (/^\$(?:ru|rU|rd|du|fu|fU|tu|rp)\b/.test(target))
      findings.add(line, "left", `${target} ${operator} ${value}: a rule changes nothing, a route module may`);
  }

  /** @returns how it goes on; undefined at the end of the way */
  function carryOut(call: Call, way: Way, rest: Rest): [Way, Rest] | undefined {
    const { name, args, line } = call;
    if (name === "exit" || name === "drop") {
      ended(way, line);
      return undefined;
    }
    if (name === "break") return [way, rest];
    if (name === "return") return returned(call, way, rest);
    if (asksWho(call)) {
      guard(callInWords(call), way, line);
      return [way, rest];
    }
    if (name === "route") return enter(args[0] ?? "", way, rest, line);
    if (name === "t_on_failure") return [{ ...way, failureRoute: args[0] ?? "" }, rest];
    if (name === "create_dialog" || name === "dlg_flags") return [{ ...way, dialogFlags: args[0] ?? "" }, rest];
    if (name === "lb_count_call") return [{ ...way, counted: { group: wholeNumber(args[2]) ?? -1, resources: args[3] ?? "", line } }, rest];
    if (isSelection(call)) {
      const selection = selectionOf(call, cfg.flavor, findings);
      return [selection ? { ...way, selection: { ...selection, line } } : way, rest];
    }
    if (FINAL_REPLY.has(name)) {
      const code = wholeNumber(args[0]);
      if (code !== undefined && code < 200) return [way, rest];
      refused(way, code, line);
      return [{ ...way, refusal: {} }, rest];
    }
    if (RELAY.has(name)) {
      relayed(way, line);
      return undefined;
    }
    // A preloaded Route is refused by the proxy.
    if (!Object.hasOwn(BY_PROXY, name) && !(name === "remove_hf" && args[0] === "Route")) {
      const why = whyNot(name);
      findings.add(line, "left", `${callInWords(call)}${why === undefined ? " has no counterpart in a rule" : `: ${why}`}`);
    }
    return [way, rest];
  }

  /** `return` ends a block that was entered by `route(NAME)`, and the way in the main one. */
  function returned(call: Call, way: Way, rest: Rest): [Way, Rest] | undefined {
    const code = returnedBy(call);
    const end = rest.findIndex((each) => each === null || each.kind === "returned");
    const marker = rest[end];
    if (end === -1 || code === 0) {
      ended(way, call.line);
      return undefined;
    }
    if (marker?.kind !== "returned") return [way, rest.slice(end + 1)];
    if (code !== undefined) return [way, code > 0 ? marker.then : marker.otherwise];
    unknown({ kind: "plain", line: call.line, text: callInWords(call) }, way, marker.then, marker.otherwise);
    return undefined;
  }

  /** The end of a way that nothing has decided: a later rule must not take its calls. */
  function ended(way: Way, line: number): void {
    if (Object.keys(way.match).length > 0)
      answer(way, 403, line, `calls with ${JSON.stringify(way.match)} are left without an answer: here they are answered 403`);
  }

  /** A rule that answers, unless calls on this way are not all that match. */
  function answer(way: Way, status: number, line: number, words: string): void {
    if (way.refusal !== undefined || way.counted !== undefined) {
      if (way.counted !== undefined) findings.add(line, "left", `${words}: not for those of destinations alone`);
      return;
    }
    findings.add(line, "changed", words);
    rules.push({ match: way.match, answer: status }, line);
  }

  /** Refuses all calls that come this way, as what lets some of them in is not known here. */
  function guard(words: string, way: Way, line: number): void {
    if (way.refusal !== undefined) return;
    const open =
      "calls are refused until you decide: name who may call in sip.allow or in match.source, then take the rule with answer 403 out";
    findings.add(line, "security", `${words} has no counterpart in a rule; ${open}`);
    const note = `headroom import cannot ask what line ${placeOf(line)} asks, see the report: ${words}`.slice(0, 300);
    rules.push({ match: way.match, answer: 403, note }, line);
  }

  function enter(name: string, way: Way, rest: Rest, line: number): [Way, Rest] | undefined {
    const block = blockOf(name);
    if (block === undefined) {
      findings.add(line, "left", `route(${name}): there is no such block`);
      return [way, rest];
    }
    if (way.calls >= MAX_CALLS) return undefined;
    return [{ ...way, calls: way.calls + 1 }, [...block.body, null, ...rest]];
  }

  function blockOf(name: string): Block | undefined {
    return cfg.blocks.find((other) => other.type === "route" && other.name === name);
  }

  /** Goes on both ways of a condition, or on one of them when it is known which. */
  function decide(test: Test, way: Way, then: Rest, otherwise: Rest): void {
    paths += 1;
    steps += Math.trunc((then.length + otherwise.length) / 100);
    if (test.kind === "not") {
      decide(test.of, way, otherwise, then);
      return;
    }
    // The right side is looked at where the left one leads to it, as a condition of its own.
    if (test.kind === "and") {
      decide(test.left, way, [conditional(test.right, then, otherwise)], otherwise);
      return;
    }
    if (test.kind === "or") {
      decide(test.left, way, then, [conditional(test.right, then, otherwise)]);
      return;
    }
    const known = knownAnswer(test);
    if (known !== undefined) {
      follow(known ? then : otherwise, way);
      return;
    }
    if (test.kind === "call") {
      decideCall(test, way, then, otherwise);
      return;
    }
    const asked = askedBy(test);
    if (asked && way.selection === undefined && way.refusal === undefined) {
      const merged = mergeMatch(way.match, asked.match);
      if (merged) {
        if (asked.hasLetters)
          findings.add(
            lineOf(test),
            "changed",
            `condition "${wordsOf(test)}" is match of a rule, in which capital letters are others than small ones`,
          );
        asked.negated ? bothWays(merged, otherwise, then) : bothWays(merged, then, otherwise);
        return;
      }
    }
    const code = /^\$(?:rc|retcode)$/.test(test.kind === "compare" ? test.left : "");
    if (code && test.kind === "compare" && (way.selection !== undefined || way.refusal !== undefined)) {
      decideCode(test.operator, Number(test.right.replaceAll(" ", "")), way, then, otherwise);
      return;
    }
    unknown(test, way, then, otherwise);

    function bothWays(match: Match, holds: Rest, fails: Rest): void {
      follow(holds, { ...way, match });
      follow(fails, way);
    }
  }

  function decideCall(test: Call, way: Way, then: Rest, otherwise: Rest): void {
    const { name, args, line } = test;
    if (isSelection(test)) {
      const selection = selectionOf(test, cfg.flavor, findings);
      follow(otherwise, { ...way, refusal: {} });
      follow(then, selection ? { ...way, selection: { ...selection, line } } : way);
      return;
    }
    if (name === "lb_is_destination") {
      follow(then, { ...way, counted: { group: wholeNumber(args[2]) ?? -1, resources: "", line } });
      follow(otherwise, way);
      return;
    }
    if (RELAY.has(name)) {
      relayed(way, line);
      return;
    }
    const block = name === "route" ? blockOf(args[0] ?? "") : undefined;
    if (block !== undefined) {
      if (way.calls < MAX_CALLS) follow([...block.body, { kind: "returned", line, then, otherwise }], { ...way, calls: way.calls + 1 });
      return;
    }
    if (name === "lb_count_call" || name === "create_dialog") {
      const next = carryOut(test, way, then);
      if (next) follow(next[1], next[0]);
      return;
    }
    unknown(test, way, then, otherwise);
  }

  /** The code of a selection: above 0 where there is one, below where there is none. */
  function decideCode(operator: string, code: number, way: Way, then: Rest, otherwise: Rest): void {
    if (way.selection !== undefined) {
      const isSuccess = operator === ">" || (operator === "==" && code > 0) || (operator === "!=" && code < 0);
      follow(isSuccess ? otherwise : then, { ...withoutSelection(way), refusal: operator === "==" && code < 0 ? { code } : {} });
      follow(isSuccess ? then : otherwise, way);
      return;
    }
    if (operator === "==" || operator === "!=") {
      follow(operator === "==" ? then : otherwise, { ...way, refusal: { code } });
      follow(operator === "==" ? otherwise : then, way);
      return;
    }
    follow(operator === "<" ? then : otherwise, way);
  }

  function unknown(test: Test, way: Way, then: Rest, otherwise: Rest): void {
    const line = lineOf(test);
    const why = test.kind === "call" ? whyNot(test.name) : undefined;
    // What only refuses a call is left out, what leads to a destination is followed.
    const isThenWanted = !refusesAtOnce(then) && (mentions(then, isSelection, 20) || !mentions(otherwise, isSelection, 20));
    const part = isThenWanted ? "calls go on as where it holds" : "calls go on as where it does not hold";
    if (isGuard(test, then, otherwise)) guard(`condition "${wordsOf(test)}"`, way, line);
    else if (way.refusal === undefined)
      findings.add(line, "left", `condition "${wordsOf(test)}"${why === undefined ? "" : `: ${why}`}; ${part}`);
    const isSkipping = mentions(isThenWanted ? otherwise : then, asks, 20);
    follow(isThenWanted ? then : otherwise, isSkipping ? { ...way, unasked: { words: wordsOf(test), line } } : way);
  }

  function refused(way: Way, code: number | undefined, line: number): void {
    if (way.refusal !== undefined && code !== undefined) {
      const keys = { [-2]: ["no_capacity"], [-3]: ["no_destination"], [-4]: ["bad_resource"] }[way.refusal.code ?? 0] ?? [
        "no_capacity",
        "no_destination",
      ];
      const open = keys.filter((key) => config.get(`routing.reject.${key}`) === undefined);
      for (const key of open) config.set(`routing.reject.${key}`, code, line);
      const isSame = keys.every((key) => config.get(`routing.reject.${key}`) === code);
      if (open.length > 0 || isSame)
        findings.add(line, "taken", `the answer ${code} to calls that find no destination is in routing.reject`);
      else
        findings.add(
          line,
          "left",
          `the answer ${code} to calls that find no destination: routing.reject is one for all rules, and is ${config.get(`routing.reject.${keys[0]}`)}`,
        );
    } else if (code === undefined || code < 300 || code > 699)
      answer(way, 403, line, `an answer that is known only when a call comes: calls with ${JSON.stringify(way.match)} are answered 403`);
    else
      answer(way, code, line, `calls with ${JSON.stringify(way.match)} are answered ${code} by a rule, without the reason of the script`);
  }

  function relayed(way: Way, line: number): void {
    const { selection, counted } = way;
    if (selection !== undefined) {
      addRule(way, selection);
      return;
    }
    if (counted !== undefined) {
      if (config.get("routing.outbound.resources") === undefined) {
        config.set("routing.outbound.resources", counted.resources === "" ? "pstn" : counted.resources, counted.line);
        config.set("routing.outbound.group", counted.group, counted.line);
        config.set("routing.outbound.limit", false, counted.line);
      }
      findings.add(
        counted.line,
        "changed",
        "calls that destinations make are counted by routing.outbound; limit: true would hold their capacity, too",
      );
      return;
    }
    if (way.refusal !== undefined) return;
    const isAll = Object.keys(way.match).length === 0;
    findings.add(
      line,
      "left",
      `${isAll ? "calls" : `calls with ${JSON.stringify(way.match)}`} relayed without a selection: a rule always selects, a route module need not${isAll ? "" : "; they are answered 404"}`,
    );
    if (!isAll) rules.push({ match: way.match, answer: 404, note: `relayed without a selection in line ${placeOf(line)}` }, line);
  }

  function addRule(way: Way, { line, rule: chosen }: NonNullable<Way["selection"]>): void {
    if (way.refusal !== undefined) {
      findings.add(line, "left", "another selection after one that found nothing: a rule has one, a route module may go on");
      return;
    }
    const rule = {
      match: way.match,
      ...failures.withMark(chosen, way.failureRoute),
      ...failures.keysOf(way.failureRoute, line),
      ...(way.dialogFlags && { dialog_flags: way.dialogFlags }),
    };
    if (way.unasked !== undefined && !rules.refuses(way.match))
      guard(`condition "${way.unasked.words}", behind which callers are asked who they are,`, way, way.unasked.line);
    rules.push(rule, line);
    findings.add(line, "taken", "the selection is a rule of routing.rules");
  }
}

function withoutSelection({ selection: _, ...way }: Way): Way {
  return way;
}
