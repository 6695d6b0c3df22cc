import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseConfig } from "../../src/config/load.ts";

const read = (text: string) => parseConfig(text, "headroom.yaml", {});

describe("the section overload of the configuration", () => {
  it("has limits by default that no usual carrier reaches, and no ceiling", () => {
    const { scanners, ...rest } = read("").overload;
    assert.deepEqual(rest, {
      sampling_time_unit: 2,
      reqs_density_per_unit: 60_000,
      remove_latency: 120,
      exempt: [],
      new_calls_per_second: 0,
      max_lag: 0.5,
      max_utilization: 0.98,
      max_backlog: 0.5,
      retry_after: 10,
      scanner_answer: "silence",
    });
    for (const name of ["friendly-scanner", "sipvicious"]) assert.ok(scanners.includes(name));
    assert.equal(read("").sip.stop_timeout, 10);
  });

  it("takes one block and one mark without a list, and 403 with or without quotes", () => {
    const { exempt, scanners, scanner_answer } = read(
      'overload: { exempt: 192.0.2.0/24, scanners: sipsak, scanner_answer: "403" }',
    ).overload;
    assert.deepEqual([exempt, scanners, scanner_answer], [["192.0.2.0/24"], ["sipsak"], "403"]);
  });

  const bad: [text: string, want: RegExp][] = [
    ["overload: { exempt: [nobody] }", /overload\.exempt.*"nobody".*CIDR/],
    ["overload: { scanners: [ab] }", /overload\.scanners.*"ab".*3 to 100 printable ASCII characters/],
    ["overload: { max_utilization: 2 }", /overload\.max_utilization.*found 2.*0 to 1/],
    ["overload: { reqs_density_per_unit: -1 }", /reqs_density_per_unit.*found -1/],
    ["overload: { scanner_answer: 404 }", /scanner_answer.*"silence"/],
    ["overload: { pike: 1 }", /pike/],
    ["sip: { stop_timeout: soon }", /stop_timeout.*soon/],
  ];
  for (const [text, want] of bad) it(`refuses ${text}`, () => assert.throws(() => read(text), want));

  it("says which keys have no effect because a limit is off", () => {
    const { notices } = read("overload: { reqs_density_per_unit: 0, remove_latency: 9, scanners: [], scanner_answer: '403' }");
    assert.deepEqual(notices, [
      "headroom.yaml:1:55: overload.remove_latency has no effect: overload.reqs_density_per_unit is 0",
      "headroom.yaml:1:88: overload.scanner_answer has no effect: overload.scanners is empty",
    ]);
  });
});
