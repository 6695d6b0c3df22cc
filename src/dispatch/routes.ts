import { algorithmOf } from "./algorithms.ts";
import { quote } from "./attributes.ts";
import { MAX_INT } from "./records.ts";

/** Sets of one chain. */
export const MAX_ROUTES = 32;
const MAX_LENGTH = 1024;

/** A set and how to select from it. */
export interface Route {
  readonly set: number;
  readonly algorithm: number;
}

/**
 * Reads the rules of `ds_select_routes`, such as `1=8;2=4`: sets with an algorithm each, by number or name, in the order in which they are tried.
 *
 * @returns the routes, at least one, or a sentence that says what is wrong
 */
export function parseRoutes(rules: string): readonly Route[] | string {
  if (rules.length > MAX_LENGTH) return `Cannot read rules of ${rules.length} characters: want at most ${MAX_LENGTH}`;
  const routes: Route[] = [];
  for (const item of rules.split(";")) {
    if (item.trim() === "") continue;
    const [, digits = "", name = ""] = /^\s*(\d{1,10})\s*=\s*([\w-]+)\s*$/.exec(item) ?? [];
    const algorithm = algorithmOf(name);
    const set = Number(digits);
    if (digits === "" || algorithm === undefined || set > MAX_INT) {
      return `Cannot read the rule ${quote(item.trim())}: want a set and an algorithm, such as "1=8"`;
    }
    if (routes.length === MAX_ROUTES) return `Cannot read rules for more than ${MAX_ROUTES} sets`;
    routes.push({ set, algorithm });
  }
  return routes.length === 0 ? 'Cannot read empty rules: want sets with an algorithm each, such as "1=8;2=4"' : routes;
}
