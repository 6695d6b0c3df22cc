/**
 * The text without the message that it was cut from: a text that is remembered would keep all of that in memory, which is up to a whole datagram.
 *
 * @param more to be put behind it
 */
export function ownText(text: string, ...more: readonly string[]): string {
  // Joined texts are written into one new piece; a template would keep its parts, and a slice the text that it was cut from.
  return [text.slice(0, 1), text.slice(1), ...more].join("");
}
