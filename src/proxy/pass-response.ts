import { H, MessageEdit, type SipResponse, withoutTopVia } from "../sip/index.ts";
import { type ServerTransaction, stampedVia } from "../transaction/index.ts";
import type { ProxyCore } from "./core.ts";
import { addLength } from "./forward.ts";

/** Challenges of other branches that go with a 401 or 407. */
const MAX_CHALLENGES = 16;

/**
 * Sends a response to where its request came from, without our Via (RFC 3261 §16.7 steps 3 and 9).
 *
 * @param challenged other answers that ask for credentials, when this one does
 */
export function passResponse(
  core: ProxyCore,
  transaction: ServerTransaction,
  response: SipResponse,
  challenged: readonly SipResponse[] | undefined,
): void {
  const { status } = response;
  const isPlain =
    transaction.source.transport === "udp" && !isChallenge(status) && response.indexOf(H.Via, response.indexOf(H.Via) + 1) !== -1;
  if (!isPlain && !transaction.hasRequest && !hasNextVia(response)) {
    core.counters.drop_replies++; // nobody knows any more where it is to go
    return;
  }
  core.counters.fwd_replies++;
  transaction.respond(status, (isPlain ? withoutTopVia(response) : undefined) ?? edited(response, transaction, challenged));
}

function edited(response: SipResponse, transaction: ServerTransaction, challenged: readonly SipResponse[] | undefined): string {
  const edit = new MessageEdit(response).removeTopVia();
  if (challenged !== undefined && isChallenge(response.status)) addChallenges(edit, response, challenged);
  if (transaction.source.transport !== "udp") addLength(edit, response);
  if (!hasNextVia(response)) restoreVias(edit, transaction);
  return edit.toString();
}

/** Whether a response asks for credentials. */
export function isChallenge(status: number): boolean {
  return status === 401 || status === 407;
}

/** Who answers one challenge is asked the others next: they all go at once (RFC 3261 §16.7 step 7). */
function addChallenges(edit: MessageEdit, best: SipResponse, challenged: readonly SipResponse[]): void {
  let left = MAX_CHALLENGES;
  for (const response of challenged) {
    if (response === best) continue;
    for (const name of ["WWW-Authenticate", "Proxy-Authenticate"]) {
      for (const value of response.headers(name)) if (left-- > 0 && !value.includes("\0")) edit.addHeader(name, value);
    }
  }
}

/** Some peers send back only the Via that they saw on top. The caller must have its answer all the same: the others are known. */
function restoreVias(edit: MessageEdit, { request, source }: ServerTransaction): void {
  const values = request.list(H.Via);
  values[0] = stampedVia(request, source) ?? values[0] ?? "";
  for (const value of values.reverse()) if (!value.includes("\0")) edit.prependVia(value);
}

/** Whether anyone is left to forward the response to, once our Via is gone. */
export function hasNextVia(response: SipResponse): boolean {
  const first = response.indexOf(H.Via);
  return response.indexOf(H.Via, first + 1) !== -1 || response.headerValueAt(first).includes(",");
}
