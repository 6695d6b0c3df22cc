import type { ProxyCall } from "../proxy/ports.ts";
import { nameAddrParam } from "../sip/index.ts";
import { authUser, uriKey, writtenHost } from "./dispatch-keys.ts";
import { encodeText } from "./text.ts";

/** Text that a call has at this place; one character a byte. `undefined`: it has none. */
type Part = (call: ProxyCall) => string | undefined;

/** Most parts of one expression. */
const MAX_PARTS = 32;
/** What Kamailio writes for something that a request does not have. */
const NOTHING = "<null>";
const VARIABLE = /\$(?:\$|(?:\((hdr|var|avp)\(([^()]+)\)\)|(hdr|var|avp)\(([^()]+)\)|\(([a-z]+)\)|([a-z]+)))/gi;

const VARIABLES: Readonly<Record<string, Part>> = {
  ci: ({ callId }) => callId,
  rm: ({ request }) => request.method,
  ru: ({ requestUri }) => requestUri,
  rU: ({ requestUri }) => userOf(requestUri),
  rd: ({ requestUri }) => hostOf(requestUri),
  fu: ({ request }) => request.from.uri,
  fU: ({ request }) => userOf(request.from.uri),
  fd: ({ request }) => hostOf(request.from.uri),
  fn: ({ request }) => request.from.displayName,
  ft: ({ request }) => nameAddrParam(request.from, "tag"),
  tu: ({ request }) => request.to.uri,
  tU: ({ request }) => userOf(request.to.uri),
  td: ({ request }) => hostOf(request.to.uri),
  si: ({ source }) => source.address,
  sp: ({ source }) => String(source.port),
  au: ({ request }) => authUser(request),
  ua: ({ request }) => request.header("User-Agent"),
};

/**
 * Makes a function of an expression in Kamailio's pseudo-variables, such as `$fU@$si` or `$hdr(X-Tenant)`: the text that it has for a call, one
 * character a byte. What a request does not have is "<null>" as there. `$var(NAME)` and `$avp(NAME)` are what a script keeps under that name.
 *
 * @returns what is wanted, as the end of a sentence, when the expression cannot be used
 */
export function compileExpression(text: string): ((call: ProxyCall) => string) | string {
  const parts: Part[] = [];
  let at = 0;
  const literal = (end: number): void => {
    const piece = encodeText(text.slice(at, end));
    if (piece.includes("$")) parts.length = MAX_PARTS + 1;
    else if (piece !== "") parts.push(() => piece);
  };
  for (const found of text.matchAll(VARIABLE)) {
    literal(found.index);
    at = found.index + found[0].length;
    const part = found[0] === "$$" ? () => "$" : partOf(found);
    if (part === undefined) return `pseudo-variables that are known here, not ${JSON.stringify(found[0].slice(0, 40))}`;
    parts.push(part);
  }
  literal(text.length);
  if (parts.length > MAX_PARTS) return `text with at most ${MAX_PARTS} pseudo-variables, such as "$fU@$si"; $$ stands for the character`;
  return (call) => parts.map((part) => part(call) || NOTHING).join("");
}

function partOf([, wrapped, wrappedName, kind = wrapped, name = wrappedName, bracketed, plain]: RegExpExecArray): Part | undefined {
  if (kind === undefined || name === undefined) {
    const variable = bracketed ?? plain ?? "";
    return Object.hasOwn(VARIABLES, variable) ? VARIABLES[variable] : undefined;
  }
  if (kind.toLowerCase() === "hdr") return ({ request }) => request.header(name);
  return ({ variables }) => {
    const value = variables.get(name);
    return value === undefined || value === null ? undefined : encodeText(String(value));
  };
}

function userOf(uri: string): string | undefined {
  return uriKey(uri)?.user;
}

/** As it stands: upper and lower case count, as in Kamailio. */
function hostOf(uri: string): string | undefined {
  const key = uriKey(uri);
  return key === undefined || key.host === "" ? undefined : writtenHost(uri).host;
}
