import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseResources } from "../../src/balancer/index.ts";
import { freeswitchFeeds, withoutPasswords } from "../../src/freeswitch/index.ts";

describe("a resources column that names FreeSWITCHes", () => {
  it("may name several of them, beside numbers", () => {
    const resources = parseResources("a=fs://:x@h1; b = 5 ;c=FS://u:x@h2:9000;", freeswitchFeeds(70));
    assert.deepEqual(
      resources.map(({ name, capacity, feed }) => [name, capacity, feed?.key]),
      [
        ["a", 70, "h1:8021:"],
        ["b", 5, undefined],
        ["c", 70, "h2:9000:u"],
      ],
    );
  });

  const shown: [column: string, want: string][] = [
    ["calls=30;conf=2", "calls=30;conf=2"],
    ["calls=fs://:SECRET@h", "calls=fs://:***@h"],
    ["calls = fs://me:SECRET@h:8021 ; conf=2", "calls = fs://me:***@h:8021 ; conf=2"],
    ["a=fs://:SEC@RET@h;b=FS://:SECRET@[::1]:1", "a=fs://:***@h;b=fs://:***@[::1]:1"],
    ["a=fs://:SEC;RET@h;b=2", "a=fs://***"],
    ["a=fs://SECRET", "a=fs://***"],
    ["a=fs:/:SECRET@h;b=2", "a=fs://***"],
    ["a=fs//:SECRET@h", "a=fs://***"],
    ["", ""],
  ];
  for (const [column, want] of shown) {
    it(`is shown as "${want}"`, () => {
      const text = withoutPasswords(column);
      assert.equal(text, want);
      assert.ok(!/SECRET|SEC|RET/.test(text));
    });
  }

  it("is refused as it is shown: three stars are no password", () => {
    assert.throws(
      () => parseResources(withoutPasswords("calls=fs://:x@h"), freeswitchFeeds(1)),
      /"\*\*\*" stands where a password is not shown/,
    );
    assert.equal(parseResources("calls=fs://:%2A%2A%2A@h", freeswitchFeeds(1)).length, 1);
  });
});
