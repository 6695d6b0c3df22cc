import type { Value } from "./new-config.ts";
import type { Test } from "./tree.ts";

/** What a rule asks of a request, as keys of `match`. */
export type Match = Readonly<Record<string, Value>>;

/** A condition that a rule can ask: what is added to its `match`. `negated`: it is asked that this does not hold. */
export interface Asked {
  readonly match: Match;
  readonly negated: boolean;
  /** There, capital letters count for nothing; here, they do. */
  readonly hasLetters: boolean;
}

const SOURCE = /^(?:\$si|src_ip|\$siz)$/;
const USER = /^(?:\$rU|\$\(ru\{uri\.user\}\))$/;
const HOST = /^(?:\$rd|\$\(ru\{uri\.(?:host|domain)\}\))$/;
const HEADER = /^\$(?:\()?hdr\(([A-Za-z0-9!%*_+`'~.-]{1,64})\)\)?$/;
const AGENT = /^\$(?:ua|\(ua\))$/;
const URI = /^(?:\$ru|uri)$/;
const BLOCK = /^[0-9a-fA-F:.]{2,45}(?:\/\d{1,3})?$/;

/** Reads a comparison as something that a rule can ask; undefined for others. */
export function askedBy(test: Test): Asked | undefined {
  if (test.kind !== "compare") return undefined;
  const { left, operator, right } = test;
  if (!["==", "!=", "=~", "!~"].includes(operator) || right.startsWith("$") || right === "NULL" || right === "null" || right === "")
    return undefined;
  const negated = operator.startsWith("!");
  const isPattern = operator.endsWith("~");
  const match = matchOf(left, right, isPattern);
  const hasLetters = match !== undefined && !("source" in match) && !("ruri_host" in match) && /[A-Za-z]/.test(lettersOf(right));
  return match && { match, negated, hasLetters };
}

function matchOf(left: string, right: string, isPattern: boolean): Match | undefined {
  const expression = isPattern ? right : `^${escapeExpression(right)}$`;
  if (USER.test(left)) return { ruri_user: posixToJs(expression) };
  if (SOURCE.test(left) && !isPattern && BLOCK.test(right)) return { source: right };
  if (HOST.test(left) && !isPattern) return { ruri_host: right };
  if (URI.test(left) && isPattern) {
    // uri =~ "^sip:9[0-9]*@": what stands between the scheme and the host is a pattern of the user.
    const user = /^\^sips?:([^@]*)@?$/.exec(right)?.[1];
    return user === undefined ? undefined : { ruri_user: posixToJs(`^${user}${right.endsWith("@") ? "$" : ""}`) };
  }
  const header = AGENT.test(left) ? "User-Agent" : HEADER.exec(left)?.[1];
  return header === undefined ? undefined : { header: { [header]: posixToJs(expression) } };
}

/** An expression without what stands for characters of a kind, and without the scheme of a URI. */
function lettersOf(expression: string): string {
  return expression.replace(/\\[A-Za-z]|\[:[a-z]+:\]|^\^sips?:/g, "");
}

function escapeExpression(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Classes of POSIX expressions that JavaScript has other names for. */
export function posixToJs(expression: string): string {
  return expression
    .replaceAll("[[:digit:]]", "\\d")
    .replaceAll("[:digit:]", "0-9")
    .replaceAll("[:alpha:]", "A-Za-z")
    .replaceAll("[:alnum:]", "A-Za-z0-9")
    .replaceAll("[:space:]", "\\s");
}

/** Whether all that a rule matches is matched by another one, which does the same with it. */
export function isWithin(rule: { readonly [key: string]: Value } = {}, wider: { readonly [key: string]: Value } = {}): boolean {
  const { match, ...action } = rule;
  const { match: widerMatch, ...widerAction } = wider;
  const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  const asked = Object.entries((match ?? {}) as Match);
  return (
    isSame(action, widerAction) &&
    Object.entries((widerMatch ?? {}) as Match).every(([key, value]) => asked.some((each) => isSame(each, [key, value])))
  );
}
