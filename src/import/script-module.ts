import type { Findings } from "./findings.ts";
import { FINAL_REPLY, knownAnswer, mentions, refusesAtOnce } from "./initial-invite.ts";
import { BY_PROXY, whyNot } from "./known-calls.ts";
import { MAX_STEPS } from "./limits.ts";
import { posixToJs } from "./match.ts";
import { ScriptCalls } from "./script-calls.ts";
import { type Expression, HELPERS, ScriptValues } from "./script-values.ts";
import { isSelection } from "./selection.ts";
import type { Assignment, Block, Call, CfgFile, Statement, Test } from "./tree.ts";
import { callInWords, lineOf, wordsOf } from "./words.ts";

/** What a condition of the script is: known for every initial INVITE, or to be asked. */
type Asked = boolean | string;

/** Where in the script statements stand. */
interface Scope {
  readonly kind: "request" | "failure";
  readonly isLoop: boolean;
  readonly indent: string;
}

/** What the functions of balancer and dispatcher answer. */
const CODES = { lb: new Set(["1", "-1", "-2", "-3", "-4"]), ds: new Set(["1", "-1"]) };
/** Most rounds of a loop of the script. */
const MAX_TURNS = 100;

/**
 * Translates the scripts of a configuration into a route module, statement by statement, each with the line that it comes from. Conditions that have no counterpart become
 * members of `decide`, for the operator to answer.
 *
 * @param placeOf names a line for a comment
 * @returns the text of a TypeScript file; undefined when there is no main route
 */
export function writeModule(cfg: CfgFile, findings: Findings, placeOf: (line: number) => string): string | undefined {
  const main = cfg.blocks.find(({ type, name }) => type === "route" && (name === "" || name === "0"));
  if (main === undefined) return undefined;
  return new ModuleWriter(cfg, findings, placeOf).write(main);
}

class ModuleWriter {
  readonly #cfg: CfgFile;
  readonly #findings: Findings;
  readonly #placeOf: (line: number) => string;
  readonly #values: ScriptValues;
  readonly #calls: ScriptCalls;
  /** Functions by the block that they come from, in the order in which they were asked for. */
  readonly #names = new Map<Block, string>();
  readonly #decisions = new Map<string, { text: string; answer: boolean }>();
  #steps = 0;
  #loops = 0;

  constructor(cfg: CfgFile, findings: Findings, placeOf: (line: number) => string) {
    this.#cfg = cfg;
    this.#findings = findings;
    this.#placeOf = placeOf;
    this.#values = new ScriptValues(
      cfg.blocks.some(({ body }) => mentions(body, ({ name }) => /^(?:lb_|load_b)/.test(name), 20)) ? "lb" : "ds",
    );
    this.#calls = new ScriptCalls(this.#values, cfg.flavor);
  }

  write(main: Block): string {
    const entry = this.#nameOf(main);
    const failureRoutes = this.#armed();
    for (const block of failureRoutes) this.#nameOf(block);
    const written: string[] = [];
    // Translating a block may ask for others.
    for (const [block, name] of this.#names) written.push(this.#functionOf(block, name));
    return `${[
      `${this.#imports()}import type { Call } from "headroom-sip";`,
      this.#decisionsInWords(),
      `/** The main route, line ${this.#placeOf(main.line)}. What decides nothing is answered 500. */\nexport function request(call: Call): void {\n  ${entry}(call);\n}`,
      ...(failureRoutes.length > 0 ? [this.#failure(failureRoutes)] : []),
      ...written,
      ...[...this.#values.helpers].map((helper) => HELPERS[helper]),
    ]
      .filter((part) => part !== "")
      .join("\n\n")}\n`;
  }

  #imports(): string {
    return this.#values.helpers.has("isIn") ? 'import { BlockList } from "node:net";\n' : "";
  }

  #decisionsInWords(): string {
    if (this.#decisions.size === 0) return "";
    const members = [...this.#decisions].map(([name, { text, answer }]) => `  /** ${inComment(text)} */\n  ${name}: ${answer},`);
    return `/** Conditions of the script that have no counterpart: decide each, or write in its place what Headroom can ask. */\nconst decide = {\n${members.join("\n")}\n};`;
  }

  /** Failure routes that some `t_on_failure` names. */
  #armed(): Block[] {
    const names = new Set<string>();
    const note = (call: Call): boolean => {
      if (call.name === "t_on_failure") names.add(call.args[0] ?? "");
      return false;
    };
    for (const { body } of this.#cfg.blocks) mentions(body, note, 40);
    return this.#cfg.blocks.filter(({ type, name }) => type === "failure_route" && names.has(name));
  }

  #failure(blocks: readonly Block[]): string {
    const cases = blocks.map((block) => `  if (armed === ${JSON.stringify(block.name)}) ${this.#nameOf(block)}(call);`);
    return [
      "/** The failure route that t_on_failure has armed. When it decides nothing, the caller gets the best response so far. */",
      "export function failure(call: Call): void {",
      '  const armed = call.vars.get("t_on_failure");',
      '  call.vars.delete("t_on_failure");',
      ...cases,
      "}",
    ].join("\n");
  }

  #nameOf(block: Block): string {
    const known = this.#names.get(block);
    if (known !== undefined) return known;
    const base = `${block.type === "failure_route" ? "failureRoute" : "route"}${block.name === "" ? "Main" : `_${block.name.replace(/\W/g, "_").slice(0, 60)}`}`;
    const taken = new Set(this.#names.values());
    let name = base;
    for (let i = 2; taken.has(name); i += 1) name = `${base}_${i}`;
    this.#names.set(block, name);
    return name;
  }

  #functionOf(block: Block, name: string): string {
    const kind = block.type === "failure_route" ? "failure" : "request";
    const { lines, ends } = this.#statements(block.body, { kind, isLoop: false, indent: "  " });
    const label = `${block.type}${block.name === "" ? "" : `[${block.name}]`}, line ${this.#placeOf(block.line)}`;
    const body = ends ? lines : [...lines, "  return false;"];
    // A block that does nothing with the call is there all the same, as others enter it.
    const parameter = body.some((line) => /\bcall\b/.test(line.replace(/\/\/.*$/, ""))) ? "call" : "_call";
    return `/** ${inComment(label)}. @returns whether the script ends here */\nfunction ${name}(${parameter}: Call): boolean {\n${body.join("\n")}\n}`;
  }

  /** @returns the lines, and whether nothing can follow them */
  #statements(statements: readonly Statement[], scope: Scope): { lines: string[]; ends: boolean } {
    const lines: string[] = [];
    for (const statement of statements) {
      this.#steps += 1;
      if (this.#steps > MAX_STEPS) {
        this.#findings.add(statement.line, "todo", "the script is too long: the module ends here");
        return { lines, ends: false };
      }
      const { lines: added, ends } = this.#statement(statement, scope);
      lines.push(...added);
      if (ends) return { lines, ends };
    }
    return { lines, ends: false };
  }

  #statement(statement: Statement, scope: Scope): { lines: string[]; ends: boolean } {
    if (statement.kind === "if") return this.#branch(statement, scope);
    if (statement.kind === "loop") return { lines: this.#loop(statement, scope), ends: false };
    if (statement.kind === "assign") return { lines: this.#marked(this.#assignment(statement), statement, scope), ends: false };
    return this.#call(statement, scope);
  }

  #branch({ test, body, otherwise }: Statement & { kind: "if" }, scope: Scope): { lines: string[]; ends: boolean } {
    const asked = this.#ask(test, body, otherwise);
    if (typeof asked === "boolean") return this.#statements(asked ? body : otherwise, scope);
    const inner = { ...scope, indent: `${scope.indent}  ` };
    const yes = this.#statements(body, inner);
    const no = this.#statements(otherwise, inner);
    const head = `${scope.indent}if (${asked}) { // line ${this.#placeOf(lineOf(test))}`;
    if (otherwise.length === 0 || no.lines.length === 0) return { lines: [head, ...yes.lines, `${scope.indent}}`], ends: false };
    const [only] = otherwise;
    const [first = "", ...further] = no.lines;
    // One condition alone is an "else if", two blanks further to the left.
    if (
      otherwise.length === 1 &&
      only?.kind === "if" &&
      first.startsWith(`${inner.indent}if (`) &&
      further.indexOf(`${inner.indent}}`) === further.length - 1
    )
      return {
        lines: [head, ...yes.lines, `${scope.indent}} else ${first.trimStart()}`, ...further.map((line) => line.slice(2))],
        ends: yes.ends && no.ends,
      };
    return { lines: [head, ...yes.lines, `${scope.indent}} else {`, ...no.lines, `${scope.indent}}`], ends: yes.ends && no.ends };
  }

  #loop(statement: Statement & { kind: "loop" }, scope: Scope): string[] {
    const { line, text, test, body } = statement;
    if (test === undefined) return this.#untranslated(line, text, scope);
    const asked = this.#ask(test, body, []);
    if (asked === false) return [];
    this.#loops += 1;
    const turn = `turn${this.#loops}`;
    const inner = this.#statements(body, { ...scope, isLoop: true, indent: `${scope.indent}  ` });
    const condition = asked === true ? "" : ` && ${grouped(asked)}`;
    return [
      `${scope.indent}for (let ${turn} = 0; ${turn} < ${MAX_TURNS}${condition}; ${turn} += 1) { // line ${this.#placeOf(line)}`,
      ...inner.lines,
      `${scope.indent}}`,
    ];
  }

  #call(call: Call, scope: Scope): { lines: string[]; ends: boolean } {
    const { name, args, line } = call;
    const end = (code: string) => ({ lines: this.#marked([code], call, scope), ends: true });
    if (name === "exit") return end("return true;");
    if (name === "return") return end("return false;");
    if (name === "break") return scope.isLoop ? end("break;") : { lines: [], ends: false };
    if (name === "drop") {
      const lines = scope.kind === "request" ? ["call.drop();", "return true;"] : ["return true;"];
      return { lines: this.#marked(lines, call, scope), ends: true };
    }
    if (name === "route") {
      const block = this.#blockOf(args[0] ?? "");
      if (block === undefined) return { lines: this.#untranslated(line, `route(${args[0]}): there is no such block`, scope), ends: false };
      return { lines: this.#marked([`if (${this.#nameOf(block)}(call)) return true;`], call, scope), ends: false };
    }
    if (name === "t_on_failure") {
      const known = this.#cfg.blocks.some((block) => block.type === "failure_route" && block.name === args[0]);
      if (!known)
        return { lines: this.#untranslated(line, `t_on_failure(${args[0]}): there is no such failure_route`, scope), ends: false };
      return { lines: this.#marked([`call.vars.set("t_on_failure", ${JSON.stringify(args[0])});`], call, scope), ends: false };
    }
    const lines = this.#calls.statement(call);
    if (lines !== undefined) return { lines: this.#marked(lines, call, scope), ends: false };
    const why = whyNot(name);
    const words = callInWords(call);
    return { lines: this.#untranslated(line, why === undefined ? words : `${words}: ${why}`, scope), ends: false };
  }

  #blockOf(name: string): Block | undefined {
    return this.#cfg.blocks.find((other) => other.type === "route" && other.name === name);
  }

  #assignment({ target, operator, parts }: Assignment): string[] | undefined {
    const values = this.#values;
    const kept = values.keptAs(target);
    const [only] = parts;
    const isNull = parts.length === 1 && only?.kind === "word" && (only.text === "NULL" || only.text === "null");
    const isNothing = isNull || (parts.length === 1 && only?.text === "$null");
    if (isNothing) {
      if (target === "$du") return ["call.destinationUri = undefined;"];
      return kept === undefined ? undefined : [`call.vars.delete(${JSON.stringify(kept)});`];
    }
    const value = values.assigned(parts);
    if (value === undefined) return undefined;
    const text = value.type === "text" ? value.code : `String(${value.code})`;
    if (kept !== undefined) {
      const name = JSON.stringify(kept);
      if (operator === "=" || operator === ":=") return [`call.vars.set(${name}, ${value.code});`];
      values.helpers.add("text");
      const sum =
        value.type === "number" ? `Number(text(call, ${name})) ${operator[0]} ${value.code}` : `text(call, ${name}) + ${value.code}`;
      return value.type === "number" || operator === "+=" ? [`call.vars.set(${name}, ${sum});`] : undefined;
    }
    if (operator !== "=") return undefined;
    if (target === "$rd") {
      values.helpers.add("withHost");
      return [`call.requestUri = withHost(call.requestUri, ${text});`];
    }
    if (target === "$T_fr_timeout" && value.type === "number") return [`call.answerWithinMs = ${value.code} * 1000;`];
    const member = { $ru: "call.requestUri", $rU: "call.ruriUser", $du: "call.destinationUri" }[target];
    return member === undefined ? undefined : [`${member} = ${text};`];
  }

  /** Lines with the line of the script behind them, or as a comment when there are none. */
  #marked(lines: readonly string[] | undefined, statement: Call | Assignment, { indent, ...scope }: Scope): string[] {
    if (lines === undefined) {
      const words = statement.kind === "assign" ? `${statement.target} ${statement.operator} ${statement.value}` : statement.name;
      return this.#untranslated(statement.line, words, { indent, ...scope });
    }
    return lines.map((code) => `${indent}${code} // line ${this.#placeOf(statement.line)}`);
  }

  #untranslated(line: number, words: string, { indent }: Scope): string[] {
    const short = inComment(words).slice(0, 200);
    this.#findings.add(line, "todo", `${short}: not in the route module`);
    return [`${indent}// line ${this.#placeOf(line)}, not translated: ${short}`];
  }

  /** A condition. @param then what happens where it holds, by which one that has no counterpart is answered */
  #ask(test: Test, then: readonly Statement[], otherwise: readonly Statement[]): Asked {
    if (test.kind === "not") {
      const asked = this.#ask(test.of, otherwise, then);
      return typeof asked === "boolean" ? !asked : `!${grouped(asked)}`;
    }
    if (test.kind === "and" || test.kind === "or") {
      const absorbing = test.kind === "or";
      const left = this.#ask(test.left, then, otherwise);
      if (left === absorbing) return left;
      const right = this.#ask(test.right, then, otherwise);
      if (typeof left === "boolean") return right;
      if (right === !absorbing) return left;
      if (right === absorbing) return `(${left}) ${absorbing ? "|| true" : "&& false"}`;
      return `${grouped(left)} ${absorbing ? "||" : "&&"} ${grouped(right as string)}`;
    }
    const found = test.kind === "call" ? this.#answered(test) : test.kind === "compare" ? this.#compared(test) : undefined;
    return found ?? this.#undecided(test, then, otherwise);
  }

  #answered(call: Call): Asked | undefined {
    const { name, args } = call;
    const known = knownAnswer(call);
    if (name === "is_method" && known !== undefined) return known;
    const asked = this.#calls.condition(call);
    if (asked !== undefined) return asked;
    const block = name === "route" ? this.#blockOf(args[0] ?? "") : undefined;
    if (block !== undefined) return undefined;
    if (name === "isflagset") return `call.vars.has(${JSON.stringify(`flag(${args[0] ?? ""})`)})`;
    if (FINAL_REPLY.has(name)) {
      const [code] = this.#calls.statement(call) ?? [];
      return code?.replace(/;$/, "");
    }
    return Object.hasOwn(BY_PROXY, name) ? BY_PROXY[name] : undefined;
  }

  #compared(test: Test & { kind: "compare" }): Asked | undefined {
    const known = knownAnswer(test);
    const { left, operator, right } = test;
    // What a good call does not show is asked all the same, where it can be.
    if (known !== undefined && !/^\$[rft]U$/.test(left)) return known;
    const values = this.#values;
    const subject = values.variable(left);
    if (subject === undefined) return undefined;
    const isNegated = operator.startsWith("!");
    if (operator.endsWith("~")) return this.#matched(subject, right, isNegated);
    if (["<", ">", "<=", ">="].includes(operator)) {
      const limit = values.asNumber(right);
      return limit && `${subject.type === "number" ? subject.code : `Number(${subject.code})`} ${operator} ${limit}`;
    }
    if (!["==", "!=", "===", "!=="].includes(operator)) return undefined;
    if (right === "NULL" || right === "null" || right === "$null" || right === "") {
      return subject.type === "text" ? `${subject.code} ${isNegated ? "!==" : "==="} ""` : undefined;
    }
    if (subject.type === "number") {
      const wanted = values.asNumber(right.replaceAll(" ", ""));
      // The compiler knows which codes there are.
      const code =
        /^call\.(?:lb|ds)\.code$/.test(subject.code) && !CODES[subject.code.includes("lb") ? "lb" : "ds"].has(wanted ?? "")
          ? `Number(${subject.code})`
          : subject.code;
      return wanted && `${code} ${isNegated ? "!==" : "==="} ${wanted}`;
    }
    if (subject.code === "call.source.address" && /^[0-9a-fA-F:.]{2,45}\/\d{1,3}$/.test(right)) {
      values.helpers.add("isIn");
      return `${isNegated ? "!" : ""}isIn(${subject.code}, ${JSON.stringify(right)})`;
    }
    const wanted = values.asText(right);
    if (wanted === undefined) return undefined;
    values.helpers.add("same");
    return `${isNegated ? "!" : ""}same(${subject.code}, ${wanted})`;
  }

  #matched(subject: Expression, pattern: string, isNegated: boolean): string | undefined {
    if (pattern.includes("$") && /\$[A-Za-z(]/.test(pattern)) return undefined;
    let expression: RegExp;
    try {
      expression = new RegExp(posixToJs(pattern), "i");
    } catch {
      return undefined;
    }
    this.#values.helpers.add("matches");
    const value = subject.type === "text" ? subject.code : `String(${subject.code})`;
    return `${isNegated ? "!" : ""}matches(${value}, ${expression})`;
  }

  /** As the rules do: what only refuses a call is left out, what leads to a destination is followed. */
  #undecided(test: Test, then: readonly Statement[], otherwise: readonly Statement[]): string {
    const line = lineOf(test);
    const place = this.#placeOf(line);
    const answer = !refusesAtOnce(then) && (mentions(then, isSelection, 20) || !mentions(otherwise, isSelection, 20));
    const words = wordsOf(test);
    const base = `line${place.replace(/\W/g, "_")}`;
    let name = base;
    for (let i = 2; this.#decisions.has(name) && this.#decisions.get(name)?.text !== `${words}, line ${place}`; i += 1)
      name = `${base}_${i}`;
    this.#decisions.set(name, { text: `${words}, line ${place}`, answer });
    this.#findings.add(line, "todo", `condition "${words}" is decide.${name} in the route module, ${answer} unless you decide otherwise`);
    return `decide.${name}`;
  }
}

/** In brackets, where an operator stands in it. */
function grouped(code: string): string {
  return /\s(?:&&|\|\||[=!]==|[<>]=?|\?\?|\+)\s/.test(code) ? `(${code})` : code;
}

/** Nothing in a script ends a comment. */
function inComment(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, " ").replaceAll("*/", "* /");
}
