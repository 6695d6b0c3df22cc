import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Command } from "commander";
import { createProgram } from "../../src/cli/commands.ts";
import { ConfigSchema } from "../../src/config/schema.ts";
import { EVENT_NAMES } from "../../src/event-names.ts";
import { MethodRegistry } from "../../src/management/define-method.ts";
import { allMethods } from "../../src/management/methods/index.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const textOf = (path: string): string => readFileSync(join(ROOT, path), "utf8");

/** Pages whose every command, key and event is checked. */
const PAGES = ["README.md", ...["install", "capacity", "troubleshooting", "cookbook"].map((name) => `docs/${name}.md`)];
const methods = new MethodRegistry(allMethods);
const program = await createProgram(undefined);

/** What stands in code of a page, line by line. */
function codeOf(page: string): string[] {
  const text = textOf(page);
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block = ""]) => block.split("\n"));
  const inline = [...text.replace(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
  return [...blocks, ...inline].map((line) => line.replace(/ +#.*$/, "").trim());
}

function keysOf(schema: object, prefix: string): string[] {
  const { properties, items, anyOf } = schema as { properties?: Record<string, object>; items?: object; anyOf?: object[] };
  const inner = Object.entries(properties ?? {}).flatMap(([name, key]) => [`${prefix}${name}`, ...keysOf(key, `${prefix}${name}.`)]);
  return [...inner, ...(items === undefined ? [] : keysOf(items, prefix)), ...(anyOf ?? []).flatMap((branch) => keysOf(branch, prefix))];
}

describe("what the documents tell people to type", () => {
  for (const page of PAGES) {
    it(`is there: ${page}`, () => {
      for (const line of codeOf(page)) {
        const [, words] = /(?:^|&& |sudo -u headroom |docker exec \S+ )headroom ((?:--|[a-z]).*)/.exec(line) ?? [];
        const fault =
          words === undefined
            ? undefined
            : faultOf(
                words
                  .split(/[;&|] ?/, 1)[0]!
                  .trim()
                  .split(/ +/),
              );
        assert.equal(fault, undefined, `"${line}"`);
      }
    });
  }

  it("is refused by the check when it is not there", () => {
    assert.equal(faultOf(["nosuch"]), 'there is no command "nosuch"');
    assert.equal(faultOf(["destinations", "nosuch"]), 'there is no command "nosuch"');
    assert.equal(faultOf(["check", "--nosuch"]), 'there is no option "--nosuch"');
    assert.equal(faultOf(["mi", "lb_nosuch"]), 'there is no method "lb_nosuch"');
    assert.equal(faultOf(["mi", "lb_status", "2", "0", "--json"]), undefined);
  });
});

/** Why a command line, without the name of the program, is none; undefined when it is one. */
function faultOf([name = "", ...words]: readonly string[], parent: Command = program): string | undefined {
  if (name.startsWith("--")) return undefined;
  const command = parent.commands.find((each) => each.name() === name);
  if (command === undefined) return `there is no command "${name}"`;
  if (command.commands.length > 0 && words[0] !== undefined) return faultOf(words, command);
  const unknown = words.find((word) => word.startsWith("--") && !command.options.some(({ long }) => long === word));
  if (unknown !== undefined) return `there is no option "${unknown}"`;
  const [method = "which"] = words;
  return name === "mi" && !method.startsWith("-") && methods.find(method) === undefined ? `there is no method "${method}"` : undefined;
}

describe("what the documents name", () => {
  const sections = Object.keys((ConfigSchema as unknown as { properties: object }).properties);
  const keys = new Set(keysOf(ConfigSchema, ""));

  for (const page of PAGES) {
    it(`is there, keys of the configuration and events: ${page}`, () => {
      for (const code of codeOf(page)) {
        const [, path = ""] = /^([a-z_]+(?:\.[a-z_]+)+)(?:: |$)/.exec(code) ?? [];
        const [section = ""] = path.split(".");
        if (sections.includes(section) && !path.endsWith(".xml") && !methods.find(path))
          assert.ok(keys.has(path), `${page}: there is no key "${path}"`);
        if (/^E_[A-Z_]+$/.test(code)) assert.ok((EVENT_NAMES as readonly string[]).includes(code), `${page}: there is no event "${code}"`);
      }
    });
  }
});

describe("the figures of docs/capacity.md", () => {
  it("are those of the measurements", () => {
    const measured = `${textOf("bench/README.md")}${textOf("docs/operation.md")}`;
    const figures = [...textOf("docs/capacity.md").matchAll(/\*\*([\d][^*]*)\*\*/g)].map(([, figure = ""]) => figure);
    assert.ok(figures.length > 5);
    for (const figure of figures) assert.ok(measured.includes(figure), `"${figure}" was not measured`);
  });

  it("has the table of Erlang B right", () => {
    const [, lines = ""] = /^\| Lines \|(.*)\|$/m.exec(textOf("docs/capacity.md")) ?? [];
    const [, means = ""] = /^\| calls on the mean \|(.*)\|$/m.exec(textOf("docs/capacity.md")) ?? [];
    const offered = means.split("|").map(Number);
    for (const [i, count] of lines.split("|").map(Number).entries()) {
      assert.ok(Math.abs(blocking(count, offered[i]!) - 0.01) < 0.0007, `${count} lines: ${blocking(count, offered[i]!)}`);
    }
  });
});

/** Share of calls that are refused (Erlang B). */
function blocking(lines: number, offered: number): number {
  let refused = 1;
  for (let i = 1; i <= lines; i++) refused = (offered * refused) / (i + offered * refused);
  return refused;
}

describe("the unit of systemd", () => {
  const unit = textOf("examples/headroom.service");

  it("lets a process take over, writes where it may, and keeps V8 working", () => {
    for (const line of [
      "Type=notify",
      "NotifyAccess=all",
      "StateDirectory=headroom",
      "WorkingDirectory=/var/lib/headroom",
      "User=headroom",
    ]) {
      assert.match(unit, new RegExp(`^${line}$`, "m"));
    }
    assert.doesNotMatch(unit, /^MemoryDenyWriteExecute=yes/m);
  });

  it("has what hardens a service", () => {
    for (const key of [
      "NoNewPrivileges",
      "ProtectHome",
      "PrivateTmp",
      "PrivateDevices",
      "ProtectKernelModules",
      "RestrictNamespaces",
      "LockPersonality",
    ]) {
      assert.match(unit, new RegExp(`^${key}=yes$`, "m"));
    }
    assert.match(unit, /^CapabilityBoundingSet=$/m);
  });

  // Where there is systemd, it says so itself.
  const rated = spawnSync("systemd-analyze", [
    "security",
    "--offline=true",
    "--threshold=20",
    "--no-pager",
    join(ROOT, "examples/headroom.service"),
  ]);
  if (rated.error === undefined && !rated.stderr.toString().includes("unrecognized option")) {
    it("is rated 2.0 of 10 or better by systemd-analyze security", () => {
      assert.equal(rated.status, 0, rated.stdout.toString());
    });
  }

  it("and docs/install.md name the same files", () => {
    const page = textOf("docs/install.md");
    for (const file of ["/etc/headroom.yaml", "/etc/headroom.env", "/var/lib/headroom"]) {
      assert.ok(unit.includes(file) && page.includes(file), file);
    }
    for (const name of [...page.matchAll(/examples\/([a-z.-]+)/g)].map(([, name = ""]) => name)) {
      assert.ok(readdirSync(join(ROOT, "examples")).includes(name), name);
    }
  });
});
