import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { findDialogs } from "../../src/management/dialog-search.ts";
import { createManagementServer, type ManagedDialog, type ManagementServer } from "../../src/management/index.ts";
import { type FakePorts, fakeDialog, fakePorts } from "./fake-ports.ts";
import { call } from "./raw-http.ts";

let server: ManagementServer;
afterEach(() => server?.close());

async function start(fill: (ports: FakePorts) => void): Promise<void> {
  const ports = fakePorts();
  fill(ports);
  server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
}

function cellsOf({ balancer }: FakePorts, id: number): number[] {
  return balancer.destination(id)!.resources.map(({ cell }) => cell);
}

async function found(...params: unknown[]): Promise<string[]> {
  const { Dialogs } = (await call(server.url, "dlg_find", params)) as { Dialogs: { ID: string }[] };
  return Dialogs.map(({ ID }) => ID);
}

describe("dlg_find", () => {
  it("finds calls by Call-ID, From, To and destination, whatever the case, latest first", async () => {
    await start((ports) => {
      ports.calls.push(
        fakeDialog("a", "one-CALL@host", cellsOf(ports, 1)),
        fakeDialog("b", "two@host", [], { fromUri: "sip:Carol@example.org" }),
        fakeDialog("c", "three@host", [], { toUri: "sip:+4930123@example.org" }),
        fakeDialog("d", "four@host", [cellsOf(ports, 2)[0]!]),
      );
    });
    assert.deepEqual(await found("one-call"), ["a"]);
    assert.deepEqual(await found("cAROL"), ["b"]);
    assert.deepEqual(await found("+4930"), ["c"]);
    assert.deepEqual(await found("127.0.0.22"), ["d"]);
    assert.deepEqual(await found("@HOST"), ["d", "c", "b", "a"]);
    assert.deepEqual(await found(""), ["d", "c", "b", "a"]);
    assert.deepEqual(await found(".*"), []);
    assert.deepEqual(await found("example.org", 2), ["d", "c"]);
    assert.deepEqual(await found("nobody"), []);
  });

  it("tells of each who, since when, and where, with the resources that it counts", async () => {
    await start((ports) => {
      const cells = [...cellsOf(ports, 1), cellsOf(ports, 2)[0]!, cellsOf(ports, 2)[0]!, 999];
      ports.calls.push(fakeDialog("a", "x@host", cells, { toUri: Buffer.from("sip:Zoë@example.org").toString("latin1") }));
    });
    assert.deepEqual(await call(server.url, "dialog:find", { pattern: "zoë" }), {
      Dialogs: [
        {
          ID: "a",
          callid: "x@host",
          from_uri: "sip:alice@example.org",
          to_uri: "sip:Zoë@example.org",
          state: 4,
          timestart: Date.UTC(2026, 10, 21, 23, 43, 0) / 1000,
          destinations: [
            { id: 1, uri: "sip:127.0.0.21:5080", resources: ["transcoding", "conference"] },
            { id: 2, uri: "sip:127.0.0.22:5080", resources: ["transcoding"] },
          ],
        },
      ],
      matches: 1,
    });
  });

  it("keeps the latest of many, and says how many there are", async () => {
    await start((ports) => {
      for (let i = 0; i < 230; i++) ports.calls.push(fakeDialog(`d${i}`, `call-${i}`, []));
    });
    const { Dialogs, matches } = (await call(server.url, "dlg_find", ["call-"])) as { Dialogs: { ID: string }[]; matches: number };
    assert.deepEqual([Dialogs.length, Dialogs[0]!.ID, Dialogs.at(-1)!.ID, matches], [50, "d229", "d180", 230]);
    assert.equal((await found("call-", 100)).length, 100);
  });

  const refused: [unknown[], RegExp][] = [
    [["x", 0], /Cannot list 0 dialogs: want a number from 1 to 100/],
    [["x", 101], /Cannot list 101 dialogs/],
    [["x", 1.5], /want a whole number/],
    [["x".repeat(257)], /Cannot look for a text of 257 characters: want at most 256/],
    [[], /Too few or too many parameters/],
  ];
  for (const [params, sentence] of refused) {
    it(`refuses ${JSON.stringify(params).slice(0, 30)}`, async () => {
      await start(() => undefined);
      await assert.rejects(call(server.url, "dlg_find", params), (error: { data: string }) => sentence.test(error.data));
    });
  }
});

describe("a search of 100,000 calls", () => {
  const calls = Array.from({ length: 100_000 }, (_, i) => fakeDialog(`d${i}`, `call-${i}@host`, []));
  const dialogs = { list: () => calls.values(), byDid: () => undefined, byCallId: () => undefined, size: calls.length };
  const { balancer } = fakePorts();

  it("lets others have their turn", async () => {
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      turns++;
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    const { matches } = await findDialogs("call-99", 10, { dialogs, balancer });
    isOver = true;
    assert.equal(matches, 1 + 10 + 100 + 1_000);
    assert.ok(turns >= 5, `others had ${turns} turns`);
  });

  it("is the only one at its time: others wait for it", async () => {
    let open = 0;
    let most = 0;
    const watched = {
      ...dialogs,
      *list(): IterableIterator<ManagedDialog> {
        most = Math.max(most, ++open);
        yield* calls.values();
        open--;
      },
    };
    const searches = await Promise.all(
      ["call-1@", "call-2@", "call-3@"].map((text) => findDialogs(text, 10, { dialogs: watched, balancer })),
    );
    assert.deepEqual(
      searches.map(({ matches }) => matches),
      [1, 1, 1],
    );
    assert.equal(most, 1);
  });

  it("ends, though calls come all the time", async () => {
    let made = 0;
    const endless = {
      ...dialogs,
      size: 1_000,
      *list(): IterableIterator<ManagedDialog> {
        for (;;) yield calls[made++ % calls.length]!;
      },
    };
    await findDialogs("x", 10, { dialogs: endless, balancer });
    assert.ok(made <= 1_001, `it looked at ${made}`);
  });
});
