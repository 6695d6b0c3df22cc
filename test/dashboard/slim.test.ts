import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Script } from "node:vm";
import { slim } from "../../src/dashboard/slim.ts";

const PAGE = `${import.meta.dirname}/../../src/dashboard/page`;

describe("what a browser loads", () => {
  it("has no comments on lines of their own, no indents and no empty lines", () => {
    assert.equal(
      slim('/** Why.\n * @param {x} y\n */\nfunction f() {\n  // so\n  return "//"; // as it is\n\n}\n'),
      'function f() {\nreturn "//"; // as it is\n}\n',
    );
    assert.equal(
      slim("/** @type {x} */ (y).z();\n  a();\n  /** b */\n"),
      "/** @type {x} */ (y).z();\na();\n",
      "a cast is part of its line",
    );
    assert.equal(slim("/* A */\na {\n  color: red;\n}\n"), "a {\ncolor: red;\n}\n");
  });

  it("has no text over several lines, which would lose its indents", () => {
    for (const file of globSync(`${PAGE}/*.js`)) {
      const text = slim(readFileSync(file, "utf8"));
      for (const line of text.split("\n")) assert.equal((line.match(/`/g) ?? []).length % 2, 0, `${file}: ${line}`);
    }
  });

  it("can still be read by an engine", () => {
    for (const file of globSync(`${PAGE}/*.js`)) {
      // Modules are read as scripts when their imports and exports are put away.
      const text = slim(readFileSync(file, "utf8"))
        .replace(/^import [^;]*;$/gm, "")
        .replace(/^export /gm, "");
      assert.doesNotThrow(() => new Script(text, { filename: file }), file);
    }
  });
});
