/** What a ladder needs to know of messages; nothing here knows of elements. */

/** @typedef {{ time: string, direction: "in" | "out", transport: string, local: string, remote: string, message: string }} Message */

/** Sides that have a place of their own, the balancer aside. */
const MAX_SIDES = 5;
const OTHERS = "others";

/**
 * Who stands where: the side that was heard of first on the left, the balancer beside it, everybody else to the right.
 *
 * @param {Message[]} messages
 * @returns {{ columns: string[], columnOf: (message: Message) => number }}
 */
export function columnsOf(messages) {
  const sides = [...new Set(messages.map(({ remote }) => remote))];
  if (sides.length > MAX_SIDES) sides.splice(MAX_SIDES - 1, sides.length, OTHERS);
  const columns = [sides[0] ?? "", "headroom", ...sides.slice(1)];
  return {
    columns,
    columnOf: ({ remote }) => {
      const at = sides.indexOf(remote);
      return at === 0 ? 0 : at === -1 ? columns.length - 1 : at + 1;
    },
  };
}

/** Method or status, and whether there is a session description. @param {Message} message */
export function labelOf({ message }) {
  const [line = ""] = message.split(/\r?\n/, 1);
  const status = /^SIP\/2\.0 (\d{3}) ?(.*)$/.exec(line);
  const cseq = /\ncseq[ \t]*:[ \t]*\d+[ \t]+(\S+)/i.exec(message)?.[1];
  const label = status === null ? (line.split(" ")[0] ?? "") : `${status[1]} ${cseq === undefined || cseq === "INVITE" ? status[2] : cseq}`;
  return /\n(?:content-type|c)[ \t]*:[ \t]*application\/sdp/i.test(message) ? `${label} (SDP)` : label;
}
