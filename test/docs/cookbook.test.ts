import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { Balancer, type DestinationRow, parseResources } from "../../src/balancer/index.ts";
import { loadConfig, readDistributorSetup } from "../../src/config/index.ts";
import type { Router } from "../../src/proxy/index.ts";
import { Dispatching } from "../../src/server/dispatching.ts";
import { ConfiguredDistribution } from "../../src/server/distribution.ts";
import { createRouter } from "../../src/server/routers.ts";
import { FakeCall, FakeLog } from "../routing/fake-call.ts";

const BOOK = readFileSync(join(import.meta.dirname, "..", "..", "docs", "cookbook.md"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "headroom-cookbook-"));
after(() => rmSync(folder, { recursive: true }));

/** A recipe of the book: its configuration, its route module if it has one, and what is said of calls. */
interface Recipe {
  readonly title: string;
  readonly yaml: string;
  readonly module: string | undefined;
  readonly calls: readonly { readonly call: string; readonly becomes: string }[];
}

function blockOf(section: string, language: string): string | undefined {
  return new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(section)?.[1];
}

/** The cells of each line of a table, without its head. */
function rowsOf(section: string): string[][] {
  const lines = section.split("\n").filter((line) => line.startsWith("|"));
  return lines.slice(2).map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const [introduction = "", ...sections] = BOOK.split(/^## /m);
const FARM = rowsOf(introduction).map(([id, group, uri = "", resources = "", attrs = ""]): DestinationRow => {
  const addresses = [{ ip: uri.replace(/^sip:|:\d+$/g, ""), port: 5060, transport: "udp" as const }];
  const written = { attrs: attrs === "" ? undefined : attrs, description: undefined };
  return { id: Number(id), group: Number(group), uri, resources: parseResources(resources), probeMode: 0, ...written, addresses };
});
const RECIPES = sections.map((section): Recipe => {
  const [title = ""] = section.split("\n", 1);
  const calls = rowsOf(section).map(([call = "", becomes = ""]) => ({ call, becomes }));
  return { title, yaml: blockOf(section, "yaml") ?? "", module: blockOf(section, "ts"), calls };
});

async function routerOf({ yaml, module }: Recipe, balancer: Balancer): Promise<Router> {
  const file = join(folder, `${Math.random()}.yaml`);
  const script = `${file}.ts`;
  if (module !== undefined) writeFileSync(script, module);
  writeFileSync(file, yaml.replace("./route.ts", script));
  const config = loadConfig(file, {});
  assert.deepEqual(config.notices, []);
  const log = new FakeLog();
  const found = (host: string) => ({ addresses: [{ ip: host, port: 5060, transport: "udp" }] }) as never;
  const dispatching = new Dispatching({
    ...{ below: () => 0, nowMs: () => 0, listeners: () => [], resolveWaitMs: 5, log },
    addresses: { find: ({ host }) => found(host), resolve: ({ host }) => found(host), hold: () => undefined },
  });
  await dispatching.load(config);
  const distribution = new ConfiguredDistribution(balancer, log);
  distribution.use(config, readDistributorSetup(config));
  return createRouter(config, { balancer, log, dispatching: dispatching.routing(balancer), distribution });
}

/** The request of a cell such as "`INVITE sip:1@h` from `192.0.2.9` with `X-A: b`". */
function callOf(cell: string, balancer: Balancer): FakeCall {
  const [, method = "", uri = ""] = /^`([A-Z]+) ([^`]+)`/.exec(cell) ?? [];
  assert.notEqual(uri, "", cell);
  const [, address] = / from `([^`]+)`/.exec(cell) ?? [];
  const [, header] = / with `([^`]+)`/.exec(cell) ?? [];
  return new FakeCall(balancer, { method, uri, ...(address !== undefined && { address }), headers: header === undefined ? [] : [header] });
}

/** What has become of the call, in the words of the book, without those that stand there for the reader. */
function fateOf(call: FakeCall): string {
  const { sent, replies } = call;
  const reply = replies.find(({ status }) => status >= 200);
  if (reply !== undefined) return `answered ${reply.status}`;
  const last = sent.at(-1);
  if (last === undefined) return "nothing";
  // A call that a server makes is counted on the server, but sent elsewhere.
  const row = FARM.find(({ uri }) => uri === last.destinationUri);
  return row === undefined ? `sent to \`${last.destinationUri}\`` : `destination ${row.id}`;
}

async function run(router: Router, call: FakeCall, becomes: string): Promise<string> {
  await router.request(call);
  const steps = becomes.split("; ");
  const told: string[] = [];
  for (const [i, step] of steps.entries()) {
    const [, status] = /^after (\d+) /.exec(step) ?? [];
    const before = call.sent.length;
    if (i > 0) await router.failure(call.failBranch(Number(status)));
    const [, requestUri] = / as `([^`]+)`$/.exec(step) ?? [];
    if (requestUri !== undefined) assert.equal(call.sent.at(-1)?.requestUri, requestUri);
    const fate = i > 0 && call.sent.length === before ? "the end" : fateOf(call);
    told.push(`${i > 0 ? `after ${status} ` : ""}${fate}${requestUri === undefined ? "" : ` as \`${requestUri}\``}`);
  }
  if (call.request.method !== "INVITE") call.end();
  return told.join("; ");
}

describe("the routing cookbook", () => {
  it("has its farm and its recipes, each with a configuration and calls", () => {
    assert.equal(FARM.length, 8);
    assert.ok(RECIPES.length >= 12, `${RECIPES.length} recipes`);
    for (const { title, yaml, calls } of RECIPES) assert.ok(yaml !== "" && calls.length > 0, title);
  });

  for (const recipe of RECIPES) {
    it(recipe.title, async () => {
      const balancer = new Balancer({ below: () => 0 });
      balancer.replaceTable(FARM);
      const router = await routerOf(recipe, balancer);
      for (const { call: asked, becomes } of recipe.calls) {
        const call = callOf(asked, balancer);
        assert.ok(router.handles(call.request.method), asked);
        assert.equal(await run(router, call, becomes), becomes, asked);
      }
    });
  }
});
