import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Dialog } from "../../src/dialog/index.ts";
import { GAP_PINGS_PER_SECOND, GAP_REPEAT_MS, GapPings } from "../../src/server/gap-pings.ts";
import type { SessionGap } from "../../src/server/load-audit.ts";
import { FakeClock } from "../support/fake-clock.ts";

const URL = "fs://127.0.0.1:8021";
const INTERVAL_S = 30;

interface Bench {
  readonly pings: GapPings;
  readonly clock: FakeClock;
  /** Calls by the cell that they hold. */
  readonly calls: { readonly load: { readonly leases: number[] } }[];
  /** When each is to be asked, in milliseconds. */
  asked: number[];
  refuses: boolean;
}

/** Destination N has cell 10 * N. */
function bench(isWanted = true): Bench {
  const clock = new FakeClock();
  const made: Bench = {
    clock,
    calls: [],
    asked: [],
    refuses: false,
    pings: new GapPings({
      balancer: { destination: (id) => ({ id, key: String(id) }) as never, cellsOf: ({ key }) => [Number(key) * 10] },
      dialogs: { list: () => made.calls.values() as unknown as IterableIterator<Dialog> },
      verify: (_dialog, afterMs) => {
        if (!made.refuses) made.asked.push(afterMs);
        return !made.refuses;
      },
      config: { dialog: { options_ping_interval: INTERVAL_S, ping_missing_sessions: isWanted } },
      after: (ms, run) => clock.after(ms, run),
      log: { debug() {}, info() {}, warn() {}, error() {} },
    }),
  };
  return made;
}

function hold(made: Bench, cell: number, count: number): void {
  for (let i = 0; i < count; i++) made.calls.push({ load: { leases: [cell] } });
}

const gap = (state: SessionGap["state"], destinations: readonly number[] = [1]): SessionGap => ({
  ...{ state, url: URL, destinations, calls: 10, sessions: 9 },
});

async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
}

describe("a FreeSWITCH that lacks sessions", () => {
  it("is asked for each of its calls and for no other one, evenly over the interval of pings", async () => {
    const made = bench();
    hold(made, 10, 30);
    hold(made, 20, 30);
    made.pings.gapChanged(gap("raised"));
    await turns();
    assert.deepEqual(
      made.asked,
      [...Array(30).keys()].map((i) => (i + 1) * 1_000),
    );
    made.pings.close();
  });

  it("many calls take longer: it has others to handle", async () => {
    const made = bench();
    hold(made, 10, 6_000);
    hold(made, 20, 3_000);
    made.pings.gapChanged(gap("raised", [1, 2]));
    await turns();
    assert.deepEqual([made.asked.length, made.asked.at(-1)], [9_000, (9_000 / GAP_PINGS_PER_SECOND) * 1000]);
    made.pings.close();
  });

  it("is asked again while it goes on to lack some, and no more once it does not", async () => {
    const made = bench();
    hold(made, 10, 3);
    made.pings.gapChanged(gap("raised"));
    await turns();
    made.clock.advance(GAP_REPEAT_MS);
    await turns();
    assert.equal(made.asked.length, 6);
    made.pings.gapChanged(gap("ended"));
    assert.equal(made.clock.pending, 0);
    made.clock.advance(GAP_REPEAT_MS);
    await turns();
    assert.equal(made.asked.length, 6);
  });

  it("is not asked when nobody wants that, and nothing is left of it at the end", async () => {
    const unwanted = bench(false);
    hold(unwanted, 10, 3);
    unwanted.pings.gapChanged(gap("raised"));
    await turns();
    assert.deepEqual([unwanted.asked, unwanted.clock.pending], [[], 0]);
    const made = bench();
    hold(made, 10, 5_000);
    made.pings.gapChanged(gap("raised"));
    made.pings.close();
    await turns();
    assert.deepEqual([made.asked, made.clock.pending], [[], 0]);
  });
});
