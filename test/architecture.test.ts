import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import { describe, it } from "node:test";
import { architectureFaults, CORE, importsOf, type SourceFile } from "./support/architecture.ts";

const ROOT = resolve(import.meta.dirname, "..");

function sources(): SourceFile[] {
  const paths = globSync("{src,migrations,scripts,bench,examples}/**/*.ts", { cwd: ROOT, exclude: (name) => name === "node_modules" });
  return paths.map((path) => ({ path: path.split(sep).join("/"), text: readFileSync(join(ROOT, path), "utf8") }));
}

describe("the house", () => {
  const files = sources();
  it("has all floors of the core", () => {
    for (const folder of CORE)
      assert.ok(
        files.some(({ path }) => path.startsWith(`src/${folder}/`)),
        `src/${folder} is empty`,
      );
  });
  it("keeps its rules: a pure core, imports that go down only, no cycle, no file over 400 lines", () => {
    assert.deepEqual(architectureFaults(files), []);
  });
});

describe("the check of the house", () => {
  const cases: { name: string; files: Record<string, string>; want: RegExp[] }[] = [
    {
      name: "lets the core import the core",
      files: { "src/dialog/dialog.ts": 'import { a } from "../sip/index.ts";\nimport type { B } from "../balancer/index.ts";' },
      want: [],
    },
    {
      name: "lets an adapter use Node.js, packages and the core",
      files: { "src/store/store.ts": 'import fs from "node:fs";\nimport { Kysely } from "kysely";\nimport { a } from "../sip/uri.ts";' },
      want: [],
    },
    {
      name: "refuses node: in the core",
      files: { "src/sip/parse.ts": 'import { readFileSync } from "node:fs";' },
      want: [/src\/sip\/parse\.ts imports "node:fs"/],
    },
    { name: "refuses an npm package in the core", files: { "src/balancer/a.ts": "import yaml from 'yaml';" }, want: [/imports "yaml"/] },
    {
      name: "refuses a package that is only re-exported",
      files: { "src/routing/a.ts": 'export * from "pino";' },
      want: [/imports "pino"/],
    },
    { name: "refuses an import for its effects", files: { "src/proxy/a.ts": 'import "fastify";' }, want: [/imports "fastify"/] },
    {
      name: "refuses a type of an adapter in the core",
      files: { "src/proxy/a.ts": 'import type { Config } from "../config/config.ts";' },
      want: [/config is not below proxy/, /imports only the core/],
    },
    {
      name: "refuses import() in the core",
      files: { "src/routing/a.ts": 'const a = await import("../sip/uri.ts");' },
      want: [/uses import\(\)/],
    },
    {
      name: "refuses a computed import() in the core",
      files: { "src/routing/a.ts": "const a = await import(name);" },
      want: [/uses import\(\)/],
    },
    {
      name: "refuses require() in the core",
      files: { "src/sip/a.ts": 'const a = require("node:fs");' },
      want: [/uses require\(\)/, /imports "node:fs"/],
    },
    { name: "refuses the clock in the core", files: { "src/dialog/a.ts": "const now = Date.now();" }, want: [/uses Date\.now/] },
    {
      name: "refuses chance in the core",
      files: { "src/balancer/a.ts": "export const pick = Math.random();" },
      want: [/uses Math\.random/],
    },
    { name: "refuses timers in the core", files: { "src/transaction/a.ts": "setTimeout(run, 500);" }, want: [/uses setTimeout/] },
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is code
    { name: "refuses the platform inside a template", files: { "src/sip/a.ts": "const a = `${process.pid} {`;" }, want: [/uses process/] },
    {
      name: "refuses to import upwards",
      files: { "src/sip/a.ts": 'import { step } from "../transaction/step.ts";' },
      want: [/transaction is not below sip/],
    },
    {
      name: "refuses an adapter that imports another",
      files: { "src/management/a.ts": 'import { openStore } from "../store/store.ts";' },
      want: [/store is not below management/],
    },
    {
      name: "refuses an adapter that imports the server",
      files: { "src/store/a.ts": 'import { startServer } from "../server.ts";' },
      want: [/server is not below store/],
    },
    {
      name: "refuses that the balancer knows SIP",
      files: { "src/balancer/a.ts": 'import { parseSipUri } from "../sip/uri.ts";' },
      want: [/sip is not below balancer/],
    },
    {
      name: "refuses that transactions know the balancer",
      files: { "src/transaction/a.ts": 'import { Balancer } from "../balancer/index.ts";' },
      want: [/knows nothing of balancer/],
    },
    { name: "refuses a folder that is on no floor", files: { "src/utilities/a.ts": "" }, want: [/stands on no floor/] },
    {
      name: "refuses an import from the tests",
      files: { "src/cli/a.ts": 'import { fakeClock } from "../../test/support/fake-clock.ts";' },
      want: [/nothing from outside/],
    },
    {
      name: "refuses a cycle, and tells its way",
      files: { "src/sip/a.ts": 'import "./b.ts";', "src/sip/b.ts": 'import "./c.ts";', "src/sip/c.ts": 'import "./a.ts";' },
      want: [/cycle: src\/sip\/a\.ts → src\/sip\/b\.ts → src\/sip\/c\.ts → src\/sip\/a\.ts/],
    },
    {
      name: "lets two files know each other's types",
      files: { "src/sip/a.ts": 'import { b } from "./b.ts";', "src/sip/b.ts": 'import type { A } from "./a.ts";' },
      want: [],
    },
    { name: "refuses a file of 401 lines", files: { "src/sip/a.ts": "\n".repeat(401) }, want: [/has 401 lines/] },
    { name: "lets a file of 400 lines pass", files: { "src/sip/a.ts": "\n".repeat(400) }, want: [] },
    {
      name: "reads no comment and no string as code",
      files: {
        "src/sip/a.ts": '// import "fs"; Date.now()\n/* require("fs") */ const a = "import(x) Math.random()";\nconst b = `from "fs"`;',
      },
      want: [],
    },
    {
      name: "is not led astray by a regular expression",
      files: { "src/sip/a.ts": "const a = /[\"'`/*]/;\nconst b = Date.now();" },
      want: [/uses Date\.now/],
    },
    {
      name: "lets a property be named like a global",
      files: { "src/sip/a.ts": "const a = { process: 1 };\nb.setTimeout(a.process);" },
      want: [],
    },
  ];
  for (const { name, files, want } of cases) {
    it(name, () => {
      const faults = architectureFaults(Object.entries(files).map(([path, text]) => ({ path, text })));
      assert.equal(faults.length, want.length, faults.join("\n"));
      for (const pattern of want)
        assert.ok(
          faults.some((fault) => pattern.test(fault)),
          `${pattern} is not in:\n${faults.join("\n")}`,
        );
    });
  }

  it("finds every form of import", () => {
    const text =
      'import a from "a";\nimport * as b from \'b\';\nimport {\n  type C,\n} from "c";\nexport { d } from "d";\nimport "e";\nvoid import("f");\nrequire("g");\nexport * from "h";\nimport type { I } from "i";\nexport type { J } from "j";';
    const found = importsOf(text);
    assert.deepEqual(found.map(({ target }) => target).sort(), ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
    assert.deepEqual(
      found.flatMap(({ target, form }) => (form === "type" ? [target] : [])),
      ["i", "j"],
    );
  });
});
