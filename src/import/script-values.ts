import type { Token } from "./tokens.ts";
import { wholeNumber } from "./words.ts";

/** A piece of TypeScript and what it gives. */
export interface Expression {
  readonly code: string;
  readonly type: "text" | "number";
}

/** Functions at the end of a module that its expressions call, by name. */
export const HELPERS = {
  text: `/** A variable of the script, "" when it is not set. */
function text(call: Call, name: string): string {
  const value = call.vars.get(name);
  return value === undefined ? "" : String(value);
}`,
  same: `/** Texts are compared as there: capital letters count for nothing. */
function same(left: string, right: string): boolean {
  return left.toLowerCase() === right.toLowerCase();
}`,
  matches: `/** \`=~\`: the expression is found in the text, whatever its capital letters. */
function matches(value: string, expression: RegExp): boolean {
  return expression.test(value);
}`,
  withHost: `/** A SIP URI with another host, or host:port. */
function withHost(uri: string, host: string): string {
  return uri.replace(/^(sips?:(?:[^@]*@)?)(?:\\[[^\\]]*\\]|[^;?:]*)(?::\\d+)?/i, (_, before: string) => before + host);
}`,
  decided: `/** A condition that keeps strangers out: as long as nobody has decided it, calls that come to it are refused. */
function decided(answer: boolean | undefined, condition: string): boolean {
  if (answer === undefined) throw new Undecided(\`decide about \${condition}\`);
  return answer;
}

/** A call has come to a condition that nobody has decided. */
class Undecided extends Error {}`,
  holds: `/** What a block answers where it is a condition. */
function holds(code: number): boolean {
  if (code === 0) throw END;
  return code > 0;
}

/** Thrown where the script ends within a block that is a condition. */
const END = new Error("the script ends");`,
  isIn: `/** Whether an address is in a block such as 192.0.2.0/24. */
function isIn(address: string, block: string): boolean {
  const [network = "", bits = ""] = block.split("/");
  const family = (ip: string) => (ip.includes(":") ? "ipv6" : "ipv4");
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family(network));
  return list.check(address, family(address));
}`,
} as const;
export type Helper = keyof typeof HELPERS;

const PARTIES: Readonly<Record<string, string>> = { u: "uri", U: "user", d: "host", n: "displayName", t: "tag" };
/** Variables that are members of a call. */
const MEMBERS: Readonly<Record<string, Expression>> = {
  rm: text("call.method"),
  ci: text("call.callId"),
  rb: text("call.body"),
  ru: text("call.requestUri"),
  rU: text("call.ruriUser"),
  rd: text("call.ruriHost"),
  du: text('(call.destinationUri ?? "")'),
  si: text("call.source.address"),
  sp: number("call.source.port"),
  sP: text("call.source.transport"),
  proto: text("call.source.transport"),
  ua: text('(call.header("User-Agent") ?? "")'),
  rs: number("call.status"),
  rr: text('(call.response?.reason ?? "")'),
  T_reply_code: number("call.status"),
};
/** Words that conditions have without a dollar sign. */
const WORDS: Readonly<Record<string, Expression>> = {
  method: text("call.method"),
  uri: text("call.requestUri"),
  src_ip: text("call.source.address"),
  src_port: number("call.source.port"),
  from_uri: text("call.from.uri"),
  to_uri: text("call.to.uri"),
  status: number("call.status"),
};
/** What a script keeps. */
const KEPT = /^(var|avp|dlg_val|dlg_var|xavp|xavu|xavi|sht|shv|dlg_ctx)\((.{1,200})\)$/s;
/** Longest text that is looked through for variables. */
const MAX_TEXT = 20_000;

function text(code: string): Expression {
  return { code, type: "text" };
}

function number(code: string): Expression {
  return { code, type: "number" };
}

/** What variables and values of a script are in TypeScript. It notes which helpers the module needs. */
export class ScriptValues {
  readonly helpers = new Set<Helper>();
  /** The functions whose code `$rc` tells; undefined where it is that of something else. */
  codeOf: "lb" | "ds" | undefined;
  /** Variables that get a value from what has no counterpart: nobody knows what is in them. */
  readonly #lost: ReadonlySet<string>;

  constructor(codeOf: "lb" | "ds", lost: ReadonlySet<string>) {
    this.codeOf = codeOf;
    this.#lost = lost;
  }

  /** Names of `keptAs` of the variables in a text. */
  keptIn(value: string): string[] {
    return variablesIn(value.slice(0, MAX_TEXT)).flatMap(({ name }) => this.keptAs(name) ?? []);
  }

  /** @param name with its dollar sign, or a word of a condition @returns undefined for what has no counterpart */
  variable(name: string): Expression | undefined {
    if (!name.startsWith("$")) return Object.hasOwn(WORDS, name) ? WORDS[name] : undefined;
    const plain = name.slice(1);
    if (plain.startsWith("(") && plain.endsWith(")")) return this.#changed(plain.slice(1, -1).replace(/^<reply>/, ""));
    return this.#named(plain);
  }

  /** The name under which `call.vars` has a variable of the script; undefined for others. */
  keptAs(name: string): string | undefined {
    const [, kind, inner] = KEPT.exec(name.replace(/^\$\((.*)\)$/s, "$$$1").slice(1)) ?? [];
    return kind === undefined ? undefined : `${kind}(${inner})`;
  }

  #named(name: string): Expression | undefined {
    if (Object.hasOwn(MEMBERS, name)) return MEMBERS[name];
    if (name === "rc" || name === "retcode") return this.codeOf && number(`call.${this.codeOf}.code`);
    const party = /^([ft])([uUdnt])$/.exec(name);
    if (party) return text(`call.${party[1] === "f" ? "from" : "to"}.${PARTIES[party[2] ?? ""]}`);
    const header = /^hdr\(([A-Za-z0-9!%*_+`'~.-]{1,64})\)(?:\[0\])?$/.exec(name)?.[1];
    if (header !== undefined) return text(`(call.header(${JSON.stringify(header)}) ?? "")`);
    const kept = this.keptAs(`$${name}`);
    if (kept === undefined || this.#lost.has(kept)) return undefined;
    this.helpers.add("text");
    return text(`text(call, ${JSON.stringify(kept)})`);
  }

  /** `rU{s.substr,1,0}`: a variable and what is done with it. */
  #changed(inner: string): Expression | undefined {
    const brace = inner.indexOf("{");
    if (brace === -1) return this.#named(inner);
    const base = this.#named(inner.slice(0, brace));
    if (base === undefined || base.type !== "text") return undefined;
    if (inner.startsWith("ru{uri.user}")) return inner === "ru{uri.user}" ? MEMBERS["rU"] : undefined;
    if (/^ru\{uri\.(?:host|domain)\}$/.test(inner)) return MEMBERS["rd"];
    let result: Expression = base;
    for (const [, change = ""] of inner.slice(brace).matchAll(/\{([^{}]*)\}/g)) {
      const next = changedBy(result, change);
      if (next === undefined) return undefined;
      result = next;
    }
    return result;
  }

  /** A quoted text or a variable, as arguments have it. */
  argument(value: string): Expression | undefined {
    if (value.length > MAX_TEXT) return undefined;
    const parts: (string | Expression)[] = [];
    let from = 0;
    for (const { start, end, name } of variablesIn(value)) {
      const known = this.variable(name);
      if (known === undefined) return undefined;
      parts.push(value.slice(from, start), known);
      from = end;
    }
    parts.push(value.slice(from));
    const filled = parts.filter((part) => part !== "");
    const [only] = filled;
    if (filled.length === 1 && typeof only === "object") return only;
    return text(filled.every((part) => typeof part === "string") ? JSON.stringify(filled.join("")) : templateOf(filled));
  }

  asText(value: string): string | undefined {
    const found = this.argument(value);
    return found && (found.type === "text" ? found.code : `String(${found.code})`);
  }

  asNumber(value: string | undefined): string | undefined {
    if (value === undefined) return undefined;
    const known = wholeNumber(value);
    if (known !== undefined) return String(known);
    const found = this.argument(value);
    return found && (found.type === "number" ? found.code : `Number(${found.code})`);
  }

  /** The right side of an assignment: texts, variables and numbers with `+`, and sums. */
  assigned(parts: readonly Token[]): Expression | undefined {
    const [only] = parts;
    if (parts.length === 1 && only !== undefined) return this.#operand(only);
    const operands: Expression[] = [];
    const signs: string[] = [];
    for (const [i, part] of parts.entries()) {
      if (i % 2 === 1) {
        if (part.kind !== "sign" || !["+", "-", "*", "/", "%"].includes(part.text)) return undefined;
        signs.push(part.text);
        continue;
      }
      const operand = this.#operand(part);
      if (operand === undefined) return undefined;
      operands.push(operand);
    }
    if (operands.length !== signs.length + 1) return undefined;
    const isSum =
      signs.some((sign) => sign !== "+") || (parts.some(({ kind }) => kind === "word") && !parts.some(({ kind }) => kind === "text"));
    if (!isSum) return text(templateOf(operands.map((operand) => literalOf(operand) ?? operand)));
    const numbers = operands.map(({ code, type }) => (type === "number" ? code : `Number(${code})`));
    return number(numbers.map((code, i) => (i === 0 ? code : `${signs[i - 1]} ${code}`)).join(" "));
  }

  #operand({ kind, text: words }: Token): Expression | undefined {
    if (kind === "variable") return this.variable(words);
    if (kind === "text") return this.argument(words);
    if (kind !== "word") return undefined;
    return /^\d{1,9}$/.test(words) ? number(String(Number(words))) : text(JSON.stringify(words));
  }
}

/** `s.substr,1,0`, `s.len`, `s.tolower`, `s.toupper`. */
function changedBy({ code, type }: Expression, change: string): Expression | undefined {
  if (type !== "text") return undefined;
  const [, from, length] = /^s\.substr,(\d{1,4}),(\d{1,4})$/.exec(change.replaceAll(" ", "")) ?? [];
  if (from !== undefined) {
    const end = length === "0" ? "" : `, ${Number(from) + Number(length)}`;
    return text(`${code}.slice(${Number(from)}${end})`);
  }
  if (change === "s.len") return number(`${code}.length`);
  if (change === "s.tolower") return text(`${code}.toLowerCase()`);
  return change === "s.toupper" ? text(`${code}.toUpperCase()`) : undefined;
}

/** The text of a literal in quotes. */
function literalOf({ code }: Expression): string | undefined {
  return code.startsWith('"') ? (JSON.parse(code) as string) : undefined;
}

function templateOf(parts: readonly (string | Expression)[]): string {
  const inner = parts.map((part) => (typeof part === "string" ? escaped(part) : `\${${part.code}}`));
  return `\`${inner.join("")}\``;
}

function escaped(part: string): string {
  return JSON.stringify(part).slice(1, -1).replaceAll('\\"', '"').replaceAll("`", "\\`").replaceAll("${", "\\${");
}

/** Where variables stand in a quoted text. `$$` is a dollar sign, and left alone. */
function variablesIn(value: string): { start: number; end: number; name: string }[] {
  const found: { start: number; end: number; name: string }[] = [];
  for (let at = value.indexOf("$"); at !== -1; at = value.indexOf("$", at)) {
    let end = at + 1;
    while (end < value.length && /[A-Za-z0-9_]/.test(value[end] as string)) end += 1;
    if (value[end] === "(") {
      const close = closingAt(value, end);
      if (close !== -1) end = close + 1;
    }
    if (end > at + 1 && !value.startsWith("$$", at)) found.push({ start: at, end, name: value.slice(at, end) });
    at = Math.max(end, at + (value.startsWith("$$", at) ? 2 : 1));
  }
  return found;
}

function closingAt(value: string, open: number): number {
  let depth = 0;
  for (let at = open; at < value.length; at += 1) {
    if (value[at] === "(") depth += 1;
    else if (value[at] === ")") depth -= 1;
    if (depth === 0) return at;
  }
  return -1;
}
