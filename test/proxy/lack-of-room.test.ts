import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { lacksRoom } from "../../src/proxy/lack-of-room.ts";

describe("a server that lacks room", () => {
  const cases: [status: number, reason: string, want: boolean][] = [
    [503, "Maximum Calls In Progress", true],
    [503, "maximum calls in progress ", true],
    [503, "Service Unavailable", false],
    [503, "Maximum Calls In Progress now", false],
    [503, "", false],
    [486, "Maximum Calls In Progress", false],
    [500, "Maximum Calls In Progress", false],
  ];
  for (const [status, reason, want] of cases) {
    it(`says ${want ? "so" : "something else"} with ${status} "${reason}"`, () => assert.equal(lacksRoom({ status, reason }), want));
  }
});
