import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Value } from "typebox/value";
import { stringify } from "yaml";
import { ConfigError, ConfigSchema } from "../../src/config/index.ts";
import { parseConfig } from "../../src/config/load.ts";

/** Names that the schema knows at some depth, and others. */
const name = fc.oneof(
  fc.constantFrom(
    "sip",
    "tm",
    "routing",
    "rules",
    "match",
    "header",
    "listen",
    "load_balancer",
    "mi_http",
    "auth",
    "reject",
    "dispatch",
    "group",
    "flags",
    "script",
    "health",
    "breaker",
    "jitter",
    "outbound",
    "next_hop",
    "deny_targets",
    "lb_define_blacklist",
    "probing_reply_codes",
    "events",
    "webhooks",
    "url",
    "explain",
  ),
  fc.string(),
);
const leaf = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
  fc.constantFrom("udp:0.0.0.0:0", "408", "10.0.0.0/8", "list= 1,4", "https://hooks.example/x", 0.25),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.dictionary(name, tie("tree"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

/** Whatever the text: a configuration that fits the schema, or messages each with a place. */
function isHandled(text: string): void {
  try {
    const { file: _, notices: __, ...values } = parseConfig(text, "h.yaml", { A: "1" });
    assert.ok(Value.Check(ConfigSchema, values));
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    assert.ok(error.problems.length > 0);
    for (const { line, column, message } of error.problems)
      assert.ok((line ?? 0) >= 1 && (column ?? 0) >= 1 && !message.includes("\n"), message);
  }
}

describe("a configuration that anybody may have written", () => {
  it("is used or refused with places, whatever values stand in it", () => {
    fc.assert(
      fc.property(tree, (value) => isHandled(stringify(value))),
      { numRuns: 400 },
    );
  });

  it("is used or refused with places, whatever text it is", () => {
    const pieces = fc.constantFrom(
      "sip",
      "routing",
      ":",
      "- ",
      "\n",
      "  ",
      "{",
      "}",
      "[",
      "]",
      "&a ",
      "*a",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what the configuration file holds
      "${A}",
      "${",
      '"',
      "'",
      "#",
      "|",
      "!!",
      "---",
      "?",
      "\t",
      "0",
      "x",
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => isHandled(parts.join(""))),
      { numRuns: 400 },
    );
  });
});
