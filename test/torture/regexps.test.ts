import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { processorMs } from "./processor-time.ts";
import { hasQuantifier, hostileTo, type Literal, literalsIn, literalsOf } from "./regexps.ts";

/** Short, so that an exponential one is found before it takes minutes, on a fast machine by the second of them; then long enough for a quadratic one to stand out. */
const LENGTHS = [20, 25, 4_000] as const;
/** Most that one look at such a text may take of the processor. A linear one takes hundredths of a millisecond, a quadratic one tens of milliseconds. */
const MAX_MS = 4;
const ATTEMPTS = 15;
/** Beyond this it is not asked again. */
const HOPELESS_MS = 300;
const FOLDER = "src";

function look(expression: RegExp, text: string): number {
  expression.lastIndex = 0;
  return processorMs(() => {
    if (expression.global) text.replace(expression, "");
    else expression.exec(text);
  });
}

/** The text that the expression takes too long for, and how long. The compiler's work, and that of the collector of garbage, is told apart by asking again. */
function slowest({ source, flags }: Literal): string | undefined {
  const expression = new RegExp(source, flags);
  for (const length of LENGTHS) {
    for (const text of hostileTo({ source }, length)) {
      let ms = look(expression, text);
      for (let i = 0; i < ATTEMPTS && ms > MAX_MS && ms < HOPELESS_MS; i++) ms = Math.min(ms, look(expression, text));
      if (ms > MAX_MS) return `${ms.toFixed(1)} ms for ${JSON.stringify(text.slice(0, 20))}, ${text.length} characters`;
    }
  }
  return undefined;
}

describe("the regular expressions of the program", () => {
  const all = literalsOf(FOLDER);
  const unique = [...new Map(all.map((each) => [`${each.flags}/${each.source}`, each])).values()].filter(hasQuantifier);

  it("are found: literals, not divisions, strings or comments", () => {
    assert.ok(all.length > 100, `${all.length} were found`);
    const text = [
      "const a = b / c / d; // x /no/ y",
      'const e = /["/]+\\//g.test("/no/"); /* /no/ */',
      ["f(`/no/ $", "{g(/in/)} /no/`); return /last/;"].join(""), // a template holds code between its braces
    ].join("\n");
    assert.deepEqual(
      literalsIn(text).map(({ line, source, flags }) => [line, source, flags]),
      [
        [2, '["/]+\\/', "g"],
        [3, "in", ""],
        [3, "last", ""],
      ],
    );
  });

  it("that backtrack are found: exponential and quadratic ones", () => {
    for (const source of ["^(a+)+$", "(x*)*y", "^\\s*([^/\\s]*)\\s*\\/", "\\s+$"]) {
      assert.ok(slowest({ file: "", line: 0, source, flags: "" }) !== undefined, source);
    }
  });

  it("do not backtrack, whatever they are given", () => {
    const slow = unique.flatMap((each) => {
      const found = slowest(each);
      return found === undefined ? [] : [`${each.file}:${each.line} /${each.source}/${each.flags}: ${found}`];
    });
    assert.deepEqual(slow, []);
  });
});
