import { Findings } from "./findings.ts";
import { FINAL_REPLY, knownAnswer, mentions, returnedBy } from "./initial-invite.ts";
import { BY_PROXY, whyNot } from "./known-calls.ts";
import { MAX_STEPS } from "./limits.ts";
import { failureInWords, requestInWords } from "./module-handlers.ts";
import { ScriptCalls } from "./script-calls.ts";
import { compared } from "./script-comparisons.ts";
import { inComment, NO_SIDES, ScriptDecisions, type Sides } from "./script-decisions.ts";
import { HELPERS, ScriptValues } from "./script-values.ts";
import { asksWho, isOnlyLogging } from "./security.ts";
import type { Assignment, Block, Call, CfgFile, Statement, Test } from "./tree.ts";
import { callInWords, lineOf } from "./words.ts";

/** What a condition of the script is: known for every initial INVITE, or to be asked. */
type Asked = boolean | string;

/** Where in the script statements stand. */
interface Scope {
  readonly kind: "request" | "failure";
  readonly isLoop: boolean;
  readonly indent: string;
}

/** Most rounds of a loop of the script. */
const MAX_TURNS = 100;
/** How many statements behind a condition tell what it is good for. */
const MAX_AFTER = 20;

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
  // What has no counterpart is known when all is translated, and a variable may be asked before the line that sets it.
  const first = new ModuleWriter(cfg, new Findings(), placeOf, new Set());
  first.write(main);
  return new ModuleWriter(cfg, findings, placeOf, first.lost).write(main);
}

class ModuleWriter {
  readonly #cfg: CfgFile;
  readonly #findings: Findings;
  readonly #placeOf: (line: number) => string;
  readonly #values: ScriptValues;
  readonly #calls: ScriptCalls;
  /** Functions by the block that they come from, in the order in which they were asked for. */
  readonly #names = new Map<Block, string>();
  readonly #decisions: ScriptDecisions;
  /** Variables set by a translated line, and those that something without a counterpart may set. */
  readonly #set = new Set<string>();
  readonly #written = new Set<string>();
  readonly #unknown = new Set<string>();
  #steps = 0;
  #loops = 0;

  constructor(cfg: CfgFile, findings: Findings, placeOf: (line: number) => string, lost: ReadonlySet<string>) {
    this.#cfg = cfg;
    this.#findings = findings;
    this.#placeOf = placeOf;
    this.#decisions = new ScriptDecisions(cfg, findings, placeOf);
    this.#values = new ScriptValues(
      cfg.blocks.some(({ body }) => mentions(body, ({ name }) => /^(?:lb_|load_b)/.test(name), 20)) ? "lb" : "ds",
      lost,
    );
    this.#calls = new ScriptCalls(this.#values, cfg.flavor);
  }

  /** Variables of which nobody knows what is in them, when all is written. */
  get lost(): ReadonlySet<string> {
    return new Set([...this.#unknown, ...[...this.#written].filter((name) => !this.#set.has(name))]);
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
      this.#decisions.inWords,
      requestInWords(entry, this.#placeOf(main.line), this.#values),
      ...(failureRoutes.length > 0
        ? [
            failureInWords(
              failureRoutes.map((block) => [block.name, this.#nameOf(block)]),
              this.#values,
            ),
          ]
        : []),
      ...written,
      ...[...this.#values.helpers].map((helper) => HELPERS[helper]),
    ]
      .filter((part) => part !== "")
      .join("\n\n")}\n`;
  }

  #imports(): string {
    return this.#values.helpers.has("isIn") ? 'import { BlockList } from "node:net";\n' : "";
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
    this.#last(undefined);
    const { lines, ends } = this.#statements(block.body, { kind, isLoop: false, indent: "  " });
    const label = `${block.type}${block.name === "" ? "" : `[${block.name}]`}, line ${this.#placeOf(block.line)}`;
    const body = ends ? lines : [...lines, "  return 1;"];
    // A block that does nothing with the call is there all the same, as others enter it.
    const parameter = body.some((line) => /\bcall\b/.test(line.replace(/\/\/.*$/, ""))) ? "call" : "_call";
    return `/** ${inComment(label)}. @returns 0 where the script ends, else what its return answers */\nfunction ${name}(${parameter}: Call): number {\n${body.join("\n")}\n}`;
  }

  /** @returns the lines, and whether nothing can follow them */
  #statements(statements: readonly Statement[], scope: Scope): { lines: string[]; ends: boolean } {
    const lines: string[] = [];
    for (const [at, statement] of statements.entries()) {
      this.#steps += 1;
      if (this.#steps > MAX_STEPS) {
        this.#findings.add(statement.line, "todo", "the script is too long: the module ends here");
        return { lines, ends: false };
      }
      const { lines: added, ends } = this.#statement(statement, scope, statements.slice(at + 1, at + 1 + MAX_AFTER));
      lines.push(...added);
      if (ends) return { lines, ends };
    }
    return { lines, ends: false };
  }

  #statement(statement: Statement, scope: Scope, after: readonly Statement[]): { lines: string[]; ends: boolean } {
    if (statement.kind === "if") return this.#branch(statement, scope, after);
    if (statement.kind === "loop") return { lines: this.#loop(statement, scope), ends: false };
    if (statement.kind === "assign") return { lines: this.#marked(this.#assignment(statement), statement, scope), ends: false };
    return this.#call(statement, scope);
  }

  #branch(
    { test, body, otherwise }: Statement & { kind: "if" },
    scope: Scope,
    after: readonly Statement[],
  ): { lines: string[]; ends: boolean } {
    // Of what only writes into the log, nothing depends on it.
    const rest = isOnlyLogging(body) && isOnlyLogging(otherwise) ? undefined : after;
    const asked = this.#ask(test, { yes: body, no: otherwise, rest });
    if (typeof asked === "boolean") return this.#statements(asked ? body : otherwise, scope);
    const inner = { ...scope, indent: `${scope.indent}  ` };
    const { codeOf } = this.#values;
    const yes = this.#statements(body, inner);
    this.#values.codeOf = codeOf;
    const no = this.#statements(otherwise, inner);
    this.#values.codeOf = codeOf;
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
    const asked = this.#ask(test, { yes: body, no: [], rest: [] });
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
    if (!/^(?:x?log|exit|drop|break|return)$/.test(name)) this.#last(call);
    const end = (code: string) => ({ lines: this.#marked([code], call, scope), ends: true });
    if (name === "exit") return end("return 0;");
    if (name === "return") return end(`return ${this.#returned(call)};`);
    if (name === "break")
      return scope.isLoop ? end("break;") : { lines: this.#untranslated(line, "break without a loop", scope), ends: false };
    if (name === "drop") {
      const lines = scope.kind === "request" ? ["call.drop();", "return 0;"] : ["return 0;"];
      return { lines: this.#marked(lines, call, scope), ends: true };
    }
    if (name === "route") {
      const block = this.#blockOf(args[0] ?? "");
      if (block === undefined) return { lines: this.#untranslated(line, `route(${args[0]}): there is no such block`, scope), ends: false };
      return { lines: this.#marked([`if (${this.#nameOf(block)}(call) === 0) return 0;`], call, scope), ends: false };
    }
    if (name === "t_on_failure") {
      const known = this.#cfg.blocks.some((block) => block.type === "failure_route" && block.name === args[0]);
      if (!known)
        return { lines: this.#untranslated(line, `t_on_failure(${args[0]}): there is no such failure_route`, scope), ends: false };
      return { lines: this.#marked([`call.vars.set("t_on_failure", ${JSON.stringify(args[0])});`], call, scope), ends: false };
    }
    const lines = this.#calls.statement(call);
    if (lines !== undefined) return { lines: this.#marked(lines, call, scope), ends: false };
    if (asksWho(call)) {
      const code = `${this.#undecided(call, NO_SIDES)};`;
      return { lines: this.#marked([code], call, scope), ends: false };
    }
    this.#writes(call);
    const why = whyNot(name);
    const words = callInWords(call);
    return { lines: this.#untranslated(line, why === undefined ? words : `${words}: ${why}`, scope), ends: false };
  }

  /** Takes note of the call whose code `$rc` is from here on. */
  #last(call: Call | undefined): void {
    if (call === undefined) return;
    this.#values.codeOf = /^(?:lb_|load_balance)/.test(call.name) ? "lb" : call.name.startsWith("ds_") ? "ds" : undefined;
  }

  /** Takes note of the variables that a call without a counterpart may set. */
  #writes({ args }: Call): void {
    for (const arg of args) for (const name of this.#values.keptIn(arg)) this.#written.add(name);
  }

  #returned(call: Call): string {
    const code = returnedBy(call);
    if (code !== undefined) return String(code);
    const known = this.#values.asNumber(call.args.join(""));
    return known ?? `${this.#undecided({ ...call, name: "return of verified" }, NO_SIDES)} ? 1 : -1`;
  }

  #blockOf(name: string): Block | undefined {
    return this.#cfg.blocks.find((other) => other.type === "route" && other.name === name);
  }

  #assignment(assignment: Assignment): string[] | undefined {
    const lines = this.#assigned(assignment);
    const kept = this.#values.keptAs(assignment.target);
    if (kept !== undefined) (lines === undefined ? this.#unknown : this.#set).add(kept);
    return lines;
  }

  #assigned({ target, operator, parts }: Assignment): string[] | undefined {
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

  #ask(test: Test, sides: Sides): Asked {
    if (test.kind === "not") {
      const asked = this.#ask(test.of, { ...sides, yes: sides.no, no: sides.yes });
      return typeof asked === "boolean" ? !asked : `!${grouped(asked)}`;
    }
    if (test.kind === "and" || test.kind === "or") {
      const absorbing = test.kind === "or";
      const left = this.#ask(test.left, sides);
      if (left === absorbing) return left;
      const right = this.#ask(test.right, sides);
      if (typeof left === "boolean") return right;
      if (right === !absorbing) return left;
      if (right === absorbing) return `(${left}) ${absorbing ? "|| true" : "&& false"}`;
      return `${grouped(left)} ${absorbing ? "||" : "&&"} ${grouped(right as string)}`;
    }
    const found = test.kind === "call" ? this.#answered(test) : test.kind === "compare" ? compared(test, this.#values) : undefined;
    return found ?? this.#undecided(test, sides);
  }

  #answered(call: Call): Asked | undefined {
    const { name, args } = call;
    this.#last(call);
    const known = knownAnswer(call);
    if (name === "is_method" && known !== undefined) return known;
    const asked = this.#calls.condition(call);
    if (asked !== undefined) return asked;
    const block = name === "route" ? this.#blockOf(args[0] ?? "") : undefined;
    if (block !== undefined) {
      this.#values.helpers.add("holds");
      return `holds(${this.#nameOf(block)}(call))`;
    }
    if (name === "isflagset") return `call.vars.has(${JSON.stringify(`flag(${args[0] ?? ""})`)})`;
    if (FINAL_REPLY.has(name)) {
      const [code] = this.#calls.statement(call) ?? [];
      return code?.replace(/;$/, "");
    }
    return Object.hasOwn(BY_PROXY, name) ? BY_PROXY[name] : undefined;
  }

  #undecided(test: Test, sides: Sides): string {
    if (test.kind === "call") this.#writes(test);
    // The code of what was not asked is not known either.
    const isCode = test.kind === "compare" && /^\$(?:rc|retcode)$/.test(test.left);
    const { code, words, isOpen } = this.#decisions.add(test, sides, isCode);
    if (!isOpen) return code;
    this.#values.helpers.add("decided");
    return `decided(${code}, ${JSON.stringify(`${code}: ${words}`)})`;
  }
}

/** In brackets, where an operator stands in it. */
function grouped(code: string): string {
  return /\s(?:&&|\|\||[=!]==|[<>]=?|\?\?|\+)\s/.test(code) ? `(${code})` : code;
}
