import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Assets } from "../../src/dashboard/index.ts";
import {
  createManagementServer,
  type ManagementConfig,
  type ManagementServer,
  PAGE_POLICY,
  type Visitor,
} from "../../src/management/index.ts";
import { fakePorts } from "./fake-ports.ts";
import { call, type RawResponse, request } from "./raw-http.ts";

const TOKENS = [
  { name: "anna", token: "token-of-anna", role: "operator" },
  { name: "wall", token: "token-of-wall", role: "viewer" },
] as const;
const assets = new Assets();

let server: ManagementServer;
let visitors: Visitor[];
afterEach(() => server.close());

async function start(config: Partial<ManagementConfig> = {}, withDashboard = true): Promise<void> {
  visitors = [];
  const dashboard = {
    paths: assets.paths,
    asset: assets.answer.bind(assets),
    feed: (_request: unknown, response: { end(text: string): void }, visitor: Visitor) => {
      visitors.push(visitor);
      response.end("fed");
    },
  };
  const ports = fakePorts(withDashboard ? { dashboard } : {});
  server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [], tokens: TOKENS, ...config });
}

function get(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<RawResponse> {
  return request(new URL(path, server.url).href, { method, headers: Object.entries(headers) });
}

describe("the dashboard behind the management interface", () => {
  it("is a page for everybody, under the policy of pages", async () => {
    await start();
    const { status, headers, body } = await get("/");
    assert.equal(status, 200);
    assert.match(body, /^<!doctype html>/);
    assert.equal(headers.get("content-type"), "text/html; charset=utf-8");
    assert.equal(headers.get("content-security-policy"), PAGE_POLICY);
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    assert.equal(headers.get("x-frame-options"), "DENY");
    assert.equal(headers.get("cache-control"), "no-cache");
  });

  it("answers HEAD with the same headers and no body, and 304 to those who have it", async () => {
    await start();
    const page = await get("/");
    const head = await get("/", {}, "HEAD");
    assert.deepEqual([head.status, head.body, head.headers.get("etag")], [200, "", page.headers.get("etag")]);
    const again = await get("/", { "If-None-Match": page.headers.get("etag")! });
    assert.deepEqual([again.status, again.body], [304, ""]);
  });

  it("has files, and nothing else, below /dashboard", async () => {
    await start();
    assert.equal((await get("/dashboard/uplot.css")).status, 200);
    assert.equal((await get("/dashboard/uplot.css?v=1")).status, 200);
    for (const path of [
      "/dashboard",
      "/dashboard/",
      "/dashboard/index.html",
      "/dashboard/../package.json",
      "/dashboard/%2e%2e/package.json",
      "/x",
    ]) {
      const { status, body } = await request(server.url, { method: "GET", path });
      assert.deepEqual([status, body], [400, "<html><body>Unable to parse URL!</body></html>"], path);
    }
    assert.equal((await get("/dashboard/uplot.css", {}, "POST")).status, 400);
  });

  it("feeds those who may read, and says to the feed who they are", async () => {
    await start();
    assert.equal((await get("/dashboard/feed")).status, 401);
    assert.equal((await get("/dashboard/feed", { Authorization: "Bearer wrong-token" })).status, 401);
    const { status, body, headers } = await get("/dashboard/feed", { Authorization: "Bearer token-of-wall" });
    assert.deepEqual([status, body, headers.get("x-content-type-options")], [200, "fed", "nosniff"]);
    await get("/dashboard/feed", { Authorization: "Bearer token-of-anna" });
    assert.deepEqual(
      visitors.map(({ by, role, needsToken }) => [by, role, needsToken]),
      [
        ["wall", "viewer", true],
        ["anna", "operator", true],
      ],
    );
    assert.deepEqual(
      ["lb_list", "dlg_list", "audit_log"].map((name) => visitors[0]!.methods.includes(name)),
      [true, true, true],
    );
    assert.equal(visitors[0]!.methods.includes("lb_probes"), false, "it is not offered");
  });

  it("does not have the browser ask for a password when it is the page that asks", async () => {
    await start();
    const asked = await get("/dashboard/feed", { "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin" });
    assert.equal(asked.headers.get("www-authenticate"), 'Bearer realm="Headroom MI"');
    const followed = await get("/dashboard/feed", { "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none" });
    assert.match(followed.headers.get("www-authenticate")!, /Basic/);
  });

  it("wants no token where management wants none, but no page of others", async () => {
    await start({ tokens: [] });
    assert.equal((await get("/dashboard/feed")).status, 200);
    assert.deepEqual(
      visitors.map(({ by, role, needsToken }) => [by, role, needsToken]),
      [["127.0.0.1", "operator", false]],
    );
    assert.equal((await get("/dashboard/feed", { "Sec-Fetch-Site": "cross-site" })).status, 403);
    assert.equal((await get("/dashboard/feed", { Origin: "https://example.org" })).status, 403);
  });

  it("leaves POST / to the methods when these have no path of their own", async () => {
    await start({ root: "", tokens: [] });
    assert.equal((await get("/")).status, 200);
    assert.match(JSON.stringify(await call(new URL("/", server.url).href, "version")), /0\.1\.0/);
  });

  it("counts as a request of the client", async () => {
    await start({ requestsPerSecond: 1 });
    const statuses: number[] = [];
    for (let i = 0; i < 5; i++) statuses.push((await get("/")).status);
    assert.ok(statuses.includes(429), `got ${statuses}`);
  });

  it("is not there when it is not wanted", async () => {
    await start({}, false);
    assert.deepEqual([(await get("/")).status, (await get("/dashboard/feed")).status], [400, 400]);
  });
});
