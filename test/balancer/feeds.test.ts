import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Balancer,
  type BalancerOptions,
  type CapacityFeed,
  type Destination,
  type DestinationRow,
  parseResources,
} from "../../src/balancer/index.ts";
import { balancerOf, cellOf, newCall, row, usage } from "./support.ts";

/** A feed whose secret is no part of its key. */
class Feed implements CapacityFeed {
  readonly key: string;
  readonly secret: string;
  constructor(key: string, secret = "") {
    this.key = key;
    this.secret = secret;
  }
  equals(other: CapacityFeed): boolean {
    return other instanceof Feed && other.key === this.key && other.secret === this.secret;
  }
}

const feeds = {
  initialCapacity: 100,
  parse(text: string): CapacityFeed | undefined {
    const [, key, secret] = /^feed:\/\/(\w+):(\w*)$/.exec(text) ?? [];
    return key === undefined ? undefined : new Feed(key, secret);
  },
};

/** A row whose resources may name feeds, such as `t=feed://a:secret`. */
function fedRow(id: number, resources: string, attrs = "", group = 1): DestinationRow {
  return { ...row({ id, group, resources: "x=1", attrs }), resources: parseResources(resources, feeds) };
}

function fedBalancer(rows: readonly DestinationRow[], options: Partial<BalancerOptions> = {}): Balancer {
  const balancer = balancerOf([], options);
  balancer.replaceTable(rows);
  return balancer;
}

function feed(balancer: Balancer, id: number, resource: string, capacity: number, foreign = 0): void {
  balancer.feed(cellOf(balancer.destination(id), resource), capacity, foreign);
}

describe("a capacity that a feed tells", () => {
  it("is the initial one until it is told, stays over reloads, and fixed ones stand beside it", () => {
    const rows = [fedRow(1, "t=feed://a:x; conf=7")];
    const balancer = fedBalancer(rows);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 1, "conf")], ["0/100", "0/7"]);
    feed(balancer, 1, "t", 12);
    assert.deepEqual(balancer.replaceTable([fedRow(1, "t=feed://a:x; conf=7")]).kept, [1]);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 1, "conf")], ["0/12", "0/7"]);
    assert.equal(balancer.destination(1)?.isFed, true);
  });

  const changes: { name: string; to: string; want: string; kept: boolean }[] = [
    { name: "stays when only what is secret of the feed changes, but the row is a new one", to: "t=feed://a:y", want: "0/12", kept: false },
    { name: "is the initial one again when another feed tells it", to: "t=feed://b:x", want: "0/100", kept: false },
    { name: "is that of the row when nobody tells it any more, also when the number is the same", to: "t=100", want: "0/100", kept: false },
  ];
  for (const { name, to, want, kept } of changes) {
    it(name, () => {
      const balancer = fedBalancer([fedRow(1, "t=feed://a:x")]);
      feed(balancer, 1, "t", 12, 3);
      const change = balancer.replaceTable([fedRow(1, to)]);
      assert.deepEqual([usage(balancer, 1, "t"), change.kept.length === 1], [want, kept]);
    });
  }

  it("of a pool is one for all its rows, and that they name no number is no problem", () => {
    const balancer = fedBalancer([fedRow(1, "t=feed://a:x", "shared=p"), fedRow(2, "t=feed://a:x", "shared=p", 2)]);
    assert.deepEqual(balancer.replaceTable([fedRow(1, "t=feed://a:x", "shared=p"), fedRow(2, "t=feed://a:x", "shared=p", 2)]).problems, []);
    feed(balancer, 2, "t", 5);
    assert.deepEqual([usage(balancer, 1, "t"), usage(balancer, 2, "t")], ["0/5", "0/5"]);
  });

  it("is whole numbers from 0, whatever is told", () => {
    const balancer = fedBalancer([fedRow(1, "t=feed://a:x")]);
    for (const [told, want] of [
      [-4, "0/0"],
      [7.9, "0/7"],
      [1e12, "0/2147483647"],
    ] as const) {
      feed(balancer, 1, "t", told, -1);
      assert.equal(usage(balancer, 1, "t"), want);
    }
  });
});

describe("calls of others", () => {
  it("count against the slot and in percent, but are no calls", () => {
    const balancer = fedBalancer([fedRow(1, "t=feed://a:x"), fedRow(2, "t=feed://b:x")]);
    feed(balancer, 1, "t", 100, 60);
    feed(balancer, 2, "t", 50, 0);
    const calls = [newCall(), newCall(), newCall()];
    for (const call of calls) assert.equal(balancer.start(call, 1, "t"), 1);
    assert.deepEqual(
      calls.map(({ destination }) => destination?.id),
      [2, 2, 2],
      "50 are free, and 40",
    );
    const cell = cellOf(balancer.destination(1), "t");
    assert.deepEqual([balancer.load(cell), balancer.foreignLoad(cell), balancer.freeSlots(cell)], [0, 60, 40]);
    assert.deepEqual([balancer.profileSize("t"), balancer.profileSize("t", 1)], [3, 0]);
    assert.deepEqual(balancer.recount(calls), []);
    const relative = newCall();
    balancer.start(relative, 1, "t", "r");
    assert.equal(relative.destination?.id, 2);
    for (const call of [...calls, relative]) balancer.release(call);
    feed(balancer, 1, "t", 100, 0);
    assert.equal(balancer.freeSlots(cell), 100);
  });

  it("are gone with the row, so that its cell can be used again", () => {
    const balancer = fedBalancer([fedRow(1, "t=feed://a:x")]);
    feed(balancer, 1, "t", 100, 60);
    balancer.replaceTable([]);
    balancer.replaceTable([fedRow(2, "t=3")]);
    assert.equal(usage(balancer, 2, "t"), "0/3");
    assert.equal(balancer.foreignLoad(cellOf(balancer.destination(2), "t")), 0);
  });

  it("move to the pool that the row joins", () => {
    const balancer = fedBalancer([fedRow(1, "t=feed://a:x")]);
    feed(balancer, 1, "t", 100, 60);
    balancer.replaceTable([fedRow(1, "t=feed://a:x", "shared=p")]);
    const cell = cellOf(balancer.destination(1), "t");
    assert.deepEqual([balancer.load(cell), balancer.foreignLoad(cell)], [0, 0]);
    feed(balancer, 1, "t", 100, 20);
    balancer.replaceTable([fedRow(1, "t=feed://a:x", "shared=p"), fedRow(2, "t=4")]);
    assert.deepEqual([balancer.load(cell), balancer.foreignLoad(cell)], [0, 20]);
  });
});

describe("a destination that is withdrawn", () => {
  it("gets no calls, not even beyond capacity or when its group fails open; it survives a reload and says why", () => {
    const balancer = fedBalancer([fedRow(1, "t=feed://a:x")], { failOpen: true });
    assert.equal(balancer.setWithdrawn(1, true), true);
    assert.equal(balancer.start(newCall(), 1, "t", "n"), -3);
    balancer.replaceTable([fedRow(1, "t=feed://a:x")]);
    const destination = balancer.destination(1)!;
    assert.deepEqual(
      [balancer.isWithdrawn(destination), balancer.isAvailable(destination), balancer.isEnabled(destination)],
      [true, false, true],
    );
    assert.equal(balancer.describe(1, "t").destinations[0]?.skipped, "withdrawn");
    balancer.setDraining(1, true);
    balancer.setWithdrawn(1, false);
    assert.equal(balancer.isAvailable(destination), false, "the drain is another's");
    balancer.setDraining(1, false);
    assert.equal(balancer.start(newCall(), 1, "t"), 1);
    assert.equal(balancer.setWithdrawn(9, true), false);
  });
});

describe("who feeds a destination", () => {
  /** A balancer that writes down what it tells: `+` and `-` with the load at that moment. */
  function told(): { balancer: Balancer; log: string[] } {
    const log: string[] = [];
    const note = (sign: string) => (destination: Destination) =>
      log.push(`${sign}${destination.id}:${balancer.load(cellOf(destination, "t"))}`);
    const balancer: Balancer = fedBalancer([fedRow(1, "t=feed://a:x"), fedRow(2, "t=feed://b:x"), fedRow(3, "t=1")], {
      onFedPick: note("+"),
      onFedChange: note("-"),
    });
    return { balancer, log };
  }

  it("is told of each call, after it was counted, and of its end", () => {
    const { balancer, log } = told();
    feed(balancer, 1, "t", 101);
    const call = newCall();
    balancer.start(call, 1, "t");
    balancer.next(call);
    balancer.reset(call);
    assert.deepEqual(log, ["+1:1", "-1:0", "+2:1", "-2:0"]);
    log.length = 0;
    balancer.start(call, 1, "t");
    balancer.release(call);
    balancer.countCall(call, "127.0.0.22", 5080, 1, "t");
    balancer.moveTo(call, balancer.destination(2)!, []);
    assert.deepEqual(log, ["+1:1", "-1:0", "-2:1", "-1:0", "-2:1"]);
  });

  it("is not told of others", () => {
    const { balancer, log } = told();
    for (const id of [1, 2]) balancer.setStatus(id, false, "mi");
    const call = newCall();
    assert.equal(balancer.start(call, 1, "t"), 1);
    balancer.release(call);
    assert.deepEqual(log, []);
  });

  it("disturbs no call by its own faults", () => {
    const faults: string[] = [];
    const balancer = fedBalancer([fedRow(1, "t=feed://a:x")], {
      onFedPick: () => {
        throw new Error("broken");
      },
      onFault: (text) => faults.push(text),
    });
    assert.equal(balancer.start(newCall(), 1, "t"), 1);
    assert.deepEqual(faults, ["Cannot report a call of destination 1: Error: broken"]);
  });
});

describe("a resources column with feeds", () => {
  const failing = {
    ...feeds,
    parse: (text: string): CapacityFeed | undefined => {
      if (text.startsWith("feed://")) throw new RangeError("it names no host");
      return undefined;
    },
  };
  const bad: { column: string; want: RegExp }[] = [
    { column: "a=1;t=feed://u:SECRET", want: /^Cannot parse resources "a=1;t=feed:\/\/…": "t": it names no host$/ },
    { column: "t=feed:", want: /capacity "feed:" of "t" must be a whole number/ },
  ];
  for (const { column, want } of bad) {
    it(`is refused: ${column}`, () => assert.throws(() => parseResources(column, failing), { code: "BAD_RESOURCES", message: want }));
  }

  it("never quotes what stands behind a URL, in however many pieces a password falls", () => {
    for (const column of ["t=feed://a:x;SECRET", "t=feed://a:x;SECRET=SECRET", "t=feed://a:x;t=SECRET", "t=feed://a:x;SECRET=1;SECRET=2"]) {
      assert.throws(
        () => parseResources(column, feeds),
        ({ message }: Error) => !message.includes("SECRET") && message.startsWith('Cannot parse resources "t=feed://…": '),
        column,
      );
    }
  });
});
