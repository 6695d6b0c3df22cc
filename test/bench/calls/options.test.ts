import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { destinationUris } from "../../../bench/calls/addresses.ts";
import { PARTS, readOptions } from "../../../bench/calls/options.ts";
import { markdown } from "../../../bench/calls/table.ts";

describe("options of the bench of calls", () => {
  it("are all parts, three rounds and four rates by themselves", () => {
    assert.deepEqual(readOptions([]), {
      only: PARTS,
      rounds: 3,
      seconds: 10,
      rates: [500, 1000, 2000, 4000],
      rate: 1000,
      settleS: 6,
      start: 3000,
      priority: 0,
    });
  });
  it("put the parts that are wanted into their order", () => {
    assert.deepEqual(readOptions(["--only", "overload,cpu", "--rates", "500"]).only, ["cpu", "overload"]);
  });
  for (const [args, want] of [
    [["--only", "cpu,fast"], /"fast" is none of cpu, /],
    [["--rounds", "0"], /Cannot use --rounds "0": want a whole number from 1 to 20/],
    [["--rates", "500,"], /Cannot use --rates ""/],
    [["--speed", "1"], /--speed/],
  ] as const)
    it(`refuse ${args.join(" ")}`, () => assert.throws(() => readOptions(args), want));
});

describe("addresses of the bench of calls", () => {
  it("give each of ten thousand destinations one of its own", () => {
    const uris = destinationUris(10_000);
    assert.equal(new Set(uris).size, 10_000);
    assert.deepEqual(
      [uris[0], uris[249], uris[250], uris.at(-1)],
      ["sip:127.25.0.1:25080", "sip:127.25.0.250:25080", "sip:127.25.1.1:25080", "sip:127.25.39.250:25080"],
    );
  });
});

describe("tables of the bench of calls", () => {
  it("are Markdown whose columns stand below each other", () => {
    assert.equal(
      markdown({ title: "Calls", head: ["a", "long"], rows: [["1,000", "2"], ["3"]] }),
      "### Calls\n\n| a     | long |\n|-------|------|\n| 1,000 | 2    |\n| 3     |      |",
    );
  });
});
