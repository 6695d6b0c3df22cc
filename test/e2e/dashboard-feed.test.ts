import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { FeedReader } from "../support/feed-reader.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish, type RawCall } from "../support/raw-call.ts";
import { responseTo } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const ADDRESS = "127.0.29.51";
const TOKENS = "[{ name: anna, token: token-of-anna, role: operator }, { name: wall, token: token-of-wall, role: viewer }]";

describe("the feed of the dashboard, of the running program", () => {
  let headroom: Headroom;
  let caller: UdpPeer;
  let callee: UdpPeer;
  let reader: FeedReader;
  let withoutDashboard: Headroom;
  before(async () => {
    [caller, callee] = await Promise.all([UdpPeer.open("127.0.29.52"), UdpPeer.open("127.0.29.53")]);
    const other = startHeadroom("mi_http: { dashboard: false }", [], "127.0.29.56");
    headroom = await startHeadroom(
      `mi_http: { auth: { tokens: ${TOKENS} } }\nrouting: { rules: [{ group: 1, resources: pstn, disable_on: [] }] }\nsip: { restart_timeout: 2 }`,
      [
        { uri: `sip:${callee.sentBy}`, resources: "pstn=30;conf=5" },
        { group: 2, uri: "sip:127.0.29.54:5060", resources: "pstn=7" },
      ],
      ADDRESS,
    );
    withoutDashboard = await other;
    reader = await FeedReader.open(headroom.miUrl, "token-of-anna");
    await reader.until("it knows the figures", () => reader.totals !== undefined);
  });
  after(async () => {
    reader?.close();
    await Promise.all([headroom?.stop(), withoutDashboard?.stop()]);
    await Promise.all([caller, callee].map((peer) => peer.close()));
  });

  /** Who asks, and what the answer says. */
  async function ask(token: string, method: string, params: readonly unknown[]): Promise<{ error?: { code: number; data?: string } }> {
    const response = await fetch(headroom.miUrl, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    });
    return (await response.json()) as { error?: { code: number; data?: string } };
  }

  async function hangUp(call: RawCall): Promise<void> {
    caller.send(call.fromCaller("BYE", 2), headroom);
    callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
  }

  it("begins with who reads, and with the table", () => {
    assert.deepEqual(reader.frames.slice(0, 4), ["hello", "table", "figures", "totals"]);
    assert.deepEqual([reader.hello.by, reader.hello.role, reader.hello.needsToken], ["anna", "operator", true]);
    assert.ok(["lb_drain", "lb_resize", "dlg_find", "audit_log"].every((name) => reader.hello.methods.includes(name)));
    assert.deepEqual(reader.table.groups, [{ id: 1 }, { id: 2 }]);
    assert.deepEqual(reader.rows.get(1)!.loads, [
      [0, 30, 30, 0, 0],
      [0, 5, 5, 0, 0],
    ]);
  });

  it("follows a call, and dlg_find finds it, until it has ended", async () => {
    const call = await establish(headroom, caller, callee);
    await reader.until("the load is there", () => reader.rows.get(1)!.loads[0]![0] === 1);
    assert.equal(reader.rows.get(1)!.calls, 1);
    await reader.until("the totals have it", () => reader.totals.calls === 1);
    assert.deepEqual(reader.totals.groups, { "1": { pstn: [1, 30], conf: [0, 5] }, "2": { pstn: [0, 7] } });
    assert.equal(reader.totals.decisions["1"], 1);
    for (const pattern of [call.callId.slice(0, 8).toUpperCase(), callee.sentBy]) {
      const { Dialogs, matches } = (await headroom.mi("dlg_find", [pattern])) as {
        Dialogs: { callid: string; destinations: object[] }[];
        matches: number;
      };
      assert.deepEqual([matches, Dialogs[0]!.callid], [1, call.callId]);
      assert.deepEqual(Dialogs[0]!.destinations, [{ id: 1, uri: `sip:${callee.sentBy}`, resources: ["pstn"] }]);
    }
    await hangUp(call);
    await reader.until("the load is gone", () => reader.rows.get(1)!.loads[0]![0] === 0 && reader.totals.calls === 0);
    assert.ok(reader.events.some(({ event }) => event === "E_DLG_STATE_CHANGED"));
  });

  it("tells of a drain, who wanted it, and that it is over; a viewer cannot have one", async () => {
    const viewer = await FeedReader.open(headroom.miUrl, "token-of-wall");
    try {
      const call = await establish(headroom, caller, callee);
      const refused = await ask("token-of-wall", "lb_drain", [1]);
      assert.match(refused.error?.data ?? "", /^Cannot run load_balancer:drain as viewer "wall"/);
      assert.equal((await ask("token-of-anna", "lb_drain", [1])).error, undefined);
      for (const each of [reader, viewer]) await each.until("it is draining", () => each.rows.get(1)?.status === "draining");
      assert.deepEqual([viewer.hello.by, viewer.hello.role], ["wall", "viewer"]);
      assert.deepEqual(reader.rows.get(1)!.drain, { load: 1, deadline: null });
      const changes = reader.events
        .filter(({ event }) => event === "E_MANAGEMENT_CHANGE")
        .map(({ params }) => [params["by"], params["outcome"]]);
      assert.deepEqual(changes.slice(-2), [
        ["wall", "forbidden"],
        ["anna", "done"],
      ]);
      await hangUp(call);
      await reader.until("the drain is over", () => reader.rows.get(1)!.status === "disabled");
      assert.deepEqual([reader.rows.get(1)!.why, reader.rows.get(1)!.drain], ["A drain is over and has disabled it", null]);
      await ask("token-of-anna", "lb_undrain", [1]);
      await reader.until("it is up", () => reader.rows.get(1)!.status === "up");
    } finally {
      viewer.close();
    }
  });

  it("tells of another table", async () => {
    await headroom.replaceRows([
      { uri: `sip:${callee.sentBy}`, resources: "pstn=30" },
      { group: 3, uri: "sip:127.0.29.55:5060", resources: "pstn=9", attrs: "x=1" },
    ]);
    await reader.until("the table is another one", () => reader.table.groups.length === 2 && reader.table.groups[1].id === 3);
    await reader.until("its figures are there", () => reader.rows.get(2)?.loads[0]?.[1] === 9);
    assert.equal(reader.table.destinations[1].attrs, "x=1");
  });

  it("is for those who may read; the page is for everybody", async () => {
    await assert.rejects(FeedReader.open(headroom.miUrl), /status 401/);
    const page = await fetch(new URL("/", headroom.miUrl));
    assert.deepEqual([page.status, page.headers.get("content-type")], [200, "text/html; charset=utf-8"]);
    assert.equal((await fetch(new URL("/dashboard/uplot.js", headroom.miUrl))).status, 200);
  });

  it("is not there where it is switched off, and neither is the page", async () => {
    for (const path of ["/", "/dashboard/uplot.js", "/dashboard/feed"]) {
      assert.equal((await fetch(new URL(path, withoutDashboard.miUrl))).status, 400, path);
    }
  });

  it("ends when a new process takes over, which serves who comes back", async () => {
    await headroom.restartHot();
    await reader.until("the old one has ended it", () => reader.isOver);
    reader = await waitFor("the new one serves", 5_000, () => FeedReader.open(headroom.miUrl, "token-of-anna").catch(() => undefined));
    await reader.until("it has everything", () => reader.totals !== undefined);
    assert.equal(reader.table.destinations.length, 2);
  });
});
