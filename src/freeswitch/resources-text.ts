import type { FeedOptions } from "../balancer/index.ts";
import { isFsUrl, parseFsUrl } from "./fs-url.ts";

const HIDDEN = "***";

/**
 * Lets a `resources` column name FreeSWITCHes in place of capacities.
 *
 * @param initialCapacity capacity until the first heartbeat, in calls
 */
export function freeswitchFeeds(initialCapacity: number): FeedOptions {
  return { initialCapacity, parse: (text) => (isFsUrl(text) ? parseFsUrl(text) : undefined) };
}

/**
 * A `resources` column as it may be shown: `calls=fs://user:***@host:8021`. Of a URL that cannot be read, and of all behind it, nothing is shown: its
 * password may go on there.
 */
export function withoutPasswords(resources: string): string {
  const shown: string[] = [];
  for (const item of resources.split(";")) {
    const [, before = "", url = ""] = /^([^=]*=\s*)(fs[:/].*)$/is.exec(item) ?? [];
    if (url === "") {
      shown.push(item);
      continue;
    }
    try {
      const { user } = parseFsUrl(url);
      shown.push(`${before}fs://${encodeURIComponent(user)}:${HIDDEN}@${url.slice(url.lastIndexOf("@") + 1)}`);
    } catch {
      shown.push(`${before}fs://${HIDDEN}`);
      break;
    }
  }
  return shown.join(";");
}
