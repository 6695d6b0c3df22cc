import { visible } from "./terminal.ts";

/** One message between the balancer and somebody else. */
export interface LadderMessage {
  /** ISO 8601. */
  readonly time: string;
  readonly direction: "in" | "out";
  /** Address and port of the other side. */
  readonly remote: string;
  readonly transport: string;
  readonly message: string;
}

/** Width of the way between two sides, and of the longest label on it. */
const LANE = 26;
const MAX_LABEL = LANE - 6;
/** Sides that have a place of their own, the balancer aside; a call that forked further has its other messages under one. */
const MAX_SIDES = 6;
const OTHERS = "others";
const TIME_WIDTH = 14;

/**
 * The messages of a call as a ladder: the side that was heard of first on the left, the balancer beside it, everybody else to the right.
 *
 * @returns lines for a terminal, control characters made visible
 */
export function ladder(messages: readonly LadderMessage[]): string[] {
  const [first] = messages;
  if (first === undefined) return [];
  const sides: string[] = [];
  for (const { remote } of messages) if (!sides.includes(remote)) sides.push(remote);
  const isMany = sides.length > MAX_SIDES;
  if (isMany) sides.splice(MAX_SIDES - 1, sides.length, OTHERS);
  const columns = [sides[0] ?? "", "headroom", ...sides.slice(1)];
  const own = 1;
  const columnOf = ({ remote }: LadderMessage): number => {
    const at = sides.indexOf(remote);
    return at === 0 ? 0 : at === -1 ? columns.length - 1 : at + 1;
  };
  const startMs = Date.parse(first.time);
  return [
    `${" ".repeat(TIME_WIDTH)}${columns.map((name) => centred(visible(name), LANE)).join("")}`.trimEnd(),
    ...messages.map((message, i) => {
      const time = i === 0 ? visible(message.time.slice(11, 23)) : `+${((Date.parse(message.time) - startMs) / 1000).toFixed(3)}`;
      const other = columnOf(message);
      const [from, to] = message.direction === "in" ? [other, own] : [own, other];
      const note = columns[other] === OTHERS ? `  ${visible(message.remote)}` : "";
      return `${time.padEnd(TIME_WIDTH)}${rung(from, to, columns.length, labelOf(message))}${note}`.trimEnd();
    }),
  ];
}

/** What stands on a rung: method or status, and what is worth knowing at a glance. */
export function labelOf({ message }: Pick<LadderMessage, "message">): string {
  const end = message.search(/[\r\n]/);
  const line = end === -1 ? message : message.slice(0, end);
  const status = /^SIP\/2\.0 (\d{3}) ?(.*)$/.exec(line);
  const cseq = /\ncseq[ \t]*:[ \t]*\d+[ \t]+(\S+)/i.exec(message)?.[1];
  const label = status === null ? (line.split(" ")[0] ?? "") : `${status[1]} ${cseq === undefined || cseq === "INVITE" ? status[2] : cseq}`;
  const hasSession = /\n(?:content-type|c)[ \t]*:[ \t]*application\/sdp/i.test(message);
  return visible(cut(label, MAX_LABEL - (hasSession ? 6 : 0))) + (hasSession ? " (SDP)" : "");
}

function rung(from: number, to: number, count: number, label: string): string {
  const [left, right] = from < to ? [from, to] : [to, from];
  const middle = Math.trunc(LANE / 2);
  const length = (right - left) * LANE - 1;
  const text = cut(` ${label} `, length - 2);
  const before = Math.max(1, Math.trunc((length - text.length) / 2));
  const line = "-".repeat(before) + text + "-".repeat(Math.max(1, length - before - text.length));
  const arrow = from < to ? `${line.slice(0, -1)}>` : `<${line.slice(1)}`;
  let out = " ".repeat(middle);
  for (let column = 0; column < count; column++) {
    out += "|";
    if (column === left) {
      out += arrow;
      column = right - 1;
    } else if (column < count - 1) out += " ".repeat(LANE - 1);
  }
  return out;
}

function centred(text: string, width: number): string {
  const short = cut(text, width - 1);
  const before = Math.trunc((width - short.length) / 2);
  return (" ".repeat(before) + short).padEnd(width);
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}~`;
}
