import { isLoopback, parseHttpListen } from "./listen.ts";
import type { ConfigValues } from "./schema.ts";

/** A token that is shorter can be found by trying, given time. */
const SAFE_TOKEN_LENGTH = 16;
/** What documents and examples write where a token of one's own belongs. */
const PLACEHOLDER = /^change[-_ ]?me|^(.)\1*$/i;
/** What everybody tries first. */
const KNOWN_START = /^(?:example|secret|password|token|test|admin|headroom|0123456789|1234567890)/i;
/** With so many characters of its own behind such a word it is a token that nobody knows. */
const OWN_CHARACTERS = 16;

type Say = (path: string, text: string) => void;

/** What makes the management interface easier to get into than it has to be. */
export function noticeManagement({ mi_http: { listen, auth, tls } }: ConfigValues, say: Say): void {
  if (!isLoopback(parseHttpListen(listen).address) && tls.certificate === null)
    say("mi_http.listen", `${listen} is reached by others without encryption: tokens and answers can be read on the way`);
  for (const [i, token] of auth.bearer_tokens.entries()) noticeToken(`mi_http.auth.bearer_tokens[${i}]`, token, say);
  for (const [i, { token }] of auth.tokens.entries()) noticeToken(`mi_http.auth.tokens[${i}].token`, token, say);
}

function noticeToken(path: string, token: string, say: Say): void {
  if (isKnown(token)) say(path, "is a token that others know or try first");
  else if (token.length < SAFE_TOKEN_LENGTH)
    say(path, `has ${token.length} characters: want at least ${SAFE_TOKEN_LENGTH}, as it can be tried from far away`);
}

function isKnown(token: string): boolean {
  const start = KNOWN_START.exec(token);
  return PLACEHOLDER.test(token) || (start !== null && token.length - start[0].length < OWN_CHARACTERS);
}
