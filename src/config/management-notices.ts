import { isLoopback, parseHttpListen } from "./listen.ts";
import type { ConfigValues } from "./schema.ts";

/** A token that is shorter can be found by trying, given time. */
const SAFE_TOKEN_LENGTH = 16;
/** What documents and examples write where a token of one's own belongs, and what everybody tries first. */
const KNOWN_TOKEN = /^(?:change[-_ ]?me|example|secret|password|token|test|admin|headroom|0123456789|1234567890)|^(.)\1*$/i;

type Say = (path: string, text: string) => void;

/** What makes the management interface easier to get into than it has to be. */
export function noticeManagement({ mi_http: { listen, auth, tls } }: ConfigValues, say: Say): void {
  if (!isLoopback(parseHttpListen(listen).address) && tls.certificate === null)
    say("mi_http.listen", `${listen} is reached by others without encryption: tokens and answers can be read on the way`);
  for (const [i, token] of auth.bearer_tokens.entries()) noticeToken(`mi_http.auth.bearer_tokens[${i}]`, token, say);
  for (const [i, { token }] of auth.tokens.entries()) noticeToken(`mi_http.auth.tokens[${i}].token`, token, say);
}

function noticeToken(path: string, token: string, say: Say): void {
  if (KNOWN_TOKEN.test(token)) say(path, "is a token that others know or try first");
  else if (token.length < SAFE_TOKEN_LENGTH)
    say(path, `has ${token.length} characters: want at least ${SAFE_TOKEN_LENGTH}, as it can be tried from far away`);
}
