import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Destination, MATCH_BEST, MATCH_SOCKET, type Selection } from "../../src/dispatch/index.ts";
import { Bench, made, request } from "./support.ts";

const TEN = Array.from({ length: 10 }, (_, i) => `1 sip:10.0.0.${i}:5060`).join("\n");
const callId = (i: number) => request({ 0: `${i}-abcdef@host` });

function close(bench: Bench, ...positions: number[]): void {
  for (const position of positions) bench.dispatcher.report(bench.at(position), 1, "script");
}

describe("failover", () => {
  it("looks at each destination when its turn comes", () => {
    const bench = new Bench(TEN);
    const selection = made(bench.dispatcher.select(1, 8, callId(0)));
    close(bench, 1, 2);
    assert.equal(selection.next(), bench.at(3));
    bench.dispatcher.setState(1, undefined, 0);
    assert.equal(selection.next(), bench.at(4));
  });
  it("keeps the limit over all sets of a chain", () => {
    const bench = new Bench(`${TEN}\n2 sip:10.1.0.1\n2 sip:10.1.0.2`);
    const routes = [
      { set: 2, algorithm: 4 },
      { set: 1, algorithm: 8 },
    ];
    const selection = made(bench.dispatcher.selectRoutes(routes, callId(0), { limit: 3 }));
    const uris = [selection.destination.uri, selection.next()?.uri, selection.next()?.uri, selection.next()?.uri];
    assert.deepEqual(uris, ["sip:10.1.0.2", "sip:10.1.0.1", bench.at(0).uri, undefined]);
    assert.equal(selection.algorithm, 8);
    assert.equal(bench.dispatcher.selectRoutes([{ set: 77, algorithm: 4 }], callId(0)), "no-set");
  });
  it("goes to all at once with algorithm 12, but not to closed ones", () => {
    const bench = new Bench(TEN);
    close(bench, 0, 5);
    const targets = made(bench.dispatcher.select(1, 12, callId(0))).all();
    assert.deepEqual(
      targets.map(({ uri }) => uri),
      bench.uris().filter((_, i) => i !== 0 && i !== 5),
    );
  });

  it("takes all of the set at once but the one of use_default, within the limit, and goes on behind them", () => {
    const bench = new Bench(TEN, { useDefault: true });
    close(bench, 5);
    const { dispatcher } = bench;
    const selection = made(dispatcher.select(1, 12, callId(0)));
    assert.deepEqual(
      selection.together(3).map(({ uri }) => uri),
      [1, 2, 3].map((at) => bench.at(at).uri),
    );
    assert.equal(selection.next(), bench.at(4));
    assert.deepEqual(
      selection.together(11),
      [6, 7, 8].map((at) => bench.at(at)),
    );
    assert.deepEqual([selection.together(11), selection.next(), selection.next()], [[], bench.at(9), undefined]);
    assert.equal(made(dispatcher.select(1, 12, callId(0), { limit: 3 })).together(11).length, 2);
  });
});

describe("a reload", () => {
  const list = "1 sip:10.0.0.1 0 9 duid=a\n1 sip:10.0.0.2 0 8\n1 sip:10.0.0.2 0 7\n2 sip:10.0.0.1";
  const told = (bench: Bench) =>
    bench.dispatcher.sets
      .map(({ destinations }) => destinations.map(({ uri, flags, load }) => `${uri.slice(-1)}:${flags}:${load}`).join(" "))
      .join(" | ");

  it("keeps states, loads and turns, by duid or URI, set and place among its likes (K#4940)", () => {
    const bench = new Bench(list);
    const calls = [1, 2, 3, 4].map((i) => made(bench.dispatcher.select(1, 10, callId(i))));
    close(bench, 2);
    made(bench.dispatcher.select(1, 4, callId(0)));
    assert.equal(told(bench), "1:0:2 2:0:1 2:1:1 | 1:0:0");
    bench.load(list);
    assert.equal(told(bench), "1:0:2 2:0:1 2:1:1 | 1:0:0");
    assert.equal(made(bench.dispatcher.select(1, 4, callId(0))).destination, bench.at(1));
    bench.load("1 sip:10.0.0.9 0 9 duid=a\n1 sip:10.0.0.3 0 8\n1 sip:10.0.0.2 0 7");
    assert.equal(told(bench), "9:0:2 3:0:0 2:0:1");
    for (const call of calls) call.release();
    assert.equal(told(bench), "9:0:0 3:0:0 2:0:0");
  });
  it("takes flags that are written otherwise now, and tells of them", () => {
    const bench = new Bench("1 sip:10.0.0.1\n1 sip:10.0.0.2");
    bench.dispatcher.setState(1, "sip:10.0.0.1", 1);
    bench.load("1 sip:10.0.0.1 8\n1 sip:10.0.0.2 4");
    assert.equal(told(bench), "2:4:0 1:8:0");
    assert.deepEqual(
      bench.changes.map(({ cause, event }) => `${cause} ${event}`),
      ["operator dst-down", "reload dst-down", "reload dst-up"],
    );
  });
  it("counts calls of destinations that are gone until they end, and finds them again", () => {
    const bench = new Bench("1 sip:10.0.0.1\n1 sip:10.0.0.2");
    const [one, two] = [1, 2].map((i) => made(bench.dispatcher.select(1, 10, callId(i)))) as [Selection, Selection];
    bench.load("1 sip:10.0.0.1");
    assert.equal(one.destination.isGone, true);
    assert.equal(two.next(), undefined);
    bench.load("1 sip:10.0.0.1\n1 sip:10.0.0.2");
    assert.equal(told(bench), "2:0:1 1:0:1");
    bench.load("1 sip:10.0.0.1");
    one.release();
    bench.load("1 sip:10.0.0.1\n1 sip:10.0.0.2");
    assert.equal(told(bench), "2:0:0 1:0:1");
    assert.notEqual(bench.at(0), one.destination);
  });
  it("passes over destinations that are gone in selections that run", () => {
    const bench = new Bench(TEN);
    const selection = made(bench.dispatcher.select(1, 8, callId(0)));
    const [, second, third] = bench.uris();
    assert.equal(bench.dispatcher.remove(1, second!), 1);
    assert.equal(selection.next()?.uri, third);
  });
  it("undoes what was added and removed by hand", () => {
    const bench = new Bench(TEN);
    const record = { setId: 3, uri: "sip:10.9.9.9", flags: 8, priority: 5, attrs: "duid=x", description: "", place: "a command" };
    assert.equal(bench.dispatcher.add(record).added, 1);
    assert.equal(bench.dispatcher.add({ ...record, uri: "tel:1" }).isApplied, false);
    assert.deepEqual(bench.uris(3), ["sip:10.9.9.9"]);
    bench.load(TEN);
    assert.deepEqual(bench.uris(3), []);
  });
});

describe("senders", () => {
  const list = [
    "1 sip:10.0.0.1:5060 0 9",
    "1 sip:10.0.0.1:5070;transport=tcp 0 8",
    "1 sip:10.0.0.1 0 7 socket=udp:192.0.2.1:5060",
    "2 sip:gw.example.com",
    "2 sip:10.0.0.7 16",
  ].join("\n");
  const from = (port: number, transport: string, isSocketOf = false) => ({
    address: "10.0.0.1",
    port,
    transport,
    isSocketOf: () => isSocketOf,
  });

  it("are found by the best match, socket above transport above port", () => {
    const bench = new Bench(list);
    const best = (port: number, transport: string, socket = false) =>
      bench.dispatcher.findSource(from(port, transport, socket), undefined, MATCH_BEST)?.priority;
    assert.deepEqual([best(5060, "udp"), best(5070, "tcp"), best(5060, "tcp"), best(5070, "tcp", true), best(9, "ws")], [9, 8, 8, 7, 9]);
  });
  it("have to come to the socket of a destination that has one, with bit 8", () => {
    const bench = new Bench(list);
    const found = (isSocketOf: boolean) => bench.dispatcher.findSource(from(99, "udp", isSocketOf), 1, MATCH_SOCKET | 2)?.priority;
    assert.deepEqual([found(false), found(true)], [undefined, 7]);
  });
  it("are found by the addresses that a name leads to, not where no look-up is wanted", () => {
    const bench = new Bench(list);
    const [named, silent] = bench.dispatcher.set(2)!.destinations.toReversed() as readonly Destination[] as [Destination, Destination];
    assert.deepEqual([named.uri, silent.addresses], ["sip:gw.example.com", []]);
    bench.dispatcher.setAddresses(named, ["10.0.0.8", "10.0.0.9"]);
    bench.dispatcher.setAddresses(silent, ["10.0.0.7"]);
    const found = (address: string) => bench.dispatcher.findSource({ address, port: 1, transport: "udp" }, undefined, 3)?.uri;
    assert.deepEqual(["10.0.0.9", "10.0.0.7"].map(found), ["sip:gw.example.com", undefined]);
    bench.load(list);
    assert.equal(found("10.0.0.9"), "sip:gw.example.com");
  });
});
