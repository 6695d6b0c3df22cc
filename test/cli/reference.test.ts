import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Command } from "commander";
import { createProgram } from "../../src/cli/commands.ts";
import { withReference } from "../../src/cli/reference.ts";

const FILE = join(import.meta.dirname, "../../docs/cli.md");

/** Commands that print nothing that a program would read: one runs, one tells a story, one is text for a shell; and one that has JSON by another option. */
const WITHOUT_JSON = ["start", "demo", "completion", "destinations export"];

function leaves(command: Command, path: string[] = []): { path: string; command: Command }[] {
  if (command.commands.length === 0) return [{ path: path.join(" "), command }];
  return command.commands.flatMap((child) => leaves(child, [...path, child.name()]));
}

describe("the command line", () => {
  it("docs/cli.md has every command, argument and option (UPDATE_REFERENCE=1 writes them anew)", async () => {
    const wanted = withReference(readFileSync(FILE, "utf8"), await createProgram(undefined));
    if (process.env["UPDATE_REFERENCE"]) writeFileSync(FILE, wanted);
    assert.equal(readFileSync(FILE, "utf8"), wanted);
  });

  it("has --json on every command that prints data", async () => {
    for (const { path, command } of leaves(await createProgram(undefined))) {
      if (WITHOUT_JSON.includes(path)) continue;
      assert.ok(
        command.options.some(({ long }) => long === "--json"),
        `headroom ${path} has no --json`,
      );
    }
  });

  it("has a description of each command and option, without a period", async () => {
    for (const { path, command } of leaves(await createProgram(undefined))) {
      for (const text of [command.description(), ...command.options.map(({ description }) => description)]) {
        assert.ok(text.length > 0 && !text.endsWith("."), `headroom ${path}: "${text}"`);
      }
    }
  });

  it("loads the one command that is wanted, or all of them", async () => {
    assert.deepEqual(
      (await createProgram("mi")).commands.map((command) => command.name()),
      ["mi"],
    );
    for (const name of [undefined, "completion", "nothing", "toString", "--help"]) {
      assert.ok((await createProgram(name)).commands.length > 10, name);
    }
  });
});
