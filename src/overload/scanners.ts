import { H, type SipRequest } from "../sip/index.ts";
import { MAX_SEARCHED_CHARS } from "./limits.ts";

/** A mark that stands in a header of its own, such as `Contact: sip:100@1.1.1.1`. */
const HEADER_MARK = /^([A-Za-z][A-Za-z0-9-]*):\s*(\S.*)$/s;

/** Looks for the marks of tools that search the net for SIP servers. */
export class Scanners {
  /** Of marks that stand in the name of the program or of a person. */
  readonly #names: RegExp | undefined;
  readonly #headers: readonly { readonly name: string; readonly text: string }[];

  /**
   * @param marks words that stand in User-Agent or in the display name of From or To, no parts of words: people and programs have names such as
   *   Osmap and SIPClient; or `Header: text` for a text anywhere in another header. Upper and lower case are alike
   */
  constructor(marks: readonly string[]) {
    const parts = marks.map((mark) => HEADER_MARK.exec(mark));
    const names = marks.filter((_, i) => parts[i] === null).map(escaped);
    this.#names = names.length === 0 ? undefined : new RegExp(`(?<![A-Za-z0-9])(?:${names.join("|")})(?![A-Za-z0-9])`, "i");
    this.#headers = parts.flatMap((part) => (part === null ? [] : [{ name: part[1]!, text: part[2]!.toLowerCase() }]));
  }

  /** Whether a request has one of the marks. */
  has(request: SipRequest): boolean {
    const names = this.#names;
    if (names !== undefined) {
      const agent = request.value(H.UserAgent);
      if (agent !== undefined && names.test(agent.slice(0, MAX_SEARCHED_CHARS))) return true;
      if (names.test(displayName(request.value(H.From)))) return true;
      if (names.test(displayName(request.value(H.To)))) return true;
    }
    for (const { name, text } of this.#headers) {
      if (request.headers(name).some((value) => value.slice(0, MAX_SEARCHED_CHARS).toLowerCase().includes(text))) return true;
    }
    return false;
  }
}

/** What stands in front of the URI. A user of that name is nobody to be turned away. */
function displayName(value: string | undefined): string {
  if (value === undefined) return "";
  const end = value.indexOf("<");
  return end <= 0 ? "" : value.slice(0, Math.min(end, MAX_SEARCHED_CHARS));
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
