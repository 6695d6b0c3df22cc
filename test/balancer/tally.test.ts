import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Balancer, CallLoad } from "../../src/balancer/index.ts";
import { seededRandom } from "../support/random.ts";
import { balancerOf, cellOf, newCall, occupy, row } from "./support.ts";

const ROWS = [
  { id: 1, resources: "pstn=500;conf=500" },
  { id: 2, resources: "pstn=500", attrs: "shared=a" },
  { id: 3, resources: "pstn=500", attrs: "shared=a" },
];

function found(balancer: Balancer): string[] {
  return balancer
    .endTally()
    .differences.map(({ ownerKey, resource, counted, actual }) => `${ownerKey.split(" ")[0]} ${resource ?? "calls"} ${counted}/${actual}`);
}

/** Loses one unit of a call, as a bug would: what it holds is gone, what is counted stays. */
function loseLease(call: CallLoad): void {
  call.leases.pop();
}

describe("an audit in parts", () => {
  it("finds nothing where every load is what the calls hold", () => {
    const balancer = balancerOf(ROWS);
    const calls = [...occupy(balancer, 1, "pstn;conf", 3), ...occupy(balancer, 2, "pstn", 2)];
    balancer.beginTally();
    for (const call of calls) balancer.tally(call);
    assert.deepEqual(balancer.endTally(), { calls: 5, differences: [] });
  });

  it("is exact though calls that were counted, that were not, and new ones change while it is under way", () => {
    const balancer = balancerOf(ROWS);
    const calls = occupy(balancer, 1, "pstn;conf", 6);
    const address = balancer.destination(1)!.addresses[0]!;
    balancer.beginTally();
    for (const call of calls.slice(0, 3)) balancer.tally(call);
    balancer.release(calls[0]!); // counted
    balancer.release(calls[5]!); // not counted
    balancer.countCall(calls[1]!, address.ip, address.port, -1, "conf", true);
    balancer.countCall(calls[1]!, address.ip, address.port, -1, "pstn", true);
    balancer.countCall(calls[4]!, address.ip, address.port, -1, "conf", true);
    occupy(balancer, 2, "pstn", 2); // never shown to the audit
    for (const call of calls) balancer.tally(call);
    assert.deepEqual(found(balancer), []);
    assert.equal(balancer.ownLoad(cellOf(balancer.destination(1), "pstn")), 3);
  });

  it("is exact in any order of events, and agrees with a recount in one step", () => {
    for (let seed = 1; seed <= 200; seed++) {
      const chance = seededRandom(seed);
      const below = (limit: number): number => Math.floor(chance() * limit);
      const balancer = balancerOf(ROWS, { below });
      const calls: CallLoad[] = [];
      const act = (): void => {
        const call = calls[below(calls.length)];
        const kind = below(6);
        const { ip, port } = balancer.destination(2 + below(2))!.addresses[0]!;
        if (kind === 0 || call === undefined) {
          const begun = newCall();
          calls.push(begun);
          balancer.start(begun, 1, "pstn", "r");
        } else if (kind === 1) balancer.release(call);
        else if (kind === 2) balancer.next(call);
        else if (kind === 3) balancer.countCall(call, ip, port, -1, "pstn");
        else if (kind === 4) balancer.countCall(call, ip, port, -1, "pstn", true);
        else balancer.replaceTable(ROWS.slice(below(2)).map((sketch) => row({ ...sketch, attrs: below(2) === 0 ? "" : "shared=a" })));
      };
      for (let n = 0; n < 40; n++) act();
      balancer.beginTally();
      for (const call of [...calls]) {
        balancer.tally(call);
        act();
      }
      for (const call of calls) if (below(2) === 0) balancer.tally(call); // once more, or begun meanwhile
      assert.deepEqual(found(balancer), [], `seed ${seed}`);
      assert.deepEqual(balancer.recount(calls), [], `seed ${seed}`);
    }
  });

  it("is exact though destinations are added until the load table has to grow", () => {
    const balancer = balancerOf(ROWS);
    const [first] = occupy(balancer, 1, "pstn", 1);
    balancer.beginTally();
    balancer.tally(first!);
    const more = Array.from({ length: 200 }, (_, i) => ({ id: 10 + i, ip: `127.1.0.${i}`, resources: "pstn=5;conf=5" }));
    balancer.replaceTable([...ROWS, ...more].map(row));
    const late = occupy(balancer, 209, "pstn;conf", 3);
    balancer.release(late[0]!);
    assert.deepEqual(balancer.endTally(), { calls: 1, differences: [] });
  });

  it("counts what requests without a dialog hold until they are answered", () => {
    const balancer = balancerOf(ROWS);
    const address = balancer.destination(1)!.addresses[0]!;
    const loose = new CallLoad();
    balancer.countCall(loose, address.ip, address.port, -1, "pstn");
    balancer.beginTally();
    assert.deepEqual(balancer.endTally(), { calls: 1, differences: [] });
    balancer.release(loose);
    balancer.beginTally();
    assert.deepEqual(balancer.endTally(), { calls: 0, differences: [] });
  });

  it("leaves calls of others and of other nodes alone", () => {
    const balancer = balancerOf(ROWS);
    const cell = cellOf(balancer.destination(1), "pstn");
    balancer.setRemoteLoad(cell, 7);
    balancer.feed(cell, 500, 3);
    balancer.beginTally();
    balancer.setRemoteLoad(cell, 9);
    assert.deepEqual(found(balancer), []);
  });

  it("finds a load that no call holds, in the pool too, and heals it", () => {
    const balancer = balancerOf(ROWS);
    const calls = [...occupy(balancer, 1, "pstn;conf", 2), ...occupy(balancer, 2, "pstn", 3)];
    loseLease(calls[0]!); // conf, while the call holds pstn
    loseLease(calls[4]!);
    const audit = (): ReturnType<Balancer["endTally"]> => {
      balancer.beginTally();
      for (const call of calls) balancer.tally(call);
      return balancer.endTally();
    };
    const { differences } = audit();
    assert.deepEqual(
      differences.map(({ ownerKey, resource, counted, actual }) => `${ownerKey.split(" ")[0]} ${resource} ${counted}/${actual}`).sort(),
      ["1 conf 2/1", "2 pstn 3/2", "2 undefined 3/2", "pool pstn 3/2"],
    );
    for (const difference of differences) balancer.heal(difference);
    assert.deepEqual(audit().differences, []);
    for (const call of calls) balancer.release(call);
    assert.deepEqual(audit().differences, []);
    assert.equal(balancer.calls(balancer.destination(2)!), 0);
  });

  it("finds calls that are in no list any more, and calls that are not counted", () => {
    const balancer = balancerOf(ROWS);
    const [lost, ...calls] = occupy(balancer, 1, "pstn", 3);
    assert.ok(lost);
    balancer.beginTally();
    for (const call of calls) balancer.tally(call);
    const { differences } = balancer.endTally();
    assert.deepEqual(
      differences.map(({ resource, counted, actual }) => [resource, counted, actual]),
      [
        ["pstn", 3, 2],
        [undefined, 3, 2],
      ],
    );
    for (const difference of differences) balancer.heal(difference);
    balancer.release(lost); // ends after all: now too little is counted
    balancer.beginTally();
    for (const call of calls) balancer.tally(call);
    assert.deepEqual(found(balancer), ["1 pstn 1/2", "1 calls 1/2"]);
  });
});

describe("a load that a fault has changed", () => {
  const FAULTS = [
    {
      name: "too much in a cell",
      spoil: ({ load }: Spoilt, cell: number) => {
        load[cell]! += 3;
      },
    },
    {
      name: "too little in a cell",
      spoil: ({ load }: Spoilt, cell: number) => {
        load[cell]! -= 2;
      },
    },
    {
      name: "below zero",
      spoil: ({ load }: Spoilt, cell: number) => {
        load[cell] = -5;
      },
    },
    { name: "calls of the destination", spoil: ({ ownerCalls, owner }: Spoilt, cell: number) => void ownerCalls[owner[cell]!]!++ },
    { name: "its pool", spoil: ({ load, pool }: Spoilt, cell: number) => void load[pool[cell]!]!++ },
    { name: "a load among those of other nodes", spoil: ({ remote }: Spoilt, cell: number) => void remote[cell]!++ },
  ];

  interface Spoilt {
    readonly load: Int32Array;
    readonly remote: Int32Array;
    readonly pool: Int32Array;
    readonly owner: Int32Array;
    readonly ownerCalls: Int32Array;
  }

  for (const { name, spoil } of FAULTS) {
    for (const isUnderWay of [false, true]) {
      it(`is found and healed: ${name}${isUnderWay ? ", while the audit is under way" : ""}`, () => {
        const balancer = balancerOf(ROWS, { onFault: () => undefined });
        const calls = occupy(balancer, 2, "pstn", 4);
        const cell = cellOf(balancer.destination(2), "pstn");
        const inside = balancer as unknown as { readonly cells: Spoilt };
        const audit = (midway = (): void => undefined): ReturnType<Balancer["endTally"]>["differences"] => {
          balancer.beginTally();
          for (const call of calls.slice(0, 2)) balancer.tally(call);
          midway();
          for (const call of calls.slice(2)) balancer.tally(call);
          return balancer.endTally().differences;
        };
        const fault = (): void => spoil(inside.cells, cell);
        if (!isUnderWay) fault();
        const differences = audit(isUnderWay ? fault : undefined);
        assert.equal(differences.length, 1);
        assert.equal(differences[0]!.actual, 4);
        for (const difference of differences) balancer.heal(difference);
        assert.deepEqual(audit(), []);
        for (const call of calls) balancer.release(call);
        assert.deepEqual(audit(), []);
        assert.equal(balancer.load(cell), 0);
      });
    }
  }
});
