import sip, { type Request, type Response, type Stack } from "sip";

/** Everything in the demo is on this machine. */
export const LOOPBACK = "127.0.0.1";

/**
 * Starts a SIP user agent of the npm package `sip`: a stack that is not the balancer's own.
 *
 * All share one address, so each calls itself by a name: the package takes a Route with its own host for its own, whatever the port.
 */
export function startUserAgent(port: number, onRequest: (request: Request) => void): Stack {
  const logger = { send: lengthenBranch, recv: shortenBranch };
  return sip.create({ address: LOOPBACK, port, publicAddress: "localhost", udp: true, tcp: false, logger }, onRequest);
}

/**
 * Makes the branch of a request unique. The package draws it from a million; some of a thousand calls would draw the same one,
 * and whoever gets the second takes it for a copy of the first (RFC 3261 §17.2.3).
 */
function lengthenBranch(message: Request | Response): void {
  const params = message.headers.via?.[0]?.params;
  if ("method" in message && params?.branch?.includes(".") === false) params.branch += `.${message.headers["call-id"]}`;
}

/** Gives the package back the branch that it knows. */
function shortenBranch(message: Request | Response): void {
  const params = message.headers.via?.[0]?.params;
  if (!("method" in message) && params?.branch !== undefined) params.branch = params.branch.split(".", 1)[0] as string;
}
