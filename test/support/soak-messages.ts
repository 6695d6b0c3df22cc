/** Messages of a soak: made and taken apart by looking for fixed texts, as Headroom passes names of headers on as they were written. */

const SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40002 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
const SDP_HEADERS = `Content-Type: application/sdp\r\nContent-Length: ${SDP.length}`;

/** What a request says that differs from one to the next. */
export interface SoakRequest {
  readonly method: string;
  readonly uri: string;
  /** `address:port` of its sender. */
  readonly sentBy: string;
  readonly branch: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly cseq: number;
  readonly routes?: readonly string[];
}

/** A request as text; an INVITE has an offer. */
export function soakRequest({ method, uri, sentBy, branch, from, to, callId, cseq, routes = [] }: SoakRequest): string {
  const route = routes.length === 0 ? "" : `Route: ${routes.join(", ")}\r\n`;
  const contact = method === "INVITE" ? `Contact: <sip:soak@${sentBy}>\r\n` : "";
  const end = method === "INVITE" ? `${SDP_HEADERS}\r\n\r\n${SDP}` : "Content-Length: 0\r\n\r\n";
  return (
    `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP ${sentBy};branch=z9hG4bK${branch}\r\n${route}Max-Forwards: 70\r\n` +
    `From: ${from}\r\nTo: ${to}\r\nCall-ID: ${callId}\r\nCSeq: ${cseq} ${method}\r\n${contact}${end}`
  );
}

/** The response to a request. @param toTag given to a To that has none */
export function soakResponse(request: string, status: number, toTag: string, sentBy: string): string {
  const lines: string[] = [];
  for (const line of request.slice(0, request.indexOf("\r\n\r\n")).split("\r\n")) {
    if (line.startsWith("To: ")) lines.push(line.includes(";tag=") ? line : `${line};tag=${toTag}`);
    else if (/^(?:Via|Record-Route|From|Call-ID|CSeq): /.test(line)) lines.push(line);
  }
  const isAnswer = status === 200 && request.startsWith("INVITE ");
  const end = isAnswer ? `${SDP_HEADERS}\r\n\r\n${SDP}` : "Content-Length: 0\r\n\r\n";
  return `SIP/2.0 ${status} Soak\r\n${lines.join("\r\n")}\r\nContact: <sip:soak@${sentBy}>\r\n${end}`;
}

/** Value of the first line with this header, "" without one. */
export function soakHeader(message: string, name: string): string {
  const at = message.indexOf(`\r\n${name}: `);
  return at < 0 ? "" : message.slice(at + name.length + 4, message.indexOf("\r\n", at + 2));
}

/** URI of the first Contact. */
export function soakContact(message: string): string {
  const value = soakHeader(message, "Contact");
  return value.slice(value.indexOf("<") + 1, value.indexOf(">"));
}

/** The Record-Routes, top first. Headroom's has no comma inside. */
export function soakRoutes(message: string): string[] {
  const value = soakHeader(message, "Record-Route");
  return value === "" ? [] : value.split(/,\s*/);
}
