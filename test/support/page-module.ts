import { join } from "node:path";
import { pathToFileURL } from "node:url";

const PAGE = join(import.meta.dirname, "../../src/dashboard/page");

/** A module of the dashboard's page that needs no browser. Its types are checked with those of browsers, which tests do not have. */
// biome-ignore lint/suspicious/noExplicitAny: see above
export async function pageModule(name: string): Promise<any> {
  return import(pathToFileURL(join(PAGE, name)).href);
}
