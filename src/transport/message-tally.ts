import type { Endpoint } from "../transaction/index.ts";

/** Methods that are counted apart; any other is {@link OTHER}. */
const METHODS = [
  ..."INVITE ACK BYE CANCEL OPTIONS REGISTER PRACK UPDATE INFO".split(" "),
  ..."SUBSCRIBE NOTIFY PUBLISH MESSAGE REFER".split(" "),
];
/** By code of a first letter: the methods that begin with it. Looking at all of them would cost more than the rest. */
const BY_FIRST_LETTER: readonly (readonly number[] | undefined)[] = byFirstLetter();
/** What is no SIP response, or has a method that nobody knows. */
const OTHER = "other";
const TRANSPORTS: readonly Endpoint["transport"][] = ["udp", "tcp", "tls", "ws", "wss"];

const FIRST_CODE = 100;
const LAST_CODE = 699;
/** Of one transport: the methods, what is none of them, the codes. */
const KINDS = METHODS.length + 1 + LAST_CODE - FIRST_CODE + 1;
const CODES_FROM = METHODS.length + 1;
/** `SIP/2.0 ` stands before a code. */
const CODE_AT = 8;
const SLASH = 0x2f;
const ZERO = 0x30;
const BLANK = 0x20;

/** Messages of one kind over one transport. */
export interface MessageCount {
  readonly transport: Endpoint["transport"];
  /** Of a request: in capitals, or `other`. */
  readonly method?: string;
  /** Of a response: 100 to 699. */
  readonly code?: number;
  readonly count: number;
}

/** Counts messages by transport, and by method or code, from how they begin. It reads a few characters, and allocates nothing. */
export class MessageTally {
  readonly #counts = TRANSPORTS.map(() => new Float64Array(KINDS));

  count(text: string, transport: Endpoint["transport"]): void {
    this.#counts[TRANSPORTS.indexOf(transport)]![kindOf(text)]!++;
  }

  /** Kinds that there were. */
  read(): MessageCount[] {
    const read: MessageCount[] = [];
    for (const [index, transport] of TRANSPORTS.entries()) {
      this.#counts[index]!.forEach((count, kind) => {
        if (count === 0) return;
        const what = kind < CODES_FROM ? { method: METHODS[kind] ?? OTHER } : { code: kind - CODES_FROM + FIRST_CODE };
        read.push({ transport, ...what, count });
      });
    }
    return read;
  }
}

function kindOf(text: string): number {
  if (text.charCodeAt(3) === SLASH) {
    const code = digit(text, CODE_AT) * 100 + digit(text, CODE_AT + 1) * 10 + digit(text, CODE_AT + 2);
    return code >= FIRST_CODE && code <= LAST_CODE ? CODES_FROM + code - FIRST_CODE : METHODS.length; // NaN is neither
  }
  const candidates = BY_FIRST_LETTER[text.charCodeAt(0)];
  if (candidates === undefined) return METHODS.length;
  for (let i = 0; i < candidates.length; i++) {
    const method = METHODS[candidates[i]!]!;
    if (text.charCodeAt(method.length) === BLANK && text.startsWith(method)) return candidates[i]!;
  }
  return METHODS.length;
}

function byFirstLetter(): number[][] {
  const byLetter: number[][] = [];
  for (const [index, method] of METHODS.entries()) {
    byLetter[method.charCodeAt(0)] ??= [];
    byLetter[method.charCodeAt(0)]!.push(index);
  }
  return byLetter;
}

function digit(text: string, at: number): number {
  const value = text.charCodeAt(at) - ZERO;
  return value >= 0 && value <= 9 ? value : Number.NaN;
}
