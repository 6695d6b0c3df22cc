import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  ALGORITHM_NAMES,
  algorithmName,
  algorithmOf,
  countsCalls,
  type Destination,
  isKnown,
  isOpen,
  kamailioHash,
  type Selection,
} from "../../src/dispatch/index.ts";
import { Bench, chiSquare, made, request } from "./support.ts";

const TEN = Array.from({ length: 10 }, (_, i) => `1 sip:10.0.0.${i}:5060`).join("\n");
const ALGORITHMS = ALGORITHM_NAMES.map((name) => algorithmOf(name)!);
const callId = (i: number) => request({ 0: `${i}-abcdef@host` });
const all = (i: number) => request({ 0: `c${i}`, 1: { user: `u${i}`, host: "h" }, 2: `t${i}`, 3: `r${i}`, 5: `a${i}`, 7: `k${i}` });

/** How often each destination of set 1 is picked, by position. */
function picks(bench: Bench, algorithm: number, count: number, of: (i: number) => ReturnType<typeof request> = callId): number[] {
  const uris = bench.dispatcher.set(1)!.destinations as readonly Destination[];
  const counts = uris.map(() => 0);
  for (let i = 0; i < count; i++) {
    const selection = made(bench.dispatcher.select(1, algorithm, of(i)));
    counts[uris.indexOf(selection.destination)]!++;
    selection.release();
  }
  return counts;
}

function close(bench: Bench, ...positions: number[]): void {
  for (const position of positions) bench.dispatcher.report(bench.at(position), 1, "script");
}

describe("algorithms", () => {
  it("have Kamailio's numbers, and names", () => {
    assert.deepEqual(ALGORITHMS, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 64, 100, 101]);
    for (const [i, name] of ALGORITHM_NAMES.entries()) assert.equal(algorithmName(ALGORITHMS[i]!), name);
    assert.deepEqual(["4", 4, "Round-Robin", "65", "x", "", -1, 1.5, "99999999999"].map(algorithmOf), [
      4,
      4,
      4,
      65,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    assert.deepEqual([isKnown(65), isKnown(64)], [false, true]);
    assert.deepEqual(ALGORITHMS.filter(countsCalls), [10, 100, 101]);
  });
  it("hash as Kamailio does (dispatcher.hash of 5.6.3)", () => {
    const hashes = [["alice", "server.com"], ["a"], ["abcd"], ["\xc3\xa9\xc3\xbc"], ["abcde", "host:5070"]].map(([first = "", second]) =>
      kamailioHash(first, second),
    );
    assert.deepEqual(hashes, [1412806172, 109, 1834959896, 3676312649, 270985409]);
    assert.equal(kamailioHash(""), 1);
  });
  it("pick only what may be picked, and something while anything may, with any states, loads and bounds", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            flags: fc.constantFrom(0, 0, 0, 1, 2, 4, 8),
            priority: fc.nat(3),
            weight: fc.nat(120),
            maxload: fc.nat(3),
            isFree: fc.boolean(),
          }),
          { minLength: 1, maxLength: 12 },
        ),
        fc.array(fc.constantFrom(...ALGORITHMS, 99), { minLength: 1, maxLength: 30 }),
        fc.boolean(),
        fc.nat(1000),
        (rows, algorithms, useDefault, seed) => {
          const list = rows.map(
            ({ flags, priority, weight, maxload }, i) =>
              `1 sip:10.0.0.${i} ${flags} ${priority} maxload=${maxload}${weight > 0 ? `;weight=${weight};rweight=${weight}` : ""}`,
          );
          const bench = new Bench(list.join("\n"), { useDefault }, seed + 1);
          const isFree = ({ uri }: Destination) => rows[Number(/\.(\d+)$/.exec(uri)![1])]!.isFree;
          for (const [i, algorithm] of algorithms.entries()) {
            const { destinations } = bench.dispatcher.set(1)!;
            const hasRoom = ({ attributes, load }: Destination) =>
              attributes.maxLoad === 0 || load < attributes.maxLoad || !countsCalls(algorithm);
            const may = destinations.filter((one) => isOpen(one.flags) && isFree(one) && hasRoom(one));
            const selection = bench.dispatcher.select(1, algorithm, { ...all(i), isFree });
            if (typeof selection === "string") {
              assert.equal(may.length, 0, `${algorithm}: ${list}`);
              assert.equal(selection, destinations.some(({ flags }) => isOpen(flags)) ? "no-capacity" : "no-destination");
              continue;
            }
            assert.ok(may.includes(selection.destination as (typeof may)[number]), `${algorithm}: ${list}`);
            const given = new Set([selection.destination]);
            for (let next = i % 2 === 0 ? selection.next() : undefined; next !== undefined; next = selection.next()) {
              assert.ok(!given.has(next) && isOpen(next.flags) && isFree(next));
              given.add(next);
            }
            if (i % 2 === 0) assert.equal(given.size, may.length, `${algorithm}: ${list}`);
            if (i % 3 === 0) selection.release();
          }
          const set = bench.dispatcher.set(1)!;
          const open = set.destinations.slice(0, set.span).filter(({ flags }) => isOpen(flags));
          assert.equal(
            set.openLoads,
            open.reduce((sum, { load }) => sum + load, 0),
          );
          for (const { attributes, load } of set.destinations)
            assert.ok(load >= 0 && (attributes.maxLoad === 0 || load <= attributes.maxLoad));
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("a closed slot", () => {
  it("moves nobody else, and its own are spread over all (K#2361)", () => {
    const bench = new Bench(TEN);
    const before = Array.from({ length: 4000 }, (_, i) => made(bench.dispatcher.select(1, 0, callId(i))).destination);
    close(bench, 3, 4);
    const moved: Destination[] = [];
    for (const [i, was] of before.entries()) {
      const now = made(bench.dispatcher.select(1, 0, callId(i))).destination;
      if (isOpen(was.flags)) assert.equal(now, was);
      else moved.push(now);
    }
    const alive = bench.dispatcher.set(1)!.destinations.filter(({ flags }) => isOpen(flags));
    const counts = alive.map((one) => moved.filter((now) => now === one).length);
    assert.ok(
      chiSquare(
        counts,
        alive.map(() => 1),
      ) < 1,
      String(counts),
    );
    const thenMoved = before.map((_, i) => made(bench.dispatcher.select(1, 0, callId(i))).destination);
    close(bench, 7);
    for (const [i, was] of thenMoved.entries())
      if (isOpen(was.flags)) assert.equal(made(bench.dispatcher.select(1, 0, callId(i))).destination, was);
  });
  it("is made good by all in random and weighted picks", () => {
    const bench = new Bench(
      Array.from({ length: 5 }, (_, i) => `1 sip:10.0.0.${i} 0 ${9 - i} weight=${[10, 20, 30, 15, 25][i]}`).join("\n"),
    );
    close(bench, 1);
    assert.ok(
      chiSquare(
        picks(bench, 6, 4000).filter((_, i) => i !== 1),
        [1, 1, 1, 1],
      ) < 1,
    );
    assert.deepEqual(picks(bench, 9, 800), [100, 0, 300, 150, 250]);
  });
});

describe("weights", () => {
  const weighted = (weights: readonly number[], name = "weight") =>
    new Bench(
      weights.map((weight, i) => `1 sip:10.0.${i >> 8}.${i & 255} 0 ${9000 - i}${weight > 0 ? ` ${name}=${weight}` : ""}`).join("\n"),
    );
  const cases: { name: string; weights: number[]; count: number; want: number[] }[] = [
    { name: "are percent", weights: [50, 30, 20], count: 100, want: [50, 30, 20] },
    { name: "leave what is missing to the last, as Kamailio does", weights: [20, 30], count: 100, want: [20, 80] },
    { name: "are shares above 100 (K#4158)", weights: [100, 100, 50], count: 250, want: [100, 100, 50] },
    { name: "may be above 100 each", weights: [3000, 1000], count: 400, want: [300, 100] },
    { name: "need not begin with the first", weights: [0, 60, 40], count: 100, want: [0, 60, 40] },
    { name: "send all to the first when there is none, as Kamailio does", weights: [0, 0, 0], count: 50, want: [50, 0, 0] },
  ];
  for (const { name, weights, count, want } of cases) it(name, () => assert.deepEqual(picks(weighted(weights), 9, count), want));

  it("reach 250 destinations", () => {
    assert.deepEqual(
      picks(weighted(Array.from({ length: 250 }, () => 1)), 9, 500),
      Array.from({ length: 250 }, () => 2),
    );
  });
  it("are spread evenly: no destination waits for its turn twice as long as it should", () => {
    const bench = weighted([50, 30, 20]);
    const gaps: number[] = [];
    let last = 0;
    for (let i = 1; i <= 1000; i++) {
      if (made(bench.dispatcher.select(1, 9, callId(i))).destination !== bench.at(2)) continue;
      gaps.push(i - last);
      last = i;
    }
    assert.ok(Math.max(...gaps) <= 7, String(Math.max(...gaps)));
  });
  it("of algorithm 11 are relative to those that live, without a remainder for the last (K#2698)", () => {
    const bench = weighted([1, 2, 1], "rweight");
    assert.deepEqual(picks(bench, 11, 100), [25, 50, 25]);
    close(bench, 2);
    const counts = picks(bench, 11, 300);
    assert.ok(Math.abs(counts[0]! - 100) <= 1 && counts[2] === 0, String(counts));
    assert.deepEqual(
      picks(
        weighted(
          Array.from({ length: 40 }, () => 1),
          "rweight",
        ),
        11,
        400,
      ),
      Array.from({ length: 40 }, () => 10),
    );
  });
  it("of algorithm 15 count within the lowest priority that lives", () => {
    const bench = new Bench(
      ["1 sip:10.0.0.1 0 10 weight=30", "1 sip:10.0.0.2 0 10 weight=10", "1 sip:10.0.0.3 0 20 weight=5", "1 sip:10.0.0.4 0 10"].join("\n"),
    );
    const counted = () => Object.fromEntries(picks(bench, 15, 400).map((count, i) => [bench.at(i).uri.at(-1), count]));
    assert.deepEqual(counted(), { 1: 300, 2: 100, 3: 0, 4: 0 });
    bench.dispatcher.setState(1, "sip:10.0.0.1", 1);
    bench.dispatcher.setState(1, "sip:10.0.0.2", 1);
    assert.deepEqual(counted(), { 1: 0, 2: 0, 3: 0, 4: 400 });
    bench.dispatcher.setState(1, "sip:10.0.0.4", 1);
    assert.deepEqual(counted(), { 1: 0, 2: 0, 3: 400, 4: 0 });
  });
  it("of algorithm 15 go on by priority, and by chance as the weights say", () => {
    const bench = new Bench(
      ["1 sip:10.0.0.1 0 1", "1 sip:10.0.0.2 0 10 weight=30", "1 sip:10.0.0.3 0 10 weight=10", "1 sip:10.0.0.4 0 20 weight=5"].join("\n"),
    );
    const seconds = Array.from({ length: 2000 }, () => {
      const selection = made(bench.dispatcher.select(1, 15, callId(0)));
      const rest = selection.all().map(({ uri }) => uri.at(-1));
      assert.deepEqual([rest[0], rest[3], rest.length], ["1", "4", 4]);
      return rest[1];
    });
    const counts = ["2", "3"].map((name) => seconds.filter((second) => second === name).length);
    assert.ok(chiSquare(counts, [30, 10]) < 1, String(counts));
  });
});

describe("calls", () => {
  it("are counted in the step of the pick, moved by a failover, and given back once (K#4047)", () => {
    const bench = new Bench("1 sip:10.0.0.1 0 3 maxload=1\n1 sip:10.0.0.2 0 2 maxload=1\n1 sip:10.0.0.3 0 1 maxload=5");
    const loads = () => bench.dispatcher.set(1)!.destinations.map(({ load }) => load);
    const select = () => bench.dispatcher.select(1, 10, callId(0));
    const one = made(select());
    const two = made(select());
    assert.deepEqual(loads(), [1, 1, 0]);
    assert.equal(one.next()?.uri, "sip:10.0.0.3");
    assert.deepEqual(loads(), [0, 1, 1]);
    assert.equal(one.next(), undefined);
    assert.deepEqual(loads(), [0, 1, 1]);
    const rest = Array.from({ length: 5 }, () => made(select()));
    assert.equal(select(), "no-capacity");
    for (const selection of [one, one, two, ...rest]) selection.release();
    assert.deepEqual(loads(), [0, 0, 0]);
  });
  it("are no other requests: those take the first and count nothing", () => {
    const bench = new Bench("1 sip:10.0.0.1 0 3 maxload=1\n1 sip:10.0.0.2 0 2");
    for (let i = 0; i < 3; i++) made(bench.dispatcher.select(1, 10, request({}, { isCall: false })));
    assert.deepEqual(
      [0, 1].map((i) => bench.at(i).load),
      [0, 0],
    );
  });
  it("that find all full hear the destination of use_default", () => {
    const bench = new Bench("1 sip:10.0.0.1 0 3 maxload=1\n1 sip:10.0.0.2 0 2", { useDefault: true });
    const uris = Array.from({ length: 3 }, () => made(bench.dispatcher.select(1, 10, callId(0))).destination.uri);
    assert.deepEqual(uris, ["sip:10.0.0.1", "sip:10.0.0.2", "sip:10.0.0.2"]);
  });
});

describe("rendezvous hashing", () => {
  const weights = [1, 1, 2, 4, 8];
  const list = weights.map((weight, i) => `1 sip:10.0.0.${i} 0 ${9 - i} weight=${weight}`).join("\n");
  const idle = (i: number) => ({ ...callId(i), isCall: false });

  it("shares by weight, and moves only the keys of a destination that closes", () => {
    const bench = new Bench(list);
    assert.ok(chiSquare(picks(bench, 100, 8000, idle), weights) < 1);
    const before = Array.from({ length: 2000 }, (_, i) => made(bench.dispatcher.select(1, 100, idle(i))).destination);
    close(bench, 3);
    for (const [i, was] of before.entries()) {
      const selection = made(bench.dispatcher.select(1, 100, idle(i)));
      if (was !== bench.at(3)) assert.equal(selection.destination, was);
      bench.dispatcher.setState(1, undefined, 0);
      assert.equal(made(bench.dispatcher.select(1, 100, idle(i))).next() === selection.destination, was === bench.at(3));
      close(bench, 3);
    }
  });
  it("lets nobody have more than a quarter above its share", () => {
    const bench = new Bench(list);
    const same = () => request({ 0: "always the same" });
    const selections: Selection[] = [];
    for (let i = 1; i <= 400; i++) {
      selections.push(made(bench.dispatcher.select(1, 100, i % 3 === 0 ? callId(i) : same())));
      for (const { load, attributes } of bench.dispatcher.set(1)!.destinations) {
        assert.ok(load <= Math.ceil((1.25 * i * attributes.weight) / 16), `${load} of ${i}`);
      }
    }
    const counts = bench.dispatcher.set(1)!.destinations.map(({ load }) => load);
    assert.equal(
      counts.reduce((sum, load) => sum + load, 0),
      400,
    );
    for (const selection of selections) selection.release();
  });
  it("respects maxload, and takes the key that is asked for", () => {
    const bench = new Bench("1 sip:10.0.0.1 0 0 maxload=1\n1 sip:10.0.0.2 0 0 maxload=1");
    const from = (user: string) => request({ 1: { user, host: "h" } });
    assert.equal(bench.dispatcher.select(1, 100, from("a")), "no-key");
    const key = { key: 1 } as const;
    const uris = [1, 2].map(() => made(bench.dispatcher.select(1, 100, from("a"), key)).destination.uri);
    assert.notEqual(uris[0], uris[1]);
    assert.equal(bench.dispatcher.select(1, 100, from("a"), key), "no-capacity");
  });
});

describe("least outstanding of two", () => {
  it("keeps loads nearly even, where chance alone does not", () => {
    const spread = (algorithm: number): number => {
      const bench = new Bench(TEN, {}, 7);
      const uris = bench.uris();
      const counts = uris.map(() => 0);
      for (let i = 0; i < 5000; i++) counts[uris.indexOf(made(bench.dispatcher.select(1, algorithm, callId(i))).destination.uri)]!++;
      return Math.max(...counts) - Math.min(...counts);
    };
    assert.ok(spread(101) <= 10, String(spread(101)));
    assert.ok(spread(6) > 40, String(spread(6)));
  });
  it("compares loads by weight", () => {
    const bench = new Bench("1 sip:10.0.0.1 0 1 weight=3\n1 sip:10.0.0.2 0 0 weight=1");
    for (let i = 0; i < 400; i++) made(bench.dispatcher.select(1, 101, callId(i)));
    assert.deepEqual(
      [0, 1].map((i) => bench.at(i).load),
      [300, 100],
    );
  });
});

describe("overload control, algorithm 64", () => {
  it("keeps the reported part of the requests away for as long as the report holds", () => {
    const bench = new Bench("1 sip:10.0.0.1 0 9 ocmin=5;ocmax=90;ocrate=50\n1 sip:10.0.0.2 0 8");
    assert.deepEqual(picks(bench, 64, 100), [50, 50]);
    assert.equal(bench.dispatcher.setOverload(1, "sip:10.0.0.1", 40, 1000, 1), true);
    assert.equal(bench.dispatcher.setOverload(1, "sip:10.0.0.1", 90, 1000, 1), false);
    assert.equal(bench.dispatcher.setOverload(9, "sip:10.0.0.1", 90, 1000, 2), undefined);
    const [first = 0, second = 0] = picks(bench, 64, 1000);
    assert.ok(second > first * 1.5 && first > 300, `${first} ${second}`);
    bench.nowMs = 1001;
    assert.deepEqual(picks(bench, 64, 100), [50, 50]);
    bench.dispatcher.setOverload(1, "sip:10.0.0.1", 100, 0, 2);
    assert.equal(bench.at(0).overload.rate, 90);
  });
  it("refuses requests when all keep them away", () => {
    const bench = new Bench("1 sip:10.0.0.1");
    bench.dispatcher.setOverload(1, "sip:10.0.0.1", 25, 1000, 1);
    const refused = Array.from({ length: 100 }, (_, i) => bench.dispatcher.select(1, 64, callId(i))).filter((one) => one === "no-capacity");
    assert.equal(refused.length, 25);
  });
});
