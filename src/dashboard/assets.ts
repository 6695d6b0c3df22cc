import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import { gzipSync } from "node:zlib";

/** What a browser may take before the page stands, bytes, not compressed: a phone on a bad line waits for it. */
export const MAX_PAGE_BYTES = 150_000;

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
};
/** Beside this file, in the sources and in what is compiled of them. */
const PAGE_FOLDER = join(import.meta.dirname, "page");
const FIRST_PAGE = "index.html";
const CHART_FILES = { "uplot.js": "uPlot.iife.min.js", "uplot.css": "uPlot.min.css" } as const;

/** An answer to a GET. */
export interface AssetAnswer {
  readonly status: 200 | 304;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}

/** What of a request matters here. */
export interface AssetHeaders {
  readonly "accept-encoding"?: string | string[] | undefined;
  readonly "if-none-match"?: string | undefined;
}

interface Variant {
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
}

interface Asset {
  readonly plain: Variant;
  /** Absent when it is no shorter. */
  readonly zipped: Variant | undefined;
}

/** The files of the page, in memory since the start: nobody's request reads a file, and no path of a request is one of a file. */
export class Assets {
  readonly #byPath = new Map<string, Asset>();

  /**
   * `/` is the page itself, `/dashboard/NAME` each file of its folder that a browser knows what to do with, and the chart library.
   *
   * @throws Error when the page cannot be read
   */
  constructor(folder = PAGE_FOLDER) {
    for (const name of readdirSync(folder).sort()) {
      const type = TYPES[extname(name)];
      if (type !== undefined) this.#add(`/dashboard/${name}`, type, readFileSync(join(folder, name)));
    }
    const chart = chartFolder();
    this.#add("/dashboard/uplot.js", TYPES[".js"]!, asModule(readFileSync(join(chart, CHART_FILES["uplot.js"]), "utf8")));
    this.#add("/dashboard/uplot.css", TYPES[".css"]!, readFileSync(join(chart, CHART_FILES["uplot.css"])));
    const first = this.#byPath.get(`/dashboard/${FIRST_PAGE}`);
    if (first === undefined) throw new Error(`Cannot serve the dashboard from "${folder}": want a file "${FIRST_PAGE}"`);
    this.#byPath.delete(`/dashboard/${FIRST_PAGE}`);
    this.#byPath.set("/", first);
  }

  get paths(): readonly string[] {
    return [...this.#byPath.keys()];
  }

  /** Of all that a browser loads, not compressed. */
  get bytes(): number {
    return [...this.#byPath.values()].reduce((sum, { plain }) => sum + plain.body.length, 0);
  }

  /** @returns undefined when nothing has this path */
  answer(path: string, headers: AssetHeaders): AssetAnswer | undefined {
    const asset = this.#byPath.get(path);
    if (asset === undefined) return undefined;
    const variant = (takesGzip(headers["accept-encoding"]) ? asset.zipped : undefined) ?? asset.plain;
    if (isKnown(variant.headers["etag"]!, headers["if-none-match"])) {
      return { status: 304, headers: withoutContent(variant.headers), body: undefined };
    }
    return { status: 200, headers: variant.headers, body: variant.body };
  }

  #add(path: string, type: string, body: Buffer): void {
    const zipped = gzipSync(body, { level: 9 });
    this.#byPath.set(path, {
      plain: variantOf(type, body, {}),
      zipped: zipped.length < body.length ? variantOf(type, zipped, { "content-encoding": "gzip" }) : undefined,
    });
  }
}

/** The library is a classic script, which names one variable. As a module it is half as long as the one that its authors offer. */
function asModule(script: string): Buffer {
  return Buffer.from(`${script}\nexport default uPlot;\n`);
}

function chartFolder(): string {
  return join(dirname(createRequire(import.meta.url).resolve("uplot/package.json")), "dist");
}

function variantOf(type: string, body: Buffer, more: Record<string, string>): Variant {
  const hash = createHash("sha256").update(body).digest("base64url").slice(0, 22);
  // Asked for again each time, so that no page is made of files of two versions; what has not changed is answered 304.
  return { body, headers: { "content-type": type, etag: `"${hash}"`, "cache-control": "no-cache", vary: "accept-encoding", ...more } };
}

function withoutContent({ etag, vary, "cache-control": cache }: Readonly<Record<string, string>>): Record<string, string> {
  return { etag: etag!, vary: vary!, "cache-control": cache! };
}

/** RFC 9110 §12.5.3, as far as it is needed: gzip is named, and not with a weight of 0. */
function takesGzip(header: string | string[] | undefined): boolean {
  return /(?:^|[,\s])gzip\s*(?:;\s*q=(?!0(?:\.0*)?(?:[\s,]|$))[\d.]+\s*)?(?:,|$)/i.test(String(header ?? ""));
}

/** RFC 9110 §13.1.2: compared without regard to whether it is weak. */
function isKnown(etag: string, header: string | undefined): boolean {
  if (header === undefined) return false;
  return header.split(",").some((item) => item.trim() === "*" || item.trim().replace(/^W\//, "") === etag);
}
