/**
 * The text without the message that it was cut from: a text that is remembered would keep all of that in memory, which is up to a whole datagram.
 */
export function ownText(text: string): string {
  return ` ${text}`.slice(1);
}
