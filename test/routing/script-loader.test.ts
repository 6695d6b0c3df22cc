import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { loadScript } from "../../src/script-loader.ts";

let folder = "";

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "headroom-script-"));
});

after(() => rm(folder, { recursive: true }));

async function write(name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, text);
  return file;
}

describe("loading a route module", () => {
  it("takes TypeScript, ES modules and CommonJS, from a path with odd characters too", async () => {
    const files = [
      await write(
        "a.ts",
        "export function request(call: { relay(): boolean }): void { call.relay(); }\nexport const methods: string[] = ['MESSAGE'];",
      ),
      await write("b #1 %?.mjs", "export const request = () => {};"),
      await write("c.cjs", "module.exports = { request() {}, failure() {} };"),
    ];
    const modules = await Promise.all(files.map((file) => loadScript(file)));
    assert.deepEqual(
      modules.map((module) => Object.keys(module)),
      [["request", "methods"], ["request"], ["request", "failure"]],
    );
  });

  it("loads a changed file anew", async () => {
    const file = await write("change.mjs", "export const request = () => 1;");
    assert.equal((await loadScript(file)).request({} as never), 1);
    await write("change.mjs", "export const request = () => 2;");
    await utimes(file, 1, 2);
    assert.equal((await loadScript(file)).request({} as never), 2);
  });

  const faults: [name: string, text: string, message: RegExp][] = [
    ["empty.mjs", "", /^Cannot use route module ".*empty\.mjs": it does not export "request", want a function request\(call\)$/],
    ["syntax.mjs", "export function request( {", /^Cannot load route module ".*syntax\.mjs": .+/],
    ["types.ts", "enum A { B }\nexport function request() {}", /^Cannot load route module ".*types\.ts": .*enum/is],
    ["throws.mjs", "throw new Error('no licence');", /^Cannot load route module ".*throws\.mjs": no licence$/],
    ["throws-text.mjs", "throw 'no licence';", /^Cannot load route module ".*throws-text\.mjs": no licence$/],
    ["import.mjs", "import './absent.mjs';", /^Cannot load route module ".*import\.mjs": Cannot find module .*absent\.mjs/],
    ["route.cfg", "route{}", /^Cannot load route module ".*route\.cfg": want a file that ends in \.ts, /],
  ];
  for (const [name, text, message] of faults) {
    it(`says what is wrong with ${name}`, async () => {
      await assert.rejects(loadScript(await write(name, text)), { name: "RoutingError", message });
    });
  }

  it("says that there is no such file, or that it is a folder", async () => {
    await assert.rejects(loadScript(join(folder, "absent.ts")), {
      name: "RoutingError",
      message: /^Cannot load route module ".*absent\.ts": cannot read .*ENOENT/,
    });
    await mkdir(join(folder, "folder.ts"));
    await assert.rejects(loadScript(join(folder, "folder.ts")), { name: "RoutingError", message: /folder\.ts is not a file$/ });
  });
});
