import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, it } from "node:test";

const ROOT = resolve(import.meta.dirname, "..", "..");

/** Every Markdown file of the repository, from its root. */
const PAGES = globSync("**/*.md", { cwd: ROOT, exclude: (name) => name === "node_modules" || name === "dist" }).sort();

interface Link {
  readonly text: string;
  /** What stands in the brackets: a path, an anchor, or both. */
  readonly target: string;
}

/** The links and pictures of a page; what stands in code is none. */
function linksOf(markdown: string): Link[] {
  return [...withoutCode(markdown).matchAll(/\[([^\]]*)\]\(([^)\s]+)\)/g)].map(([, text = "", target = ""]) => ({ text, target }));
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```/gm, "");
}

/** The anchors that GitHub makes of headings: lower case, blanks become hyphens, other signs vanish, the second of a name gets -1. */
function anchorsOf(markdown: string): Set<string> {
  const anchors = new Set<string>();
  const seen = new Map<string, number>();
  for (const [, heading = ""] of withoutCode(markdown).matchAll(/^#{1,6} +(.*)$/gm)) {
    const words = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .trim()
      .toLowerCase();
    const anchor = words.replace(/[^\p{L}\p{N}\p{M} _-]/gu, "").replaceAll(" ", "-");
    const times = seen.get(anchor) ?? 0;
    seen.set(anchor, times + 1);
    anchors.add(times === 0 ? anchor : `${anchor}-${times}`);
  }
  return anchors;
}

/** Why a link of a page leads nowhere; undefined when it leads somewhere, or out of the repository. */
function faultOf(page: string, target: string): string | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(target)) return undefined;
  const [path = "", anchor] = target.split("#", 2);
  const file = path === "" ? join(ROOT, page) : resolve(ROOT, dirname(page), decodeURIComponent(path));
  if (relative(ROOT, file).startsWith("..")) return `"${target}" leads out of the repository`;
  if (!existsSync(file)) return `there is no file "${relative(ROOT, file)}"`;
  if (anchor === undefined) return undefined;
  if (statSync(file).isDirectory() || !file.endsWith(".md")) return undefined;
  return anchorsOf(readFileSync(file, "utf8")).has(anchor) ? undefined : `"${relative(ROOT, file)}" has no heading "#${anchor}"`;
}

describe("the links of the documents", () => {
  it("lead to files and headings that are there", () => {
    const faults = PAGES.flatMap((page) =>
      linksOf(readFileSync(join(ROOT, page), "utf8")).flatMap(({ text, target }) => {
        const fault = faultOf(page, target);
        return fault === undefined ? [] : [`${page}: [${text}](${target}): ${fault}`];
      }),
    );
    assert.deepEqual(faults, []);
  });

  it("lead to every page of docs/ from its index", () => {
    const index = readFileSync(join(ROOT, "docs", "README.md"), "utf8");
    const targets = linksOf(index).map(({ target }) => target);
    const pages = PAGES.filter((page) => dirname(page) === "docs" && page !== join("docs", "README.md"));
    assert.deepEqual(
      pages.filter((page) => !targets.includes(relative("docs", page))),
      [],
    );
  });
});

describe("the check of links", () => {
  it("finds a missing file and a missing heading", () => {
    assert.equal(faultOf("README.md", "docs/nosuch.md"), 'there is no file "docs/nosuch.md"');
    assert.equal(faultOf("README.md", "docs/cookbook.md#nosuch"), '"docs/cookbook.md" has no heading "#nosuch"');
    assert.equal(faultOf("docs/cookbook.md", "../../x"), '"../../x" leads out of the repository');
    assert.equal(faultOf("README.md", "https://example.net/x"), undefined);
    assert.equal(faultOf("README.md", "docs/cookbook.md#by-the-domain"), undefined);
  });

  it("makes the anchors that GitHub makes", () => {
    const page = "# A `call.lb`: the *load* balancer\n## Twice\n## Twice\n```\n# none\n```\n### Who's [there](x.md)?\n";
    assert.deepEqual([...anchorsOf(page)], ["a-calllb-the-load-balancer", "twice", "twice-1", "whos-there"]);
  });
});
