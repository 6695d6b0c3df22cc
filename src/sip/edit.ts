import { quoted, SipSyntaxError } from "./errors.ts";
import { H, type HeaderId, headerId } from "./headers.ts";
import { type SipMessage, SipRequest } from "./message.ts";
import { withParams } from "./params.ts";
import { equalsIgnoreCase, hasLineEnd, isToken, listValueEnd, skipBlank, trimEnd } from "./text.ts";
import { isUriText } from "./uri.ts";

/**
 * The edits that make an outgoing message of a received one. `toString` splices them into the bytes that came; what is not edited stays
 * byte for byte, in its order and spelling.
 *
 * Edits take effect in the order of the calls. "Top", "first" and "last" mean the values that came, not those that this edit list has put
 * before or behind them. Lines that are written end in CRLF. Text with a line end or NUL in it is refused with a `SipSyntaxError`, so no
 * caller can be made to write a header it did not mean. Once there is an edit, each line of the head ends in CRLF.
 */
export class MessageEdit {
  readonly #message: SipMessage;
  #uri: string | undefined;
  /** What stands instead of the line of each header: undefined for the line itself, "" for nothing. Made at the first use. */
  #lines: (string | undefined)[] | undefined;
  #viaLines = "";
  #recordRouteLines = "";
  #routeLinesBefore = "";
  #routeLinesBehind = "";
  /** Headers added at the end. */
  #added: [name: string, value: string][] | undefined;
  #body: string | undefined;

  constructor(message: SipMessage) {
    this.#message = message;
  }

  /** Replaces the Request-URI. On a response it throws. */
  setRequestUri(uri: string): this {
    if (!(this.#message instanceof SipRequest))
      throw new SipSyntaxError(`Cannot set Request-URI ${quoted(uri)}: the message is a response`);
    if (!isUriText(uri, 0, uri.length))
      throw new SipSyntaxError(`Cannot set Request-URI ${quoted(uri)}: want a URI without spaces, quotes and angle brackets`);
    this.#uri = uri;
    return this;
  }

  /** Adds a Via before the first one (RFC 3261 §16.6 step 8). The last one added is on top. */
  prependVia(value: string): this {
    this.#viaLines = headerLine("Via", value) + this.#viaLines;
    return this;
  }

  /** Removes the first Via value (RFC 3261 §16.7 step 3), and its line when it was alone there. */
  removeTopVia(): this {
    this.#removeFirstValues(H.Via, 1);
    return this;
  }

  /**
   * Adds parameters to the first Via value, such as `;received=192.0.2.1;rport=5060` (RFC 3261 §18.2.1, RFC 3581 §4). A parameter that is
   * there already, as an empty `;rport` is, is replaced where it stands.
   */
  markTopVia(params: string): this {
    refuseLineEnds("Via", params);
    for (let i = this.#message.indexOf(H.Via); i !== -1; i = this.#message.indexOf(H.Via, i + 1)) {
      const line = this.#lineAt(i);
      const start = this.#valueStartIn(line, i);
      const end = trimEnd(line, start, line.length);
      if (start >= end) continue;
      const valueEnd = trimEnd(line, start, listValueEnd(line, start, end));
      this.#replace(i, line.slice(0, start) + withParams(line.slice(start, valueEnd), params) + line.slice(valueEnd));
      break;
    }
    return this;
  }

  /** Adds a Record-Route before the first one, or behind the Vias when there is none (RFC 3261 §16.6 step 4). */
  prependRecordRoute(value: string): this {
    this.#recordRouteLines = headerLine("Record-Route", value) + this.#recordRouteLines;
    return this;
  }

  /** Removes the first `count` Route values, wherever they stand (RFC 3261 §16.4). */
  removeTopRoutes(count: number): this {
    this.#removeFirstValues(H.Route, count);
    return this;
  }

  /** Removes the last Route value, as for the Request-URI that a strict router has left there (RFC 3261 §16.4). */
  removeLastRoute(): this {
    for (let i = this.#message.headerCount - 1; i >= 0; i--) {
      if (this.#message.headerIdAt(i) !== H.Route) continue;
      const line = this.#lineAt(i);
      const start = this.#valueStartIn(line, i);
      const end = trimEnd(line, start, line.length);
      const ends: number[] = [];
      for (let at = start; at < end; ) {
        const stop = listValueEnd(line, at, end);
        if (skipBlank(line, at, stop) < stop) ends.push(trimEnd(line, at, stop));
        at = stop + 1;
      }
      if (ends.length === 0) continue;
      const keep = ends.at(-2);
      this.#replace(i, keep === undefined ? "" : line.slice(0, keep) + line.slice(end));
      break;
    }
    return this;
  }

  /** Adds a Route before the first one, or behind the Vias when there is none. The last one added is on top. */
  prependRoute(value: string): this {
    this.#routeLinesBefore = headerLine("Route", value) + this.#routeLinesBefore;
    return this;
  }

  /** Adds a Route behind the last one, or behind the Vias when there is none (RFC 3261 §16.6 step 6). */
  appendRoute(value: string): this {
    this.#routeLinesBehind += headerLine("Route", value);
    return this;
  }

  /** Writes the number over the one of the Max-Forwards header, or adds the header (RFC 3261 §16.6 step 3). */
  setMaxForwards(hops: number): this {
    this.#set(H.MaxForwards, "Max-Forwards", String(hops));
    return this;
  }

  /** Writes `value` over the value of the first header with this name and removes the others, or adds the header at the end. */
  setHeader(name: string, value: string): this {
    refuseName(name);
    refuseLineEnds(name, value);
    this.#set(headerId(name), name, value);
    return this;
  }

  /** Adds a header behind the others. */
  addHeader(name: string, value: string): this {
    refuseName(name);
    refuseLineEnds(name, value);
    this.#added ??= [];
    this.#added.push([name, value]);
    return this;
  }

  /** Removes each header with this name, long or compact, those added by this edit list included. */
  removeHeader(name: string): this {
    const id = headerId(name);
    for (let i = this.#indexOf(id, name, 0); i !== -1; i = this.#indexOf(id, name, i + 1)) this.#replace(i, "");
    this.#dropAdded(id, name);
    return this;
  }

  /**
   * Replaces the body and keeps Content-Length true. Without `contentType` the header Content-Type stays as it is, except that an empty body
   * has none.
   *
   * @param body one character a byte (latin1)
   */
  setBody(body: string, contentType?: string): this {
    if (contentType !== undefined) this.setHeader("Content-Type", contentType);
    else if (body === "") this.removeHeader("Content-Type");
    this.#set(H.ContentLength, "Content-Length", String(body.length));
    this.#body = body;
    return this;
  }

  /** The message with its edits, one character a byte. Without edits it is the very bytes that came. */
  toString(): string {
    const message = this.#message;
    const { raw } = message;
    let out = "";
    let done = 0;
    if (this.#uri !== undefined) {
      const { method, uri } = message as SipRequest;
      out = `${method} ${this.#uri}`;
      done = method.length + 1 + uri.length;
    }
    const viaAt = this.#viaLines === "" ? -1 : this.#first(H.Via, 0);
    const recordRouteAt = this.#recordRouteLines === "" ? -1 : this.#first(H.RecordRoute, this.#behindVias());
    const routeBeforeAt = this.#routeLinesBefore === "" ? -1 : this.#first(H.Route, this.#behindVias());
    const routeBehindAt = this.#routeLinesBehind === "" ? -1 : this.#behind(H.Route, this.#behindVias());
    const lines = this.#lines;
    const count = message.headerCount;
    for (let i = 0; i <= count; i++) {
      const line = lines === undefined ? undefined : lines[i];
      if (line === undefined && i !== viaAt && i !== recordRouteAt && i !== routeBeforeAt && i !== routeBehindAt) continue;
      const start = message.lineStartAt(i);
      out += raw.slice(done, start);
      done = start;
      if (i === viaAt) out += this.#viaLines;
      if (i === recordRouteAt) out += this.#recordRouteLines;
      if (i === routeBeforeAt) out += this.#routeLinesBefore;
      if (i === routeBehindAt) out += this.#routeLinesBehind;
      if (line !== undefined) {
        out += line;
        done = message.lineStartAt(i + 1);
      }
    }
    if (this.#added !== undefined) {
      const end = message.lineStartAt(count);
      out += raw.slice(done, end);
      done = end;
      for (const [name, value] of this.#added) out += headerLine(name, value);
    }
    if (this.#body === undefined && !message.hasBareLf) return done === 0 ? raw : out + raw.slice(done);
    if (this.#body === undefined && done === 0) return raw;
    const head = out + raw.slice(done, message.bodyStart);
    return (message.hasBareLf ? head.replaceAll(/\r?\n/g, "\r\n") : head) + (this.#body ?? raw.slice(message.bodyStart));
  }

  #lineAt(i: number): string {
    return this.#lines?.[i] ?? this.#message.raw.slice(this.#message.lineStartAt(i), this.#message.lineStartAt(i + 1));
  }

  /** Offset of the value in what stands for the line of header `i`: behind the colon and white space. */
  #valueStartIn(line: string, i: number): number {
    if (this.#lines?.[i] === undefined) return this.#message.valueStartAt(i) - this.#message.lineStartAt(i);
    return skipBlank(line, line.indexOf(":") + 1, line.length);
  }

  #replace(i: number, line: string): void {
    this.#lines ??= new Array<string | undefined>(this.#message.headerCount).fill(undefined);
    this.#lines[i] = line;
  }

  /** Removes values from the front of a list header until `count` are gone or none is left. */
  #removeFirstValues(id: HeaderId, count: number): void {
    let left = count;
    for (let i = this.#message.indexOf(id); i !== -1 && left > 0; i = this.#message.indexOf(id, i + 1)) {
      const line = this.#lineAt(i);
      if (line === "") continue;
      const start = this.#valueStartIn(line, i);
      const end = trimEnd(line, start, line.length);
      let at = start;
      while (at < end && left > 0) {
        const stop = listValueEnd(line, at, end);
        if (skipBlank(line, at, stop) < stop) left--;
        at = stop + 1;
      }
      at = skipBlank(line, at, end);
      this.#replace(i, at >= end ? "" : line.slice(0, start) + line.slice(at));
    }
  }

  #set(id: HeaderId, name: string, value: string): void {
    const message = this.#message;
    this.#dropAdded(id, name);
    let isSet = false;
    for (let i = this.#indexOf(id, name, 0); i !== -1; i = this.#indexOf(id, name, i + 1)) {
      if (isSet || this.#lines?.[i] === "") {
        this.#replace(i, "");
        continue;
      }
      isSet = true;
      const { raw } = message;
      const before = raw.slice(message.lineStartAt(i), message.valueStartAt(i));
      this.#replace(i, before + value + raw.slice(message.valueEndAt(i), message.lineStartAt(i + 1)));
    }
    if (isSet) return;
    this.#added ??= [];
    this.#added.push([name, value]);
  }

  /** Takes back what this edit list has added under this name. */
  #dropAdded(id: HeaderId, name: string): void {
    if (id === H.Via) this.#viaLines = "";
    else if (id === H.RecordRoute) this.#recordRouteLines = "";
    else if (id === H.Route) {
      this.#routeLinesBefore = "";
      this.#routeLinesBehind = "";
    }
    if (this.#added !== undefined) this.#added = this.#added.filter(([other]) => !sameHeader(other, name));
  }

  #indexOf(id: HeaderId, name: string, from: number): number {
    return id === H.Other ? this.#message.indexOfName(name, from) : this.#message.indexOf(id, from);
  }

  /** Position of the first header with this id, or `otherwise`. */
  #first(id: HeaderId, otherwise: number): number {
    const i = this.#message.indexOf(id);
    return i === -1 ? otherwise : i;
  }

  /** Position behind the last header with this id, or `otherwise`. */
  #behind(id: HeaderId, otherwise: number): number {
    for (let i = this.#message.headerCount - 1; i >= 0; i--) if (this.#message.headerIdAt(i) === id) return i + 1;
    return otherwise;
  }

  #behindVias(): number {
    return this.#behind(H.Via, 0);
  }
}

/** One header line. */
function headerLine(name: string, value: string): string {
  refuseLineEnds(name, value);
  return `${name}: ${value}\r\n`;
}

function sameHeader(a: string, b: string): boolean {
  const id = headerId(a);
  return id === H.Other ? equalsIgnoreCase(a, 0, a.length, b.toLowerCase()) : id === headerId(b);
}

function refuseName(name: string): void {
  if (!isToken(name)) throw new SipSyntaxError(`Cannot write header ${quoted(name)}: want a name of letters, digits and hyphens`);
}

function refuseLineEnds(name: string, value: string): void {
  if (!hasLineEnd(value)) return;
  throw new SipSyntaxError(`Cannot write header ${name} ${quoted(value)}: want a value without line ends`);
}
