import { statSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { asRouteModule, type RouteModule, RoutingError } from "./routing/index.ts";

/** What Node.js runs without a build step; type stripping takes the .ts family. */
const EXTENSIONS = [".ts", ".mts", ".cts", ".js", ".mjs", ".cjs"];

/**
 * Loads the route module that `routing.script` names.
 *
 * A file that has changed since it was loaded is loaded anew; modules that it imports are not.
 *
 * @param path of the file; a relative one is taken from the working directory
 * @throws {RoutingError} in one sentence: no such file, no module, a fault while it ran, or what it should export
 */
export async function loadScript(path: string): Promise<RouteModule> {
  const file = resolve(path);
  if (!EXTENSIONS.some((extension) => file.endsWith(extension))) {
    throw new RoutingError(`Cannot load route module "${path}": want a file that ends in ${EXTENSIONS.join(", ")}`);
  }
  const url = pathToFileURL(file);
  url.searchParams.set("version", versionOf(path, file));
  let exports: unknown;
  try {
    exports = await import(url.href);
  } catch (cause) {
    throw new RoutingError(`Cannot load route module "${path}": ${describe(cause)}`, { cause });
  }
  return asRouteModule(exports, `route module "${path}"`);
}

/** What tells two states of a file apart; Node.js keeps a module for each. */
function versionOf(path: string, file: string): string {
  try {
    const { mtimeMs, size, isFile } = describeFile(file);
    if (isFile) return `${mtimeMs}-${size}`;
  } catch (cause) {
    throw new RoutingError(`Cannot load route module "${path}": cannot read ${file}: ${describe(cause)}`, { cause });
  }
  throw new RoutingError(`Cannot load route module "${path}": ${file} is not a file`);
}

function describeFile(file: string): { mtimeMs: number; size: number; isFile: boolean } {
  const stats = statSync(file);
  return { mtimeMs: stats.mtimeMs, size: stats.size, isFile: stats.isFile() };
}

/** A syntax error carries its place only in the first line of its stack. */
function describe(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const [place = ""] = (cause.stack ?? "").split("\n", 1);
  const isPlace = cause instanceof SyntaxError && place.startsWith("file:");
  return isPlace ? `${cause.message} at ${place}` : cause.message;
}
