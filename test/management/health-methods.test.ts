import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { CallLoad } from "../../src/balancer/index.ts";
import { runMi } from "../../src/cli/mi.ts";
import { Drains, MAX_DRAIN_S, type ProbeFigures } from "../../src/health/index.ts";
import { createManagementServer, type ManagementPorts, type ManagementServer } from "../../src/management/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type FakePorts, fakePorts } from "./fake-ports.ts";
import { call } from "./raw-http.ts";

process.env["TZ"] = "UTC";

const START_MS = Date.UTC(2026, 10, 21, 23, 44, 8);

let ports: FakePorts;
let server: ManagementServer;
let clock: FakeClock;

async function start(overrides: Partial<Omit<ManagementPorts, "balancer">> = {}): Promise<void> {
  ports = fakePorts(overrides);
  server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
}

afterEach(() => server.close());

function mi(method: string, params?: unknown): Promise<unknown> {
  return call(server.url, method, params);
}

/** What `headroom mi` prints. */
async function printed(...words: string[]): Promise<string> {
  const [method, ...params] = words;
  const lines: string[] = [];
  const output = { out: (line: string) => void lines.push(`${line}\n`), error: assert.fail };
  assert.equal(await runMi(method, params, { url: server.url, json: false }, output), 0);
  return lines.join("");
}

describe("lb_drain and lb_undrain", () => {
  let ended: string[];
  beforeEach(async () => {
    clock = new FakeClock(START_MS);
    ended = [];
    const drains = new Drains({
      balancer: {
        destination: (id) => ports.balancer.destination(id),
        setDraining: (id, on) => ports.balancer.setDraining(id, on),
        setStatus: (id, enabled, cause) => ports.balancer.setStatus(id, enabled, cause),
        allowReenable: (id, cause) => ports.balancer.allowReenable(id, cause),
        isEnabled: (destination) => ports.balancer.isEnabled(destination),
        isAutoReenable: (destination) => ports.balancer.isAutoReenable(destination),
        ownLoad: (cell) => ports.balancer.ownLoad(cell),
        remoteLoad: (cell) => ports.balancer.remoteLoad(cell),
        slotCell: (cell) => ports.balancer.slotCell(cell),
        cellsOf: (destination) => ports.balancer.cellsOf(destination),
      },
      wallMs: clock.now,
      after: (ms, run) => clock.after(ms, run),
      calls: () => ["one", "two"],
      endCall: (name) => ended.push(name) > 0,
    });
    await start({ drains });
  });

  function placeCalls(count: number): CallLoad[] {
    return Array.from({ length: count }, () => {
      const load = new CallLoad();
      assert.equal(ports.balancer.start(load, 2, "conference"), 1);
      return load;
    });
  }

  async function listed(id: number): Promise<Record<string, unknown> | undefined> {
    const { Destinations } = (await mi("lb_list")) as { Destinations: Record<string, unknown>[] };
    return Destinations.find((destination) => destination["id"] === id);
  }

  const ROW_3 = { uri: "sip:127.0.0.23:5080", id: 3, group: 2 };

  it("show progress in lb_list while calls are left, then the destination is disabled; the others look as ever", async () => {
    const before = JSON.stringify(await listed(1));
    const calls = placeCalls(2);
    assert.equal(await mi("lb_drain", [3]), "OK");
    assert.deepEqual(await listed(3), {
      ...ROW_3,
      enabled: "yes",
      "auto-reenable": "on",
      Resources: [{ name: "conference", max: 7, load: 2 }],
      draining: "yes",
      drain_load: 2,
    });
    assert.match(await printed("lb_list"), /^3 .* conference=2\/7 +draining 2 left +on$/m);
    for (const load of calls) ports.balancer.release(load);
    clock.advance(1_000);
    assert.deepEqual(await listed(3), {
      ...ROW_3,
      enabled: "no",
      "auto-reenable": "off",
      Resources: [{ name: "conference", max: 7, load: 0 }],
    });
    assert.match(await printed("lb_list"), /^3 .* conference=0\/7 +disabled +off$/m);
    assert.equal(JSON.stringify(await listed(1)), before);
    assert.equal(await mi("lb_undrain", [3]), "OK");
    assert.deepEqual([(await listed(3))?.["enabled"], (await listed(3))?.["auto-reenable"]], ["yes", "on"]);
  });

  it("take a deadline, and tell it in seconds since 1970", async () => {
    placeCalls(1);
    assert.equal(await mi("load_balancer:drain", ["3", "90"]), "OK");
    const deadline = START_MS / 1000 + 90;
    assert.deepEqual([(await listed(3))?.["drain_deadline"], (await listed(3))?.["drain_bye"]], [deadline, "no"]);
    clock.advance(90_000);
    assert.deepEqual([(await listed(3))?.["enabled"], ended], ["no", []]);
  });

  for (const params of [[3, 90, 1], ["3", "90", "bye"], { destination_id: 3, deadline: 90, bye: "1" }]) {
    it(`end the calls that are left with ${JSON.stringify(params)}`, async () => {
      placeCalls(1);
      assert.equal(await mi("lb_drain", params), "OK");
      assert.equal((await listed(3))?.["drain_bye"], "yes");
      clock.advance(90_000);
      assert.deepEqual(ended, ["one", "two"]);
    });
  }

  it("refuse what makes no sense, and change nothing", async () => {
    placeCalls(1);
    for (const params of [
      [3, -1],
      [3, MAX_DRAIN_S + 1],
      [3, 0, 1],
      [3, 10, "maybe"],
      [3, "soon"],
      [],
      [3, 10, 1, 1],
      ["x"],
      [3, 10, true],
      [3.5],
      [3, 1.5],
      [3, "1.5"],
      [3, 0.5],
      [3, 10, 1.5],
      [3, 10, 0.5],
    ]) {
      await assert.rejects(mi("lb_drain", params), { code: -32602 }, JSON.stringify(params));
    }
    await assert.rejects(mi("lb_drain", [3, 1.5]), {
      data: "Bad value for parameter 'deadline': want a whole number, current value is 1.5",
    });
    await assert.rejects(mi("lb_undrain", [3.5]), { code: -32602 });
    await assert.rejects(mi("lb_drain", [3, 0, 1]), { data: "Cannot drain destination 3: bye wants a deadline from 1 second" });
    for (const method of ["lb_drain", "lb_undrain"]) {
      for (const id of [99, -1, "99999999999999999999"]) {
        await assert.rejects(mi(method, [id]), { code: 404, message: "Destination ID not found" });
      }
    }
    await assert.rejects(mi("lb_undrain", [3]), { code: 409, message: "Destination is not drained" });
    assert.equal((await listed(3))?.["draining"], undefined);
  });

  it("are in the log with their parameters", async () => {
    placeCalls(1);
    await mi("lb_drain", [3, 60]);
    await mi("lb_undrain", [3]);
    assert.deepEqual(
      ports.logged.map(({ fields }) => [fields["method"], fields["params"]]),
      [
        ["load_balancer:drain", "[3,60]"],
        ["load_balancer:undrain", "[3]"],
      ],
    );
  });

  it("give the status from before back, but leave what lb_status 0 disabled since", async () => {
    async function shown(): Promise<readonly unknown[]> {
      const destination = await listed(3);
      return [destination?.["enabled"], destination?.["auto-reenable"]];
    }
    await mi("lb_drain", [3]);
    assert.deepEqual(await shown(), ["no", "off"]);
    assert.equal(await mi("lb_status", [3, 0]), "OK");
    const message = "Destination is not drained: an operator has disabled it, lb_status 3 1 enables it";
    await assert.rejects(mi("lb_undrain", [3]), { code: 409, message });
    assert.deepEqual(await shown(), ["no", "off"]);
    await mi("lb_status", [3, 1]);
    assert.deepEqual(await shown(), ["yes", "on"]);

    ports.balancer.setStatus(3, false, "probe");
    await mi("lb_drain", [3]);
    assert.deepEqual(await shown(), ["no", "off"]);
    assert.equal(await mi("lb_undrain", [3]), "OK");
    assert.deepEqual(await shown(), ["no", "on"]);
  });

  it("are undone by lb_status 1, but not by lb_status 0", async () => {
    placeCalls(1);
    await mi("lb_drain", [3]);
    await mi("lb_status", [3, 0]);
    assert.deepEqual([(await listed(3))?.["enabled"], (await listed(3))?.["draining"]], ["no", "yes"]);
    await mi("lb_status", [3, 1]);
    assert.deepEqual([(await listed(3))?.["enabled"], (await listed(3))?.["draining"]], ["yes", undefined]);
  });
});

describe("lb_probes", () => {
  const FIGURES: ProbeFigures = {
    id: 1,
    group: 1,
    uri: "sip:127.0.0.21:5080",
    probeMode: 2,
    enabled: true,
    probed: true,
    sent: 12,
    lastStatus: 200,
    lastAtMs: START_MS,
    streak: 1,
    latency: { last: 1.23456, average: 2, ewma: 2.5, max: 10.0004, samples: 11, timeouts: 1 },
    capacityShare: 0.55,
  };
  const UNPROBED: ProbeFigures = {
    ...FIGURES,
    id: 2,
    enabled: false,
    probed: false,
    sent: 0,
    lastStatus: 0,
    lastAtMs: 0,
    streak: 0,
    latency: { last: 0, average: 0, ewma: 0, max: 0, samples: 0, timeouts: 0 },
    capacityShare: 1,
  };

  it("tells what each probed destination has shown, in milliseconds, and null for what is not known", async () => {
    await start({ probes: () => [FIGURES, UNPROBED] });
    const common = { group: 1, uri: "sip:127.0.0.21:5080", probe_mode: 2 };
    assert.deepEqual(await mi("lb_probes"), {
      Probes: [
        {
          id: 1,
          ...common,
          enabled: "yes",
          probed: "yes",
          sent: 12,
          last_code: 200,
          last_at: "2026-11-21 23:44:08",
          streak: 1,
          last_ms: 1.235,
          average_ms: 2,
          ewma_ms: 2.5,
          max_ms: 10,
          timeouts: 1,
          capacity_percent: 55,
        },
        {
          id: 2,
          ...common,
          enabled: "no",
          probed: "no",
          sent: 0,
          last_code: null,
          last_at: null,
          streak: 0,
          last_ms: null,
          average_ms: null,
          ewma_ms: null,
          max_ms: null,
          timeouts: 0,
          capacity_percent: 100,
        },
      ],
    });
    assert.match(await printed("lb_probes"), /^id +group +uri .*\n1 +1 +sip:127\.0\.0\.21:5080 .*\n2 .* - +- /);
  });

  it("is an empty list when nothing has a probe mode", async () => {
    await start({ probes: () => [] });
    assert.equal(await printed("load_balancer:probes"), "No probes\n");
  });
});

describe("lb_explain and lb_what_if", () => {
  it("hand the question on, and the answer back", async () => {
    const asked: unknown[] = [];
    const outlook = { group: 1, resources: "pstn", flags: "", code: -2, summary: "all are full", Destinations: [] };
    await start({
      explain: (callId) => (callId === "caf\u00c3\u00a9@x" ? { Decisions: [] } : undefined),
      whatIf: (...question) => {
        asked.push(question);
        return outlook;
      },
    });
    assert.deepEqual(await mi("lb_explain", ["café@x"]), { Decisions: [] }, "messages hold a character a byte");
    await assert.rejects(mi("load_balancer:explain", { callid: "unknown" }), { code: 404, message: "Call-ID not found" });
    assert.deepEqual(await mi("lb_what_if", ["1", "pstn;conf"]), outlook);
    assert.deepEqual(await mi("load_balancer:what_if", { group: 1, resources: "pstn", flags: "rn" }), outlook);
    assert.deepEqual(asked, [
      [1, "pstn;conf", ""],
      [1, "pstn", "rn"],
    ]);
    for (const params of [[1], [1.5, "pstn"]]) await assert.rejects(mi("lb_what_if", params), { code: -32602 });
  });
});

describe("methods of parts that are not in use", () => {
  it("are neither offered nor listed", async () => {
    await start();
    const names = (await mi("which")) as string[];
    for (const name of ["lb_drain", "lb_undrain", "lb_probes", "lb_breakers", "lb_registrations", "lb_explain", "lb_what_if"]) {
      assert.ok(!names.includes(name));
      await assert.rejects(mi(name, [1]), { code: -32601 });
    }
  });
});
