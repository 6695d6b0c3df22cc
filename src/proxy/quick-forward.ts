import {
  DEFAULT_MAX_BREADTH,
  endOfRport,
  H,
  hasLineEnd,
  isUriText,
  listValueEnd,
  NO_RPORT,
  type SipRequest,
  skipBlank,
  UNUSUAL_VIA,
} from "../sip/index.ts";
import type { Endpoint } from "../transaction/index.ts";
import type { ForwardPlan } from "./forward.ts";
import { type ListenerTexts, textsFor } from "./listener-texts.ts";
import { mayNeedRepair } from "./uri-look.ts";

const MAX_BREADTH_LINE = `Max-Breadth: ${DEFAULT_MAX_BREADTH}\r\n`;

/**
 * Text of a request as it leaves us, for the changes that nearly each request has: our Via, a mark on the one below, our Routes gone, our Record-Route, Max-Forwards,
 * Max-Breadth. Written in one pass of slices: a `MessageEdit` takes four times as long and as much memory. undefined: something else is to be done, or the request is
 * written in a way that has to be read in full.
 */
export function quickForward(request: SipRequest, source: Endpoint, plan: ForwardPlan): string | undefined {
  if (plan.dropLastRoute || plan.appendRoute !== undefined || plan.maxBreadth !== undefined || request.hasBareLf) return undefined;
  if (plan.pushRoutes.length > 0 || plan.addHeaders.length > 0 || plan.removeHeaders.length > 0) return undefined;
  const { raw, headerCount } = request;
  const { target, branch, did } = plan;
  const uri = plan.requestUri ?? request.uri;
  if (mayNeedRepair(uri) || hasLineEnd(branch)) return undefined;
  const isMoved = uri !== request.uri;
  if (isMoved && !isUriText(uri, 0, uri.length)) return undefined;

  let viaAt = -1;
  let recordRouteAt = -1;
  let behindVias = 0;
  let maxForwardsAt = -1;
  let lengths = 0;
  let hasBreadth = false;
  for (let i = 0; i < headerCount; i++) {
    switch (request.headerIdAt(i)) {
      case H.Via:
        if (viaAt === -1) viaAt = i;
        behindVias = i + 1;
        break;
      case H.RecordRoute:
        if (recordRouteAt === -1) recordRouteAt = i;
        break;
      case H.MaxForwards:
        if (maxForwardsAt !== -1) return undefined;
        maxForwardsAt = i;
        break;
      case H.ContentLength:
        lengths++;
        break;
      case H.MaxBreadth:
        hasBreadth = true;
        break;
    }
  }
  if (viaAt === -1 || (lengths !== 1 && target.transport !== "udp")) return undefined;
  if (recordRouteAt === -1) recordRouteAt = behindVias;

  const texts = textsFor(target.listener, target.address);
  if (texts.transport !== target.transport) return undefined;
  let recordRoute = "";
  if (did !== undefined) {
    if (!uri.startsWith("sip:") || hasLineEnd(did)) return undefined;
    recordRoute = recordRouteLine(texts, source, target, did);
  }
  const via = request.topVia;
  const isMarked = via.hasRport || via.host !== source.address || via.received !== undefined;
  const viaStart = request.valueStartAt(viaAt);
  const viaEnd = request.valueEndAt(viaAt);
  const rportEnd = isMarked ? endOfRport(raw, viaStart, viaEnd) : NO_RPORT;
  if (rportEnd === UNUSUAL_VIA || (rportEnd === NO_RPORT && via.hasRport)) return undefined;

  let done = isMoved ? request.method.length + 1 + request.uri.length : 0;
  let out = isMoved ? `${request.method} ${uri}` : "";
  let left = plan.popRoutes;
  for (let i = 0; i < headerCount; i++) {
    if (i === viaAt) {
      const start = request.lineStartAt(i);
      out += `${raw.slice(done, start)}${texts.viaLine}${branch}\r\n`;
      done = start;
      if (rportEnd !== NO_RPORT) {
        out += `${raw.slice(done, rportEnd)}=${source.port}`;
        done = rportEnd;
      }
      if (isMarked) {
        out += `${raw.slice(done, viaEnd)};received=${source.address}`;
        done = viaEnd;
      }
      continue;
    }
    if (i === recordRouteAt && recordRoute !== "") {
      const start = request.lineStartAt(i);
      out += raw.slice(done, start) + recordRoute;
      done = start;
    }
    if (i === maxForwardsAt) {
      out += `${raw.slice(done, request.valueStartAt(i))}${request.maxForwards! - 1}`;
      done = request.valueEndAt(i);
    } else if (left > 0 && request.headerIdAt(i) === H.Route) {
      const start = request.valueStartAt(i);
      const end = request.valueEndAt(i);
      let at = start;
      while (at < end && left > 0) {
        const stop = listValueEnd(raw, at, end);
        if (skipBlank(raw, at, stop) < stop) left--;
        at = stop + 1;
      }
      at = skipBlank(raw, at, end);
      out += raw.slice(done, at >= end ? request.lineStartAt(i) : start);
      done = at >= end ? request.lineStartAt(i + 1) : at;
    }
  }
  const end = request.lineStartAt(headerCount);
  out += raw.slice(done, end);
  if (recordRouteAt === headerCount) out += recordRoute;
  if (maxForwardsAt === -1) out += `Max-Forwards: ${plan.defaultMaxForwards}\r\n`;
  if (!hasBreadth && !plan.isInDialog) out += MAX_BREADTH_LINE;
  return out + raw.slice(end);
}

/** Our Record-Route for both sides (RFC 5658 §4); see forwardedRequest. */
function recordRouteLine(there: ListenerTexts, source: Endpoint, target: Endpoint, did: string): string {
  const { insteadOf } = target;
  const inside = insteadOf === undefined ? there : textsFor(insteadOf.listener, insteadOf.address);
  const outside = textsFor(source.listener.outgoing ?? source.listener, source.address);
  if (inside === outside || inside.routeUri === outside.routeUri) return `${inside.recordRouteLine}${did}>\r\n`;
  return `${inside.recordRouteLine}${did};r2=on>, ${outside.route}${did};r2=on>\r\n`;
}
