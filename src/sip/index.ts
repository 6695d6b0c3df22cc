export * from "./build.ts";
export * from "./content-length.ts";
export { type CSeq, parseCSeq } from "./cseq.ts";
export * from "./edit.ts";
export * from "./errors.ts";
export * from "./expires.ts";
export { H, type HeaderId, headerId, headerName } from "./headers.ts";
export { bracketHost } from "./host.ts";
export * from "./limits.ts";
export * from "./max-breadth.ts";
export * from "./max-forwards.ts";
export { type MalformedMessage, SipMessage, SipRequest, SipResponse } from "./message.ts";
export { type NameAddr, nameAddrParam, parseNameAddr } from "./name-addr.ts";
export { paramValue, withParams } from "./params.ts";
export { parseMessage } from "./parse.ts";
export { REASON_PHRASES, reasonPhrase } from "./reason-phrases.ts";
export * from "./retry-after.ts";
export * from "./stream-framer.ts";
export { hasLineEnd, isToken, listValueEnd, skipBlank } from "./text.ts";
export * from "./timestamp.ts";
export {
  asRequestUri,
  isUriText,
  parseSipUri,
  type SipUri,
  tryParseSipUri,
  uriParam,
  uriScheme,
  uriUser,
  withoutUriParams,
} from "./uri.ts";
export { BRANCH_COOKIE, parseVia, type Via, viaParam } from "./via.ts";
export * from "./via-mark.ts";
export { withoutTopVia } from "./without-top-via.ts";
