import { readFileSync } from "node:fs";

/** Version of the program, from its package.json: beside src, or two floors above the compiled files. */
export const VERSION = readVersion();

function readVersion(): string {
  for (const place of ["../package.json", "../../package.json"]) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(place, import.meta.url), "utf8")) as { name?: string; version?: string };
      if (name === "headroom-sip" && version !== undefined) return version;
    } catch {
      // not there: the next place
    }
  }
  throw new Error("Cannot read the version: want package.json of headroom-sip beside the program");
}
