import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createProgram } from "../../src/cli/commands.ts";
import { type CompletionCommand, completionModel } from "../../src/cli/completion-model.ts";
import { completionScript, SHELLS } from "../../src/cli/completion-scripts.ts";
import { shortMethodNames } from "../../src/management/index.ts";

function every(command: CompletionCommand): CompletionCommand[] {
  return [command, ...command.commands.flatMap(every)];
}

describe("completion", () => {
  let model: CompletionCommand;
  let folder = "";
  before(async () => {
    model = completionModel(await createProgram(undefined), shortMethodNames());
    folder = mkdtempSync(join(tmpdir(), "headroom-completion-"));
    for (const shell of SHELLS) writeFileSync(join(folder, shell), completionScript(shell, model));
    for (const name of ["one.yaml", "two.csv"]) writeFileSync(join(folder, name), "");
  });
  after(() => rmSync(folder, { recursive: true }));

  /** What a real bash offers when Tab is pressed behind these words. */
  function offered(...words: string[]): string[] {
    const script = `source ./bash; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); _headroom; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const text = execFileSync("bash", ["--norc", "--noprofile", "-c", script, "bash", "headroom", ...words], {
      cwd: folder,
      encoding: "utf8",
    });
    return text.split("\n").filter((line) => line !== "");
  }

  const cases: { words: string[]; want: string[] }[] = [
    { words: ["to"], want: ["top"] },
    { words: ["de"], want: ["destinations", "demo"] },
    { words: ["top", "--j"], want: ["--json"] },
    { words: ["top", "--sort", ""], want: ["id", "slots", "load"] },
    { words: ["top", "--url", "http://x", "--o"], want: ["--once"] },
    { words: ["top", "--url", ""], want: [] },
    { words: ["top", "--sort", "=", "s"], want: ["slots"] },
    { words: ["top", "--sort", "="], want: ["id", "slots", "load"] },
    { words: ["destinations", "import", "--config", "=", "x", "tw"], want: ["two.csv"] },
    { words: ["mi", "lb_l"], want: ["lb_list"] },
    { words: ["mi", "--url", "http://x/mi", "lb_reso"], want: [] },
    { words: ["mi", "--json", "lb_resi"], want: ["lb_resize"] },
    { words: ["mi", "lb_status", "lb_l"], want: [] },
    { words: ["destinations", "ad"], want: ["add"] },
    { words: ["destinations", "add", "--gr"], want: ["--group"] },
    { words: ["destinations", "import", "tw"], want: ["two.csv"] },
    { words: ["check", "-c", "one"], want: ["one.yaml"] },
    { words: ["ds", "list", ""], want: ["short", "full"] },
    { words: ["import", "--from", "k"], want: ["kamailio"] },
    { words: ["completion", ""], want: ["bash", "zsh", "fish"] },
    { words: ["nothing", "x"], want: [] },
  ];
  for (const { words, want } of cases) {
    it(`in bash, behind "${words.join(" ")}", offers ${want.join(", ") || "nothing"}`, () => assert.deepEqual(offered(...words), want));
  }

  it("offers every command of the program", () => {
    assert.deepEqual(offered("").sort(), model.commands.map(({ path }) => path.at(-1)).sort());
  });

  it("has each command and option in each shell's script", () => {
    for (const shell of SHELLS) {
      const text = completionScript(shell, model);
      for (const { path, options } of every(model)) {
        assert.ok(text.includes(path.join(" ")) || text.includes(path.join("_").replaceAll("-", "_")), `${shell}: ${path.join(" ")}`);
        for (const name of options.flatMap(({ names }) => names)) assert.ok(text.includes(name.replace(/^--?/, "")), `${shell}: ${name}`);
      }
    }
  });

  it("is text that the shells can read", () => {
    for (const shell of SHELLS) {
      const { error, status, stderr } = spawnSync(shell, ["-n", join(folder, shell)], { encoding: "utf8" });
      if (error !== undefined && (error as NodeJS.ErrnoException).code === "ENOENT" && shell !== "bash") {
        // This machine has no such shell: quotes and brackets at least are closed.
        const escapedQuote = "'\\''";
        const bare = completionScript(shell, model)
          .replaceAll(escapedQuote, "")
          .replace(/^#.*$/gm, "")
          .replace(/'[^']*'/g, "");
        assert.doesNotMatch(bare, /'/, shell);
        for (const [open, close] of ["()", "{}", "[]"]) {
          if (shell === "zsh" && open === "(") continue; // branches of case have one half
          assert.equal(bare.split(open ?? "").length, bare.split(close ?? "").length, `${shell}: ${open}`);
        }
      } else assert.deepEqual([status, stderr], [0, ""], shell);
    }
  });
});
