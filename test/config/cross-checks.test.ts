import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConfigError } from "../../src/config/index.ts";
import { parseConfig } from "../../src/config/load.ts";

describe("the age of heartbeats that are stale", () => {
  for (const heartbeats of [0, 2, 3, 1000]) {
    it(`may be ${heartbeats}`, () => {
      const text = `freeswitch: { stale_heartbeats: ${heartbeats} }`;
      assert.equal(parseConfig(text, "h.yaml", {}).freeswitch.stale_heartbeats, heartbeats);
    });
  }

  it("is refused when heartbeats reach it in health", () => {
    const why =
      "h.yaml:1:33: freeswitch.stale_heartbeats: found 1, want 0 or a whole number from 2 to 1000: gaps between heartbeats vary by half";
    assert.throws(
      () => parseConfig("freeswitch: { stale_heartbeats: 1 }", "h.yaml", {}),
      (error) => error instanceof ConfigError && error.message.includes(why),
    );
  });
});
