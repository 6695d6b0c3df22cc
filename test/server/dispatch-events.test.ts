import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseState, TIMEOUT_CODE } from "../../src/dispatch/index.ts";
import { DispatchEvents, type DispatcherStatus, type EventCallbackMode } from "../../src/server/dispatch-events.ts";
import { Bench } from "../dispatch/support.ts";

/** A dispatcher whose changes are told. */
function start(mode: EventCallbackMode, list = "1 sip:192.0.2.1 0 0 duid=a\n") {
  const statuses: string[] = [];
  const events: string[] = [];
  const logged: string[] = [];
  const say = ({ destination, isOpen, flags, cause }: DispatcherStatus) => `${destination.uri} ${isOpen ? "up" : "down"} ${flags} ${cause}`;
  const log = (_fields: object, message: string) => logged.push(message);
  const news = new DispatchEvents({
    mode: () => mode,
    status: (status) => statuses.push(say(status)),
    event: (status) => events.push(say(status)),
    log: { info: log, warn: log, error: log, debug: log } as never,
  });
  const bench = new Bench(list, { probingMode: 1 });
  const tell = () => {
    for (const change of bench.changes.splice(0)) news.changed(change);
  };
  news.setsChanged(bench.dispatcher.sets);
  const { dispatcher } = bench;
  const steps = {
    probe: () => dispatcher.probed(bench.at(0), TIMEOUT_CODE, undefined),
    probeGood: () => dispatcher.probed(bench.at(0), 200, undefined),
    script: () => dispatcher.report(bench.at(0), parseState("i")!, "script"),
    operator: () => dispatcher.setState(1, undefined, parseState("a")!),
    reload: () => bench.load(list.replace(" 0 0 ", " 4 0 ")),
  };
  return { news, bench, statuses, events, logged, steps, tell };
}

describe("event_callback_mode", () => {
  for (const [mode, wanted] of [
    [0, ["down IP probe", "down IX script"]],
    [1, ["down IP probe"]],
    [2, ["up AX load", "down IP probe", "down IX script", "down DX reload"]],
  ] as const) {
    it(`${mode} tells of ${wanted.join(", ")}, and never of what an operator does`, () => {
      const { statuses, events, steps, news, tell } = start(mode);
      for (const step of [steps.probe, steps.operator, steps.script, steps.operator, steps.reload]) {
        step();
        tell();
      }
      assert.deepEqual(
        events,
        wanted.map((text) => `sip:192.0.2.1 ${text}`),
      );
      assert.deepEqual(
        statuses.map((text) => text.replace("sip:192.0.2.1 ", "")),
        ["down IP probe", "up AX operator", "down IX script", "up AX operator", "down DX reload"],
      );
      assert.deepEqual(news.counters, { dst_down: 3, dst_up: 2 });
    });
  }

  it("2 tells how each new destination is, also of disabled ones (K#4906), and once", () => {
    const { events, news, bench } = start(2, "1 sip:192.0.2.1 0 9\n1 sip:192.0.2.2 4 8\n1 sip:192.0.2.3 1 7\n");
    assert.deepEqual(events, ["sip:192.0.2.1 up AX load", "sip:192.0.2.2 down DX load", "sip:192.0.2.3 down IX load"]);
    news.setsChanged(bench.dispatcher.sets);
    assert.equal(events.length, 3);
  });
});

describe("the log", () => {
  it("says each change of state, and an event only when requests begin or end", () => {
    const { logged, statuses, bench, steps, tell } = start(0);
    bench.dispatcher.setOptions({ probingThreshold: 2 });
    steps.probe();
    steps.probe();
    steps.probe();
    steps.probeGood();
    tell();
    assert.deepEqual(logged, [
      "dispatcher destination <sip:192.0.2.1> of set 1 is TP, was AX (probe)",
      "dispatcher destination <sip:192.0.2.1> of set 1 is down: IP (probe)",
      "dispatcher destination <sip:192.0.2.1> of set 1 is up: AP (probe)",
    ]);
    assert.equal(statuses.length, 2);
  });
});
