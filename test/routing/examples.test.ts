import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { describe, it } from "node:test";
import type { Balancer } from "../../src/balancer/index.ts";
import { Distributor } from "../../src/distributor/index.ts";
import type { Router } from "../../src/proxy/ports.ts";
import { createBlacklists, createScriptRouter, NodeTargets } from "../../src/routing/index.ts";
import { loadScript } from "../../src/script-loader.ts";
import { FakeCall, FakeLog, loadsOf, makeBalancer, uriOf } from "./fake-call.ts";

const EXAMPLES = new URL("../../examples/", import.meta.url);

async function run(file: string, balancer: Balancer): Promise<{ router: Router; log: FakeLog }> {
  const log = new FakeLog();
  const module = await loadScript(new URL(file, EXAMPLES).pathname);
  const blacklists = createBlacklists(["media= 1"], balancer);
  const nodes = new NodeTargets(balancer, {});
  const carriers = balancer.destinations().map(({ id }) => ({ name: `${id}`, weight: 3 - id }));
  const distributor = new Distributor({ isUsable: (node) => nodes.isUsable(node) }, [{ name: "carriers", nodes: carriers }]);
  return { router: createScriptRouter(module, { balancer, log, blacklists, distribution: { distributor, nodes } }), log };
}

/** Lets a call take one slot of the least loaded destination, so that what follows starts from there. */
function occupy(balancer: Balancer, group: number, resources: string, calls: number): FakeCall[] {
  return Array.from({ length: calls }, () => {
    const call = new FakeCall(balancer);
    assert.equal(balancer.start(call.load, group, resources), 1);
    return call;
  });
}

describe("examples of the load_balancer manual as route modules", () => {
  it("every route module in examples/ can be loaded", async () => {
    const files = (await readdir(EXAMPLES)).filter((name) => name.endsWith(".ts"));
    assert.ok(files.length >= 6, `found ${files.join(", ")}`);
    for (const file of files) await run(file, makeBalancer());
  });
});

describe("example 1.13, lb_start", () => {
  it("goes to the destination whose scarcer resource has the largest free slot, and counts both resources there", async () => {
    const balancer = makeBalancer("transcoding=9;conference=2", "transcoding=5;conference=5", "transcoding=50");
    const { router, log } = await run("lb-start.ts", balancer);
    const call = new FakeCall(balancer);
    await router.request(call);
    assert.deepEqual(call.sent, [{ requestUri: "sip:1000@balancer.example", destinationUri: uriOf(2), target: 2, headers: [] }]);
    assert.deepEqual(loadsOf(balancer, "transcoding"), [0, 1, 0]);
    assert.deepEqual(loadsOf(balancer, "conference"), [0, 1, 0]);
    assert.ok(call.dialogOpened, "the lease has its dialog");
    assert.equal(log.lines[0]?.message, `sending call to ${uriOf(2)}`);
    assert.equal(log.lines[0]?.fields["callId"], "fake-call@192.0.2.200");
    call.end();
    assert.deepEqual(loadsOf(balancer, "conference"), [0, 0, 0]);
  });

  it("answers 503 when every destination is full", async () => {
    const balancer = makeBalancer("transcoding=1;conference=1");
    occupy(balancer, 1, "transcoding;conference", 1);
    const { router } = await run("lb-start.ts", balancer);
    const call = new FakeCall(balancer);
    await router.request(call);
    assert.deepEqual(call.replies, [{ status: 503, reason: "Service full", headers: [] }]);
    assert.deepEqual(call.sent, []);
    assert.deepEqual(loadsOf(balancer, "conference"), [1]);
  });
});

describe("example 1.14, lb_next", () => {
  for (const [status, cause] of [
    [408, "timeout"],
    [500, "response"],
    [503, "transport-error"],
    [599, "response"],
  ] as const) {
    it(`moves the call, and its load, to the next destination after ${status} (${cause})`, async () => {
      const balancer = makeBalancer("conference=10", "conference=20", "conference=30");
      const { router } = await run("lb-next.ts", balancer);
      const call = new FakeCall(balancer);
      await router.request(call);
      assert.deepEqual(loadsOf(balancer, "conference"), [0, 0, 1]);
      await router.failure(call.failBranch(status, cause));
      assert.deepEqual(loadsOf(balancer, "conference"), [0, 1, 0]);
      await router.failure(call.failBranch(status, cause));
      assert.deepEqual(loadsOf(balancer, "conference"), [1, 0, 0]);
      assert.deepEqual(
        call.sent.map(({ target }) => target),
        [3, 2, 1],
      );
    });
  }

  it("leaves the decision to the proxy when no destination is left", async () => {
    const balancer = makeBalancer("conference=10");
    const { router } = await run("lb-next.ts", balancer);
    const call = new FakeCall(balancer);
    await router.request(call);
    await router.failure(call.failBranch(500));
    assert.equal(call.sent.length, 1);
    assert.deepEqual(call.replies, []);
    assert.deepEqual(loadsOf(balancer, "conference"), [0]);
  });

  for (const status of [404, 486, 603]) {
    it(`tries nothing further after ${status}`, async () => {
      const balancer = makeBalancer("conference=10", "conference=20");
      const { router } = await run("lb-next.ts", balancer);
      const call = new FakeCall(balancer);
      await router.request(call);
      await router.failure(call.failBranch(status));
      assert.equal(call.sent.length, 1);
      assert.deepEqual(loadsOf(balancer, "conference"), [0, 1], "counted until the proxy has answered the caller");
    });
  }
});

describe("example 1.15, lb_reset", () => {
  it("goes on in the session after 5xx", async () => {
    const balancer = makeBalancer("transcoding=9;conference=9", "transcoding=8;conference=8", "conference=50");
    const { router } = await run("lb-reset.ts", balancer);
    const call = new FakeCall(balancer);
    await router.request(call);
    await router.failure(call.failBranch(502));
    assert.deepEqual(
      call.sent.map(({ target }) => target),
      [1, 2],
    );
    assert.deepEqual(loadsOf(balancer, "transcoding"), [0, 1, 0]);
  });

  it("starts a new session with other resources after 408, with what was counted before given back", async () => {
    const balancer = makeBalancer("transcoding=9;conference=9", "transcoding=8;conference=8", "conference=50");
    const { router } = await run("lb-reset.ts", balancer);
    const call = new FakeCall(balancer);
    await router.request(call);
    await router.failure(call.failBranch(408, "timeout"));
    assert.deepEqual(
      call.sent.map(({ target }) => target),
      [1, 3],
    );
    assert.deepEqual(loadsOf(balancer, "transcoding"), [0, 0, 0]);
    assert.deepEqual(loadsOf(balancer, "conference"), [0, 0, 1]);
  });

  it("may choose the silent destination again, once", async () => {
    const balancer = makeBalancer("transcoding=9;conference=9");
    const { router } = await run("lb-reset.ts", balancer);
    const call = new FakeCall(balancer);
    await router.request(call);
    for (let i = 0; i < 3; i++) await router.failure(call.failBranch(408, "timeout"));
    assert.deepEqual(
      call.sent.map(({ target }) => target),
      [1, 1],
    );
  });
});

describe("example 1.16, lb_disable_dst", () => {
  it("disables what failed, for every call, and moves on", async () => {
    const balancer = makeBalancer("conference=10", "conference=20");
    const { router } = await run("lb-disable-dst.ts", balancer);
    const call = new FakeCall(balancer);
    await router.request(call);
    await router.failure(call.failBranch(500));
    assert.deepEqual(
      balancer.destinations().map((destination) => balancer.isEnabled(destination)),
      [true, false],
    );
    assert.ok(balancer.isAutoReenable(balancer.destination(2)!), "a probe may enable it again");
    const later = new FakeCall(balancer);
    await router.request(later);
    assert.equal(later.sent[0]?.target, 1);
    assert.deepEqual(loadsOf(balancer, "conference"), [2, 0]);
  });

  it("answers 500 when no destination is left", async () => {
    const balancer = makeBalancer("conference=10");
    const { router } = await run("lb-disable-dst.ts", balancer);
    const call = new FakeCall(balancer);
    await router.request(call);
    await router.failure(call.failBranch(408, "timeout"));
    assert.deepEqual(call.replies, [{ status: 500, reason: "Error", headers: [] }]);
    assert.deepEqual(loadsOf(balancer, "conference"), [0]);
  });
});

describe("example 1.17, lb_is_destination", () => {
  it("lets a destination call where it wants to, uncounted", async () => {
    const balancer = makeBalancer("conference=10", "conference=20");
    const { router, log } = await run("lb-is-destination.ts", balancer);
    const call = new FakeCall(balancer, { address: "192.0.2.2", port: 5060, uri: "sip:+4930@carrier.example" });
    await router.request(call);
    assert.deepEqual(call.sent, [{ requestUri: "sip:+4930@carrier.example", destinationUri: undefined, target: undefined, headers: [] }]);
    assert.deepEqual(loadsOf(balancer, "conference"), [0, 0]);
    assert.equal(log.lines[0]?.message, "request from destination 2");
  });

  for (const [address, port] of [
    ["192.0.2.2", 5070],
    ["192.0.2.77", 5060],
  ] as const) {
    it(`balances what comes from ${address}:${port}, which is no destination`, async () => {
      const balancer = makeBalancer("conference=10", "conference=20");
      const { router } = await run("lb-is-destination.ts", balancer);
      const call = new FakeCall(balancer, { address, port });
      await router.request(call);
      assert.equal(call.sent[0]?.target, 2);
      assert.deepEqual(loadsOf(balancer, "conference"), [0, 1]);
    });
  }
});

describe("example 1.18, lb_count_call", () => {
  it("counts a call that a destination makes on that destination, above its capacity if need be", async () => {
    const balancer = makeBalancer("conference=1", "conference=20");
    const { router } = await run("lb-count-call.ts", balancer);
    const calls = [1, 2].map(() => new FakeCall(balancer, { address: "192.0.2.1", port: 5060 }));
    for (const call of calls) await router.request(call);
    assert.deepEqual(loadsOf(balancer, "conference"), [2, 0]);
    assert.ok(calls.every((call) => call.dialogOpened && call.sent[0]?.destinationUri === undefined));
    for (const call of calls) call.end();
    assert.deepEqual(loadsOf(balancer, "conference"), [0, 0]);
  });

  it("balances calls to the destinations with that load in mind", async () => {
    const balancer = makeBalancer("conference=3", "conference=2");
    const { router } = await run("lb-count-call.ts", balancer);
    for (let i = 0; i < 2; i++) await router.request(new FakeCall(balancer, { address: "192.0.2.1", port: 5060 }));
    const call = new FakeCall(balancer);
    await router.request(call);
    assert.equal(call.sent[0]?.target, 2);
  });

  it("answers 503 when nothing is free", async () => {
    const balancer = makeBalancer("conference=0");
    const { router } = await run("lb-count-call.ts", balancer);
    const call = new FakeCall(balancer);
    await router.request(call);
    assert.deepEqual(call.replies, [{ status: 503, reason: "unavailable", headers: [] }]);
  });
});

describe("example outbound, calls of both directions", () => {
  it("counts the call of a destination anew for each carrier, and takes it back when the last one refuses it", async () => {
    const balancer = makeBalancer("conference=10", "conference=20");
    const { router } = await run("outbound.ts", balancer);
    const call = new FakeCall(balancer, { address: "192.0.2.1", uri: "sip:+4930@carrier.example" });
    await router.request(call);
    assert.deepEqual(loadsOf(balancer, "conference"), [1, 0]);
    await router.failure(call.failBranch(503));
    assert.deepEqual(loadsOf(balancer, "conference"), [1, 0]);
    await router.failure(call.failBranch(503));
    assert.deepEqual(loadsOf(balancer, "conference"), [0, 0]);
    assert.deepEqual(
      call.sent.map(({ destinationUri }) => destinationUri),
      ["sip:198.51.100.10", "sip:198.51.100.20"],
    );
    assert.deepEqual(call.replies, []);
  });

  it("tries no further carrier when the callee is busy", async () => {
    const balancer = makeBalancer("conference=10");
    const { router } = await run("outbound.ts", balancer);
    const call = new FakeCall(balancer, { address: "192.0.2.1", uri: "sip:+4930@carrier.example" });
    await router.request(call);
    await router.failure(call.failBranch(486));
    assert.deepEqual([call.sent.length, loadsOf(balancer, "conference")], [1, [0]]);
  });

  it("balances what comes from elsewhere with that load in mind, and fails over", async () => {
    const balancer = makeBalancer("conference=3", "conference=2", "conference=1");
    const { router } = await run("outbound.ts", balancer);
    for (let i = 0; i < 2; i++) await router.request(new FakeCall(balancer, { address: "192.0.2.1", uri: "sip:+4930@carrier.example" }));
    const call = new FakeCall(balancer);
    await router.request(call);
    await router.failure(call.failBranch(500));
    assert.deepEqual(
      call.sent.map(({ target }) => target),
      [2, 1],
    );
    assert.deepEqual(loadsOf(balancer, "conference"), [3, 0, 0]);
  });
});

describe("example distribute, carriers by weight", () => {
  it("gives the first carrier two calls of three, and moves on when a carrier refuses", async () => {
    const balancer = makeBalancer("trunk=10", "trunk=10");
    const { router, log } = await run("distribute.ts", balancer);
    const calls = [1, 2, 3].map(() => new FakeCall(balancer));
    for (const call of calls) await router.request(call);
    assert.deepEqual(
      calls.map(({ sent }) => sent[0]?.target),
      [1, 2, 1],
    );
    assert.equal(log.lines.find(({ level }) => level === "info")?.message, "sending call to 1");
    const [call] = calls as [FakeCall];
    await router.failure(call.failBranch(503));
    await router.failure(call.failBranch(408, "timeout"));
    assert.deepEqual([call.sent.map(({ target }) => target), call.replies], [[1, 2], []]);
  });

  it("answers 503 when no carrier can be used", async () => {
    const balancer = makeBalancer("trunk=10");
    balancer.setStatus(1, false, "probe");
    const { router } = await run("distribute.ts", balancer);
    const call = new FakeCall(balancer);
    await router.request(call);
    assert.deepEqual(call.replies, [{ status: 503, reason: "No carrier", headers: [] }]);
  });
});

describe("example blacklist, media servers that cannot be called by their address", () => {
  for (const [uri, address, outcome] of [
    ["sip:1000@192.0.2.1", "10.0.0.7", 403],
    ["sip:8000@192.0.2.1:5060", "10.0.0.7", 403],
    ["sip:8000@balancer.example", "198.51.100.7", uriOf(1)],
    ["sip:1000@balancer.example", "198.51.100.7", 404],
    ["sip:1000@example.com", "10.0.0.7", undefined],
  ] as const) {
    it(`${uri} from ${address}: ${outcome ?? "to its Request-URI"}`, async () => {
      const balancer = makeBalancer("conference=10");
      const { router } = await run("blacklist.ts", balancer);
      const call = new FakeCall(balancer, { address, uri });
      await router.request(call);
      assert.equal(call.replies[0]?.status ?? call.sent[0]?.destinationUri, outcome);
      assert.equal(call.sent.length, typeof outcome === "number" ? 0 : 1);
      assert.equal(call.guard !== undefined, outcome === undefined, "names are watched as well");
    });
  }
});
