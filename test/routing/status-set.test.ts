import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FailureCause } from "../../src/proxy/ports.ts";
import { compileStatusList, holdsFailure, holdsStatus, StatusPatterns } from "../../src/routing/status-set.ts";

describe("failover_on and disable_on", () => {
  const cases: [list: (string | number)[], holds: number[], lacks: number[]][] = [
    [
      ["408", "5xx"],
      [408, 500, 503, 599],
      [407, 409, 499, 600, 0, -1, 1000],
    ],
    [["50x"], [500, 509], [510]],
    [["5X3"], [503, 593], [502]],
    [
      [486, "6xx"],
      [486, 600, 699],
      [487, 599],
    ],
    [[], [], [408, 503]],
  ];
  for (const [list, holds, lacks] of cases) {
    it(`${JSON.stringify(list)} holds ${holds.join(", ")} and lacks ${lacks.join(", ")}`, () => {
      const set = compileStatusList("failover_on", list);
      for (const status of holds) assert.ok(holdsStatus(set, status), String(status));
      for (const status of lacks) assert.ok(!holdsStatus(set, status), String(status));
    });
  }

  for (const entry of ["", "4", "xxx", "200", "1xx", "700", "40", "4088", "5..", "timeouts", "Timeout", "constructor", -408]) {
    it(`refuses ${JSON.stringify(entry)}`, () => {
      assert.throws(() => compileStatusList("failover_on", [entry]), {
        name: "RoutingError",
        message: `Cannot use failover_on "${entry}": want a status code from 300 to 699, such as "408", "50x" or "5xx", or the word "timeout" or "transport"`,
      });
    });
  }

  const response: [number, FailureCause] = [408, "response"];
  const refused: [number, FailureCause] = [503, "response"];
  const timeout: [number, FailureCause] = [408, "timeout"];
  const transport: [number, FailureCause] = [503, "transport-error"];
  const deserted: [number, FailureCause] = [408, "refused"];
  const words: [list: string[], holds: [number, FailureCause][], lacks: [number, FailureCause][]][] = [
    [["timeout"], [timeout, deserted], [response, refused, transport]],
    [["transport"], [transport, deserted], [response, refused, timeout]],
    [["408"], [response, timeout, deserted], [refused, transport]],
    [["5xx"], [refused, transport], [response, timeout, deserted]],
    [["timeout", "503"], [timeout, deserted, refused, transport], [response]],
    [[], [], [response, refused, timeout, transport, deserted]],
  ];
  for (const [list, holds, lacks] of words) {
    it(`${JSON.stringify(list)}: a status holds what was made here too, a word nothing else`, () => {
      const set = compileStatusList("failover_on", list);
      for (const [status, cause] of holds) assert.ok(holdsFailure(set, status, cause), `${status} ${cause}`);
      for (const [status, cause] of lacks) assert.ok(!holdsFailure(set, status, cause), `${status} ${cause}`);
      for (let word = 0; word < 100; word++) assert.ok(!holdsStatus(set, word), "a word is no status");
    });
  }
});

describe("call.statusIs()", () => {
  const cases: [pattern: string, status: number, want: boolean][] = [
    ["408|5..", 408, true],
    ["408|5..", 503, true],
    ["408|5..", 404, false],
    ["(408)|(5[0-9][0-9])", 599, true],
    ["[456][0-9][0-9]", 302, false],
    ["40", 408, false],
    ["8", 408, false],
    ["...", 0, false],
  ];
  const patterns = new StatusPatterns();
  for (const [pattern, status, want] of cases) {
    it(`"${pattern}" ${want ? "matches" : "does not match"} ${status}`, () => assert.equal(patterns.matches(pattern, status), want));
  }

  it("refuses what is no regular expression", () => {
    assert.throws(() => patterns.matches("(408", 408), {
      name: "RoutingError",
      message: 'Cannot use status pattern "(408": want a regular expression, such as "408|5.."',
    });
  });

  it("answers right for more patterns than it remembers", () => {
    for (let round = 0; round < 2; round++) {
      for (let status = 100; status < 700; status++) {
        assert.ok(patterns.matches(String(status), status));
        assert.ok(!patterns.matches(String(status), status + 1));
      }
    }
  });
});
