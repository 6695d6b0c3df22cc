const SPACE = 0x20;
const LETTER_M = 0x6d;
/** As a bit, it tells a small letter from a capital one. */
const SMALL = 0x20;

/**
 * Whether a URI may have a parameter `method` or `maddr`, found out without reading it in full: some parameter of it begins with that letter, or with white space.
 * Nearly none has.
 */
export function mayHaveMParam(uri: string): boolean {
  for (let at = uri.indexOf(";"); at !== -1; at = uri.indexOf(";", at + 1)) {
    const code = uri.charCodeAt(at + 1);
    if ((code | SMALL) === LETTER_M || code <= SPACE) return true;
  }
  return false;
}

/** Whether a URI may have to be changed before it stands in a Request-URI; see `asRequestUri`. */
export function mayNeedRepair(uri: string): boolean {
  return uri.includes("?") || mayHaveMParam(uri);
}
