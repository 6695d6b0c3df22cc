/** Text of SIP messages for tests. Plain strings on purpose: nothing of what is under test takes part in making them. */

/** Parts of a request; what is left out is filled in with something ordinary. */
export interface RequestParts {
  readonly method?: string;
  readonly uri?: string;
  /** `address:port` of the sender, for Via and Contact. */
  readonly sentBy?: string;
  readonly branch?: string;
  readonly from?: string;
  readonly to?: string;
  readonly callId?: string;
  readonly cseq?: number;
  readonly maxForwards?: number;
  readonly routes?: readonly string[];
  /** Further headers, written as they stand. */
  readonly headers?: readonly string[];
  readonly body?: string;
}

let serial = 0;
let owner = `${process.pid}x`;

/** A word that no other message of this test process has. */
export function unique(prefix: string): string {
  serial += 1;
  return `${prefix}${owner}${serial}`;
}

/** From now on `unique` gives the words that it gives in every run: for what is said again from a seed, in a test of one process. */
export function restartNames(): void {
  serial = 0;
  owner = "n";
}

/** A request. */
export function request(parts: RequestParts = {}): string {
  const {
    method = "INVITE",
    uri = "sip:service@127.0.0.2",
    sentBy = "127.0.0.3:5060",
    cseq = 1,
    maxForwards = 70,
    routes = [],
    headers = [],
    body = "",
  } = parts;
  return lines(
    [
      `${method} ${uri} SIP/2.0`,
      `Via: SIP/2.0/UDP ${sentBy};branch=${parts.branch ?? unique("z9hG4bK")}`,
      ...routes.map((route) => `Route: ${route}`),
      `Max-Forwards: ${maxForwards}`,
      `From: ${parts.from ?? `<sip:caller@${sentBy}>;tag=${unique("f")}`}`,
      `To: ${parts.to ?? `<${uri}>`}`,
      `Call-ID: ${parts.callId ?? unique("call")}`,
      `CSeq: ${cseq} ${method}`,
      ...(method === "INVITE" && !headers.some((line) => line.startsWith("Contact:")) ? [`Contact: <sip:caller@${sentBy}>`] : []),
      ...headers,
    ],
    body,
  );
}

/** The response that a callee sends to `received`, with its headers as they came. */
export function responseTo(
  received: string,
  status: number,
  parts: { reason?: string; toTag?: string; headers?: readonly string[]; body?: string } = {},
): string {
  const { reason = "Test", toTag, headers = [], body = "" } = parts;
  const to = headerOf(received, "To");
  return lines(
    [
      `SIP/2.0 ${status} ${reason}`,
      ...headersOf(received, "Via").map((value) => `Via: ${value}`),
      ...headersOf(received, "Record-Route").map((value) => `Record-Route: ${value}`),
      `From: ${headerOf(received, "From")}`,
      `To: ${to}${toTag === undefined || to.includes(";tag=") ? "" : `;tag=${toTag}`}`,
      `Call-ID: ${headerOf(received, "Call-ID")}`,
      `CSeq: ${headerOf(received, "CSeq")}`,
      ...headers,
    ],
    body,
  );
}

/** Values of all lines with the header `name`, in order. */
export function headersOf(message: string, name: string): string[] {
  const head = message.split("\r\n\r\n", 1)[0] ?? "";
  const prefix = `${name.toLowerCase()}:`;
  return head
    .split("\r\n")
    .filter((line) => line.toLowerCase().startsWith(prefix))
    .map((line) => line.slice(prefix.length).trim());
}

/** Value of the first line with the header `name`, "" when there is none. */
export function headerOf(message: string, name: string): string {
  return headersOf(message, name)[0] ?? "";
}

/** Status code of a response, 0 for a request. */
export function statusOf(message: string): number {
  return message.startsWith("SIP/2.0 ") ? Number(message.slice(8, 11)) : 0;
}

function lines(head: readonly string[], body: string): string {
  return `${[...head, `Content-Length: ${body.length}`].join("\r\n")}\r\n\r\n${body}`;
}
