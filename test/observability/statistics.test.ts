import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Statistics } from "../../src/observability/statistics.ts";
import { TransportCounters } from "../../src/transport/udp.ts";
import { delivered, established, invite } from "../support/sim-call.ts";
import { FR_MS, LIFETIME_MS, PROXY, SimNetwork } from "../support/sim-network.ts";
import { request } from "../support/sip-messages.ts";

type Values = Record<string, Record<string, number>>;

/** Every statistic there is. Panels and alarms know them by these names, so each change of this list is on purpose. */
const NAMES: Record<string, string> = {
  core: `rcv_requests rcv_replies fwd_requests fwd_replies drop_requests drop_replies err_requests bad_msg_hdr loops too_many_hops foreign_routes
    not_allowed script_errors timestamp`,
  net: "received_messages sent_messages received_bytes sent_bytes keepalives send_errors receive_faults icmp_refused peer_sockets",
  tm: `received_replies relayed_replies local_replies UAS_transactions UAC_transactions 2xx_transactions 3xx_transactions 4xx_transactions
    5xx_transactions 6xx_transactions inuse_transactions retransmission_req retransmission_rpl absorbed_req stray_replies stray_acks merged_requests
    refused_overload timeout_finalresponse timeout_finalresponse_inv transport_errors large_over_tcp large_back_to_udp failovers address_failovers late_answers orphans_ended
    callers_gone`,
  dialog: `active_dialogs early_dialogs processed_dialogs expired_dialogs failed_dialogs unknown_dialog restored_dialogs surrendered_dialogs searches
    searches_refused searches_failed lost_replies options_pings reinvite_pings ping_timeouts ping_outages ping_holds`,
  load_balancer: `starts nexts selected no_capacity no_destination bad_resource internal_error resets disables disables_stale counted uncounted reloads faults
    failed_open audits audit_differences audit_missing_sessions destinations destinations_enabled`,
  health: "", // its sources come with the program: see test/server/statistics.test.ts
};

function statisticsOf(net: SimNetwork, uptimeS = 0, transport: object = new TransportCounters()): Statistics {
  const { layer, proxy, dialogs, balancer, core } = net;
  return new Statistics({ layer, proxy, proxyCounters: core.counters, transport, dialogs, balancer, uptimeS: () => uptimeS });
}

function read(net: SimNetwork): Values {
  return statisticsOf(net).read();
}

/** Those of `group:name` that are not 0. */
function counted(statistics: Values): Record<string, number> {
  const all = Object.entries(statistics).flatMap(([group, values]) =>
    Object.entries(values).map(([name, value]) => [`${group}:${name}`, value] as const),
  );
  return Object.fromEntries(all.filter(([, value]) => value !== 0));
}

/** Asserts that `wanted` is among the statistics, with these values. */
function assertHas(statistics: Values, wanted: Record<string, number>): void {
  const found = Object.fromEntries(
    Object.keys(wanted).map((key) => {
      const [group = "", name = ""] = key.split(":");
      return [key, statistics[group]?.[name]];
    }),
  );
  assert.deepEqual(found, wanted);
}

describe("Statistics.read() before the first message", () => {
  const statistics = read(new SimNetwork());

  it("has these groups and names", () => {
    const names = Object.fromEntries(Object.entries(statistics).map(([group, values]) => [group, Object.keys(values).sort()]));
    const wanted = Object.fromEntries(
      Object.entries(NAMES).map(([group, text]) => [
        group,
        text
          .split(/\s+/)
          .filter((name) => name !== "")
          .sort(),
      ]),
    );
    assert.deepEqual(names, wanted);
  });

  it("has only names that a client can ask for: letters, digits and underscores", () => {
    for (const [group, values] of Object.entries(statistics))
      for (const name of [group, ...Object.keys(values)]) assert.match(name, /^[A-Za-z0-9_]+$/);
  });

  it("has 0 for all but the destinations and the table that was loaded", () => {
    assert.deepEqual(counted(statistics), {
      "load_balancer:destinations": 2,
      "load_balancer:destinations_enabled": 2,
      "load_balancer:reloads": 1,
    });
  });
});

describe("Statistics.read()", () => {
  it("counts a call from its INVITE to its BYE", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.answerWith(180);
    assertHas(read(net), {
      "dialog:early_dialogs": 1,
      "dialog:active_dialogs": 0,
      "dialog:processed_dialogs": 1,
      "tm:inuse_transactions": 1,
    });
    call.answerWith(200);
    call.caller.send(call.fromCaller("ACK", 1));
    call.callee.take("ACK");
    assertHas(read(net), { "dialog:early_dialogs": 0, "dialog:active_dialogs": 1, "tm:2xx_transactions": 1 });

    const bye = call.fromCaller("BYE", 2);
    call.caller.send(bye);
    call.delivered = call.callee.take("BYE");
    call.respond(200);
    net.finish();
    assert.deepEqual(counted(read(net)), {
      "core:rcv_requests": 3, // INVITE, ACK, BYE
      "core:rcv_replies": 3, // 180, 200, 200
      "core:fwd_requests": 3,
      "core:fwd_replies": 3,
      "tm:received_replies": 3,
      "tm:relayed_replies": 3,
      "tm:local_replies": 1, // 100
      "tm:UAS_transactions": 2,
      "tm:UAC_transactions": 2,
      "tm:2xx_transactions": 2,
      "dialog:processed_dialogs": 1,
      "load_balancer:starts": 1,
      "load_balancer:selected": 1,
      "load_balancer:destinations": 2,
      "load_balancer:destinations_enabled": 2,
      "load_balancer:reloads": 1,
    });
  });

  for (const [status, name] of [
    [302, "3xx_transactions"],
    [486, "4xx_transactions"],
    [603, "6xx_transactions"],
  ] as const) {
    it(`counts a call that ends with ${status} under ${name}, and as a failed dialog`, () => {
      const net = new SimNetwork({ destinations: ["203.0.113.1"] });
      delivered(net).respond(status);
      assertHas(read(net), { [`tm:${name}`]: 1, "tm:2xx_transactions": 0, "dialog:failed_dialogs": 1, "dialog:active_dialogs": 0 });
    });
  }

  it("counts a failover, and the time-outs of INVITE behind it", () => {
    const net = new SimNetwork();
    delivered(net).respond(503);
    assertHas(read(net), { "tm:failovers": 1, "load_balancer:nexts": 1, "load_balancer:selected": 2, "tm:5xx_transactions": 0 });
    net.run(FR_MS + 1_000);
    assertHas(read(net), {
      "tm:timeout_finalresponse_inv": 1,
      "tm:timeout_finalresponse": 0,
      "tm:4xx_transactions": 1, // 408 goes before 503 (RFC 3261 §16.7 step 6)
      "tm:5xx_transactions": 0,
      "load_balancer:no_destination": 1,
      "dialog:failed_dialogs": 1,
    });
  });

  it("counts the time-out of a request that is not INVITE", () => {
    const net = new SimNetwork();
    const call = established(net);
    call.caller.send(call.fromCaller("INFO", 2));
    net.run(FR_MS + 1_000);
    assertHas(read(net), { "tm:timeout_finalresponse": 1, "tm:timeout_finalresponse_inv": 0 });
  });

  it("counts copies of requests and of answers", () => {
    const net = new SimNetwork();
    const call = delivered(net);
    call.caller.send(call.invite);
    assertHas(read(net), { "tm:absorbed_req": 1, "tm:UAS_transactions": 1, "core:rcv_requests": 2, "core:fwd_requests": 1 });
    net.run(2_000);
    const { tm } = read(net);
    assert.ok((tm?.["retransmission_req"] ?? 0) >= 2, "the INVITE was sent again after 0.5 and 1.5 s");
  });

  it("counts a transport error", () => {
    const net = new SimNetwork();
    net.unreachable.add("203.0.113.1");
    invite(net);
    net.run(100);
    assertHas(read(net), { "tm:transport_errors": 1, "tm:failovers": 1 });
  });

  it("counts a lifetime that ended", () => {
    const net = new SimNetwork();
    established(net);
    net.run(LIFETIME_MS + 1_000);
    assertHas(read(net), { "dialog:expired_dialogs": 1, "dialog:active_dialogs": 0 });
  });

  it("counts what was refused under the reason", () => {
    const net = new SimNetwork({ allowed: ["198.51.100.1"] });
    const peer = net.peer("198.51.100.1");
    const uri = `sip:service@${PROXY}`;
    const { sentBy } = peer;
    peer.send(request({ uri, sentBy, routes: ["<sip:203.0.113.99;lr>"] }));
    peer.send(request({ uri, sentBy, maxForwards: 0 }));
    peer.send(request({ method: "BYE", uri, sentBy, to: `<${uri}>;tag=unknown` }));
    net.peer("198.51.100.66").send(request({ uri, sentBy: "198.51.100.66" }));
    assertHas(read(net), {
      "core:foreign_routes": 1,
      "core:too_many_hops": 1,
      "core:not_allowed": 1,
      "core:err_requests": 4,
      "core:fwd_requests": 0,
      "dialog:unknown_dialog": 1,
    });
  });

  it("counts a route that throws", () => {
    const net = new SimNetwork({
      router: () => ({
        handles: () => true,
        failure: () => {},
        request: () => {
          throw new Error("broken on purpose");
        },
      }),
    });
    invite(net);
    assertHas(read(net), { "core:script_errors": 1, "tm:5xx_transactions": 1 });
  });

  it("counts malformed messages in all, and each kind under a name of its own", () => {
    const net = new SimNetwork();
    const peer = net.peer("198.51.100.1");
    const good = request({ uri: `sip:service@${PROXY}`, sentBy: peer.sentBy });
    peer.send(good.replace("CSeq: 1 INVITE", "CSeq: one INVITE"));
    peer.send(good.replace("CSeq: 1 INVITE", "CSeq: two INVITE"));
    peer.send("no SIP at all\r\n\r\n");
    const core = read(net)["core"] ?? {};
    const kinds = Object.entries(core).filter(([name]) => name.startsWith("malformed_"));
    assert.equal(core["bad_msg_hdr"], 3);
    assert.deepEqual(kinds.map(([, count]) => count).sort(), [1, 2]);
    for (const [name] of kinds) assert.match(name, /^malformed_[a-z0-9_]+$/);
  });

  it("shows how many destinations are enabled now", () => {
    const net = new SimNetwork();
    net.balancer.setStatus(2, false, "mi");
    assertHas(read(net), { "load_balancer:destinations": 2, "load_balancer:destinations_enabled": 1 });
    net.balancer.replaceTable(net.rows.slice(0, 1));
    assertHas(read(net), { "load_balancer:destinations": 1, "load_balancer:destinations_enabled": 1, "load_balancer:reloads": 2 });
  });

  it("shows the uptime in seconds, and the counters of the listeners", () => {
    const transport = new TransportCounters();
    transport.received_messages = 7;
    transport.sent_bytes = 512;
    assertHas(statisticsOf(new SimNetwork(), 86_400, transport).read(), {
      "core:timestamp": 86_400,
      "net:received_messages": 7,
      "net:sent_bytes": 512,
      "net:send_errors": 0,
    });
  });

  it("is a copy: what was read does not change", () => {
    const net = new SimNetwork();
    const transport = new TransportCounters();
    const before = statisticsOf(net, 0, transport).read();
    const kept = structuredClone(before);
    invite(net);
    transport.received_messages += 1;
    assert.deepEqual(before, kept);
  });
});

describe("Statistics.reset()", () => {
  it("counts one statistic from 0 again, and leaves all others", () => {
    const net = new SimNetwork();
    const statistics = statisticsOf(net);
    delivered(net).respond(486);
    assertHas(statistics.read(), { "dialog:failed_dialogs": 1, "dialog:processed_dialogs": 1, "tm:4xx_transactions": 1 });
    statistics.reset("dialog", "failed_dialogs");
    assertHas(statistics.read(), { "dialog:failed_dialogs": 0, "dialog:processed_dialogs": 1, "tm:4xx_transactions": 1 });
    delivered(net).respond(486);
    assertHas(statistics.read(), { "dialog:failed_dialogs": 1, "dialog:processed_dialogs": 2, "tm:4xx_transactions": 2 });
  });

  it("works again and again, and for one reader only", () => {
    const net = new SimNetwork();
    const [statistics, other] = [statisticsOf(net), statisticsOf(net)];
    for (let calls = 1; calls <= 3; calls++) {
      delivered(net).respond(486);
      statistics.reset("load_balancer", "starts");
      assertHas(statistics.read(), { "load_balancer:starts": 0 });
      assertHas(other.read(), { "load_balancer:starts": calls });
    }
  });

  it("sets a kind of malformed message back as well, and ignores what does not exist", () => {
    const net = new SimNetwork();
    const statistics = statisticsOf(net);
    net.peer("198.51.100.1").send("no SIP at all\r\n\r\n");
    const kind = Object.keys(statistics.read()["core"] ?? {}).find((name) => name.startsWith("malformed_")) ?? "";
    statistics.reset("core", kind);
    for (const [group, name] of [
      ["core", "nothing"],
      ["nothing", "rcv_requests"],
    ] as const)
      statistics.reset(group, name);
    assertHas(statistics.read(), { [`core:${kind}`]: 0, "core:bad_msg_hdr": 1 });
    assert.deepEqual(Object.keys(statistics.read()).sort(), Object.keys(NAMES).sort());
  });
});

describe("the statistics of a cluster", () => {
  it("are a group of their own, read anew each time and set back like others; a node alone has none", () => {
    const net = new SimNetwork();
    const { layer, proxy, dialogs, balancer, core } = net;
    const counters: Record<string, number> = { beats: 5, mi_run: 0 };
    const sources = { layer, proxy, proxyCounters: core.counters, transport: {}, dialogs, balancer, uptimeS: () => 0 };
    const statistics = new Statistics({ ...sources, cluster: { counters } });
    assert.deepEqual(statistics.read()["clusterer"], { beats: 5, mi_run: 0 });
    statistics.reset("clusterer", "beats");
    counters["beats"] = 7;
    assert.deepEqual(statistics.read()["clusterer"], { beats: 2, mi_run: 0 });
    assert.equal(new Statistics(sources).read()["clusterer"], undefined);
  });
});
