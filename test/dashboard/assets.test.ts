import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { Assets, MAX_PAGE_BYTES } from "../../src/dashboard/index.ts";

describe("the files of the dashboard", () => {
  let folder: string;
  let assets: Assets;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "headroom-page-"));
    writeFileSync(join(folder, "index.html"), `<!doctype html>${"<p>text</p>".repeat(100)}`);
    writeFileSync(join(folder, "app.js"), "export {};\n");
    writeFileSync(join(folder, "tsconfig.json"), "{}");
    assets = new Assets(folder);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("are the page at /, what stands beside it, and the chart library", () => {
    assert.deepEqual(assets.paths.toSorted(), ["/", "/dashboard/app.js", "/dashboard/uplot.css", "/dashboard/uplot.js"]);
    assert.equal(assets.answer("/dashboard/tsconfig.json", {}), undefined);
    assert.equal(assets.answer("/dashboard/../package.json", {}), undefined);
  });

  it("say of what type they are", () => {
    const types = ["/", "/dashboard/app.js", "/dashboard/uplot.css"].map((path) => assets.answer(path, {})?.headers["content-type"]);
    assert.deepEqual(types, ["text/html; charset=utf-8", "text/javascript; charset=utf-8", "text/css; charset=utf-8"]);
  });

  it("are asked for again each time, and answered 304 when they have not changed", () => {
    const { headers } = assets.answer("/", {})!;
    assert.equal(headers["cache-control"], "no-cache");
    for (const known of [headers["etag"]!, `W/${headers["etag"]}`, `"other", ${headers["etag"]}`, "*"]) {
      const again = assets.answer("/", { "if-none-match": known })!;
      assert.deepEqual([again.status, again.body], [304, undefined], known);
      assert.equal(again.headers["content-type"], undefined);
      assert.equal(again.headers["etag"], headers["etag"]);
    }
    assert.equal(assets.answer("/", { "if-none-match": '"other"' })!.status, 200);
  });

  it("go out compressed to those who take that, under another ETag", () => {
    const plain = assets.answer("/", {})!;
    for (const header of ["gzip", "br, gzip", "gzip;q=0.5, br", "GZIP ; q=1"]) {
      const zipped = assets.answer("/", { "accept-encoding": header })!;
      assert.equal(zipped.headers["content-encoding"], "gzip", header);
      assert.deepEqual(gunzipSync(zipped.body!), plain.body);
      assert.notEqual(zipped.headers["etag"], plain.headers["etag"]);
      assert.equal(zipped.headers["vary"], "accept-encoding");
    }
    for (const header of ["", "br", "gzip;q=0", "gzip;q=0.000, br", "xgzip", "gzipx"]) {
      assert.equal(assets.answer("/", { "accept-encoding": header })!.headers["content-encoding"], undefined, header);
    }
    assert.equal(
      assets.answer("/dashboard/app.js", { "accept-encoding": "gzip" })!.headers["content-encoding"],
      undefined,
      "it would be longer",
    );
  });

  it("have the chart library as a module", async () => {
    const { body } = assets.answer("/dashboard/uplot.js", {})!;
    const { default: uPlot } = (await import(`data:text/javascript;base64,${body!.toString("base64")}`)) as { default: unknown };
    assert.equal(typeof uPlot, "function");
    assert.match(body!.toString(), /^\/\*! https:\/\/github.com\/leeoniya\/uPlot/, "its licence stays in it");
  });

  it("cannot be served without a page", () => {
    const empty = mkdtempSync(join(tmpdir(), "headroom-page-"));
    try {
      assert.throws(() => new Assets(empty), /^Error: Cannot serve the dashboard from ".*": want a file "index.html"$/);
    } finally {
      rmSync(empty, { recursive: true, force: true });
    }
  });
});

describe("the page of the program", () => {
  it("is small enough for a phone on a bad line", () => {
    const { bytes } = new Assets();
    assert.ok(bytes < MAX_PAGE_BYTES, `it has ${bytes} bytes, want less than ${MAX_PAGE_BYTES}`);
  });
});
