import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { CallLoad } from "../../src/balancer/index.ts";
import { createManagementServer, type ManagementServer } from "../../src/management/index.ts";
import { MAX_LISTED_DIALOGS } from "../../src/management/limits.ts";
import { type FakePorts, fakeDialog, fakePorts, ROWS, row } from "./fake-ports.ts";
import { call, post } from "./raw-http.ts";

process.env["TZ"] = "UTC";

let ports: FakePorts;
let reload: () => Promise<void>;
let server: ManagementServer;
beforeEach(async () => {
  ports = fakePorts({ reload: () => reload() });
  reload = async () => void ports.balancer.replaceTable(ROWS);
  server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
});
afterEach(() => server.close());

function mi(method: string, params?: unknown): Promise<unknown> {
  return call(server.url, method, params);
}

/** Calls that are counted on a destination. */
function placeCalls(count: number, group: number, resources: string): CallLoad[] {
  return Array.from({ length: count }, () => {
    const load = new CallLoad();
    load.opened = true;
    assert.equal(ports.balancer.start(load, group, resources), 1);
    return load;
  });
}

describe("lb_list", () => {
  it("tells loads, statuses and capacities as they are", async () => {
    placeCalls(3, 1, "transcoding");
    ports.balancer.setStatus(3, false, "script");
    ports.balancer.resize(2, "transcoding", 25);
    const { Destinations } = (await mi("lb_list")) as { Destinations: Record<string, unknown>[] };
    assert.deepEqual(Destinations[1]?.["Resources"], [{ name: "transcoding", max: 25, load: 3 }]);
    assert.deepEqual([Destinations[2]?.["enabled"], Destinations[2]?.["auto-reenable"]], ["no", "on"]);
  });

  it("leaves empty attributes out", async () => {
    ports.balancer.replaceTable([row(1, 1, "sip:10.0.0.1:5060", "a=1", "")]);
    assert.ok(!JSON.stringify(await mi("lb_list")).includes("attrs"));
    assert.deepEqual(await mi("lb_status", [1]), { enable: "yes" });
  });

  it("is empty for an empty table", async () => {
    ports.balancer.replaceTable([]);
    assert.deepEqual(await mi("load_balancer:list"), { Destinations: [] });
  });
});

describe("lb_reload", () => {
  it("answers 500 with the reason, without passwords, and the server goes on", async () => {
    reload = () => Promise.reject(new Error("Cannot open mysql://user:secret@db/opensips: no route"));
    await assert.rejects(mi("lb_reload"), {
      code: 500,
      message: "Failed to reload",
      data: "Cannot open mysql://***@db/opensips: no route",
    });
    assert.equal(ports.logged.filter(({ level }) => level === "error").length, 1);
    assert.deepEqual(await mi("lb_status", [1]), { enable: "yes", attrs: "id=1" });
  });

  it("answers after the new table is in use", async () => {
    reload = async () => void ports.balancer.replaceTable([...ROWS, row(4, 9, "sip:10.0.0.4:5060", "a=1", "new")]);
    assert.equal(await mi("lb_reload"), "OK");
    assert.deepEqual(await mi("lb_status", ["4"]), { enable: "yes", attrs: "new" });
  });
});

describe("the log of changes", () => {
  it("names method, parameters and client of what changes something, and is silent on what reads", async () => {
    await mi("lb_status", ["1", "0"]);
    await mi("lb_status", ["1"]);
    await mi("lb_list");
    const lines = ports.logged.map(({ level, fields }) => ({ level, ...fields }));
    assert.deepEqual(lines, [{ level: "info", by: "local", client: "127.0.0.1", method: "load_balancer:status", params: '["1","0"]' }]);
  });
});

describe("lb_resize", () => {
  it("takes more than 32 bits as the largest capacity", async () => {
    assert.equal(await mi("lb_resize", ["1", "transcoding", "99999999999"]), "OK");
    assert.match(JSON.stringify(await mi("lb_list")), /"name":"transcoding","max":2147483647/);
  });
});

describe("which and help", () => {
  it("tells the parameters of a method, as opensips-cli asks for completion", async () => {
    assert.deepEqual(await mi("which", { command: "lb_status" }), [["destination_id"], ["destination_id", "new_status"]]);
    assert.deepEqual(await mi("which", { command: "lb_list" }), [[]]);
    assert.deepEqual(await mi("which", ["load_balancer:"]), [
      "load_balancer:reload",
      "load_balancer:resize",
      "load_balancer:list",
      "load_balancer:status",
    ]);
    await assert.rejects(mi("which", ["nosuch:"]), { code: 404, message: "unknown MI command" });
  });

  it("explains every method under each of its names", async () => {
    for (const name of (await mi("which")) as string[])
      assert.match(JSON.stringify(await mi("help", [name])), /^\{"Help":"[a-z].*","Exported by":"[a-z_]+"\}$/);
    assert.equal(await mi("help"), "Usage: help mi_cmd - returns information about 'mi_cmd'");
    await assert.rejects(mi("core:help", ["constructor"]), { code: 404 });
  });

  it("tells where and how the program runs", async () => {
    assert.deepEqual(await mi("pwd"), { WD: process.cwd() });
    assert.deepEqual(await mi("core:arg"), process.argv);
  });
});

describe("statistics", () => {
  it("selects by group, by name in any case, and by group:name", async () => {
    assert.deepEqual(await mi("get_statistics", [["tm:"]]), { "tm:received_replies": 40 });
    assert.deepEqual(await mi("get_statistics", { statistics: ["ACTIVE_dialogs", "nosuch", "load_balancer:starts"] }), {
      "dialog:active_dialogs": 3,
      "load_balancer:starts": 17,
    });
    assert.deepEqual(await mi("statistics:get", ["dialog:"]), { "dialog:active_dialogs": 3, "dialog:processed_dialogs": 17 });
    await assert.rejects(mi("get_statistics", [[]]), { code: -32602 });
    await assert.rejects(mi("get_statistics"), { code: -32602 });
  });

  it("tells counters from current values, and resets only counters", async () => {
    assert.deepEqual(await mi("list_statistics", [["dialog:"]]), {
      "dialog:active_dialogs": "non-incremental",
      "dialog:processed_dialogs": "incremental",
    });
    assert.equal(await mi("reset_statistics", [["active_dialogs", "processed_dialogs"]]), "OK");
    assert.deepEqual(ports.resets, ["dialog:processed_dialogs"]);
    for (const method of ["list_statistics", "reset_statistics"])
      await assert.rejects(mi(method, [["nosuch"]]), { code: 404, message: "Statistics Not Found" });
  });

  it("does not offer a reset that the program cannot do", async () => {
    const { resetStatistic: _, ...others } = fakePorts();
    const other = await createManagementServer(others, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
    await assert.rejects(call(other.url, "reset_statistics", [["x"]]), { code: -32601 });
    assert.ok(!JSON.stringify(await call(other.url, "which")).includes("reset"));
    await other.close();
  });
});

describe("dlg_list", () => {
  const DESCRIBED = {
    ID: "a1",
    db_id: "a1",
    state: 4,
    user_flags: 0,
    timestart: 1795304580,
    datestart: "2026-11-21 23:43:00",
    timeout: 1795347780,
    dateout: "2026-11-22 11:43:00",
    callid: "one@x",
    from_uri: "sip:alice@example.org",
    to_uri: "sip:bob@example.org",
    caller_tag: "from-a1",
    caller_contact: "sip:alice@127.0.0.1:5070",
    callee_cseq: "0",
    caller_route_set: "",
    caller_bind_addr: "udp:127.0.1.5:5060",
    CALLEES: [
      {
        callee_tag: "to-a1",
        callee_contact: "sip:bob@127.0.0.21:5080",
        caller_cseq: "1",
        callee_route_set: "<sip:10.0.0.1;lr>",
        callee_bind_addr: "udp:127.0.1.5:5060",
      },
    ],
  };

  it("has the keys of OpenSIPS in their order", async () => {
    ports.calls.push(fakeDialog("a1", "one@x", []));
    assert.equal(JSON.stringify(await mi("dlg_list")), JSON.stringify({ Dialogs: [DESCRIBED] }));
  });

  it("leaves dates out while a call rings", async () => {
    ports.calls.push(fakeDialog("a1", "one@x", [], { state: 1, startedAtMs: 0, expiresAtMs: 0, legs: [], calleeEndpoint: undefined }));
    const { datestart: _1, dateout: _2, ...rest } = DESCRIBED;
    assert.deepEqual(await mi("dialog:list", { callid: "one@x" }), {
      Dialog: { ...rest, state: 1, timestart: 0, timeout: 0, CALLEES: [] },
    });
  });

  it("finds one by Call-ID and tag", async () => {
    ports.calls.push(fakeDialog("a1", "one@x", []), fakeDialog("b2", "one@x", []));
    assert.match(JSON.stringify(await mi("dlg_list", { callid: "one@x", from_tag: "from-b2" })), /^\{"Dialog":\{"ID":"b2"/);
    await assert.rejects(mi("dlg_list", { callid: "one@x", from_tag: "nosuch" }), { code: 404, message: "No such dialog" });
  });

  it("writes what callers sent in UTF-8 as UTF-8, and finds it so", async () => {
    ports.calls.push(fakeDialog("a1", Buffer.from("zoë@x").toString("latin1"), []));
    assert.match(JSON.stringify(await mi("dlg_list", { callid: "zoë@x" })), /"callid":"zoë@x"/);
  });

  it("pages by index and counter, with the count of all", async () => {
    for (let i = 0; i < 5; i++) ports.calls.push(fakeDialog(`d${i}`, `${i}@x`, []));
    async function ids(index: unknown, counter: unknown): Promise<[unknown, string[]]> {
      const { count, Dialogs } = (await mi("dlg_list", { index, counter })) as { count?: number; Dialogs: { ID: string }[] };
      return [count, Dialogs.map(({ ID }) => ID)];
    }
    assert.deepEqual(await ids("1", "2"), [5, ["d1", "d2"]]);
    assert.deepEqual(await ids(4, 100), [5, ["d4"]]);
    assert.deepEqual(await ids(5, 1), [5, []]);
    assert.deepEqual(await ids(3, 0), [undefined, ["d0", "d1", "d2", "d3", "d4"]]);
    await assert.rejects(mi("dlg_list", { index: -1, counter: 2 }), {
      code: -32602,
      data: "Cannot list dialogs: index must be >= 0, current value is -1",
    });
  });

  it("refuses to list more dialogs than one answer may hold", async () => {
    const dialog = fakeDialog("a1", "one@x", []);
    for (let i = 0; i <= MAX_LISTED_DIALOGS; i++) ports.calls.push(dialog);
    await assert.rejects(mi("dlg_list"), {
      code: 413,
      data: `Cannot list 10001 dialogs in one answer: ask for at most 10000 with index and counter`,
    });
    const { Dialogs } = (await mi("dlg_list", { index: 9_000, counter: 5_000 })) as { Dialogs: unknown[] };
    assert.equal(Dialogs.length, 1_001);
  });
});

describe("a batch of long lists", () => {
  it("is cut off by the length of its answers", async () => {
    const dialog = fakeDialog("a1", "one@x", []);
    for (let i = 0; i < MAX_LISTED_DIALOGS; i++) ports.calls.push(dialog);
    const list = { jsonrpc: "2.0", method: "dlg_list", id: 1 };
    const answers = JSON.parse((await post(server.url, Array(6).fill(list))).body) as { error?: { data: string } }[];
    assert.equal(answers.length, 6);
    assert.equal(answers[0]?.error, undefined);
    assert.equal(answers[5]?.error?.data, "Not run: the answers of the batch are longer than 16777216 characters");
  });
});

describe("profiles", () => {
  it("count the calls of a resource, all of them and by destination in hexadecimal", async () => {
    ports.balancer.replaceTable([
      row(10, 1, "sip:10.0.0.1:5060", "pstn=9", undefined),
      row(171, 2, "sip:10.0.0.2:5060", "pstn=9", undefined),
    ]);
    placeCalls(2, 1, "pstn");
    const loads = placeCalls(3, 2, "pstn");
    ports.calls.push(fakeDialog("a1", "one@x", loads[0]!.leases), fakeDialog("b2", "two@x", []));
    async function count(params: unknown): Promise<number> {
      return ((await mi("profile_get_size", params)) as { Profile: { count: number } }).Profile.count;
    }
    assert.deepEqual(
      [await count(["lbXpstn"]), await count(["lbXpstn", "A"]), await count(["lbXpstn", "AB"]), await count(["lbXpstn", "zz"])],
      [5, 2, 3, 0],
    );
    assert.deepEqual(await mi("profile_get_values", ["lbXpstn"]), [
      { value: "A", count: 2 },
      { value: "AB", count: 3 },
    ]);
    assert.match(JSON.stringify(await mi("profile_list_dlgs", ["lbXpstn"])), /^\{"Dialogs":\[\{"ID":"a1"[^}]*\}\]\}\]\}$/);
    assert.deepEqual(await mi("profile_list_dlgs", ["lbXpstn", "A"]), { Dialogs: [] });
    assert.match(JSON.stringify(await mi("dlg_list_ctx", { callid: "one@x" })), /"context":\{"profiles":\[\{"lbXpstn":"AB"\}\]\}/);
    assert.match(JSON.stringify(await mi("dlg_list_ctx", { callid: "two@x" })), /"context":\{\}/);
  });

  it("exist only for resources", async () => {
    for (const method of ["profile_get_size", "profile_get_values", "profile_list_dlgs"]) {
      for (const name of ["nosuch", "lbXnosuch", "lbX", "transcoding", "__proto__"])
        await assert.rejects(mi(method, [name]), { code: 404, message: "Profile not found" });
    }
  });
});

describe("dlg_end_dlg", () => {
  beforeEach(() => void ports.calls.push(fakeDialog("a1", "one@x", [])));

  it("ends a dialog named by its ID or its Call-ID", async () => {
    assert.equal(await mi("dlg_end_dlg", ["a1"]), "OK");
    assert.equal(await mi("dialog:end_dlg", { dialog_id: "one@x" }), "OK");
    assert.deepEqual(ports.ended, [
      ["a1", undefined],
      ["a1", undefined],
    ]);
  });

  it("takes header lines for the BYEs", async () => {
    await mi("dlg_end_dlg", ["a1", "X-Why: maintenance\r\nReason:Q.850;cause=16 \r\n"]);
    assert.deepEqual(ports.ended, [
      [
        "a1",
        [
          ["X-Why", "maintenance"],
          ["Reason", "Q.850;cause=16"],
        ],
      ],
    ]);
  });

  const refused = [
    "no colon",
    "X-A: b\r\n\0",
    "X-A: b\rX-B: c",
    "Bad Name: x",
    "Via: SIP/2.0/UDP evil",
    "v: x",
    "Content-Length: 5",
    "CSeq : 1 BYE",
    "X: y\r\n".repeat(17),
    `X: ${"y".repeat(3000)}`,
  ];
  for (const headers of refused) {
    it(`refuses ${JSON.stringify(headers.slice(0, 30))} in them`, async () => {
      await assert.rejects(mi("dlg_end_dlg", ["a1", headers]), { code: -32602, message: "Invalid params" });
      assert.deepEqual(ports.ended, []);
    });
  }

  it("answers 500 when the dialog cannot be ended", async () => {
    const failing = fakePorts({ endDialog: () => assert.fail("no route") });
    failing.calls.push(...ports.calls);
    const other = await createManagementServer(failing, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
    await assert.rejects(call(other.url, "dlg_end_dlg", ["a1"]), { code: 500, message: "Operation failed" });
    await other.close();
  });
});

describe("opensips-cli", () => {
  it("is answered to what python-opensips sends: params {} when there are none, all values and the id as strings", async () => {
    async function send(method: string, params: string): Promise<unknown> {
      const body = `{"jsonrpc": "2.0", "id": "20417", "method": "${method}", "params": ${params}}`;
      const answer = await post(server.url, body, [
        ["Accept-Encoding", "identity"],
        ["User-Agent", "Python-urllib/3.11"],
      ]);
      const { id, result, error } = JSON.parse(answer.body);
      assert.deepEqual([answer.status, id, error], [200, "20417", undefined]);
      return result;
    }
    const commands = (await send("which", "{}")) as string[];
    for (const command of ["lb_list", "lb_reload", "lb_resize", "lb_status", "dlg_list", "get_statistics", "version"])
      assert.ok(commands.includes(command));
    assert.equal(await send("lb_status", '["2", "0"]'), "OK");
    assert.deepEqual(await send("lb_status", '{"destination_id": "2"}'), { enable: "no", attrs: "id=2" });
    assert.equal(await send("lb_resize", '["1", "transcoding", "56"]'), "OK");
    assert.match(JSON.stringify(await send("lb_list", "{}")), /"max":56/);
    assert.equal(await send("lb_reload", "{}"), "OK");
    assert.deepEqual(await send("get_statistics", '[["dialog:"]]'), { "dialog:active_dialogs": 3, "dialog:processed_dialogs": 17 });
    assert.deepEqual(await send("dlg_list", "{}"), { Dialogs: [] });
  });
});
