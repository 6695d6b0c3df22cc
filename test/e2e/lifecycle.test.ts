import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import Database from "better-sqlite3";
import { startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const CALLER = "127.0.21.61";
const CALLEE = "127.0.21.62";

describe("headroom start", () => {
  it("answers with an empty table, and says in its log what to do next", async () => {
    const caller = await UdpPeer.open(CALLER);
    const headroom = await startHeadroom();
    try {
      await waitFor("the log says what to do", 2_000, () => headroom.log().includes("headroom destinations add"));
      assert.deepEqual(await headroom.mi("lb_list"), { Destinations: [] });
      caller.send(request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy }), headroom);
      assert.equal(statusOf(await caller.nextFinal("INVITE")) >= 500, true);
    } finally {
      await headroom.stop();
      await caller.close();
    }
  });

  it("says once that UDP goes through Node.js where it was told so, and nothing where system calls do it, as a system like this can", async () => {
    const sentence = "UDP is read and written by Node.js, not by direct system calls";
    for (const [key, count] of [
      ["udp_system_calls: auto", 0],
      ["udp_system_calls: off", 1],
    ] as const) {
      const caller = await UdpPeer.open(CALLER);
      const headroom = await startHeadroom(`sip: { ${key} }`);
      try {
        caller.send(request({ method: "OPTIONS", uri: `sip:${headroom.address}:${headroom.port}`, sentBy: caller.sentBy }), headroom);
        await caller.nextFinal("OPTIONS");
        assert.equal(headroom.log().split(sentence).length - 1, process.platform === "linux" ? count : 1);
      } finally {
        await headroom.stop();
        await caller.close();
      }
    }
  });

  it("runs with its memory settings however it is started, as the same process", async () => {
    const headroom = await startHeadroom("", [], undefined, ["--no-deprecation"]);
    try {
      const of = (what: string): string[] => readFileSync(`/proc/${headroom.pid}/${what}`, "utf8").split("\0");
      assert.deepEqual(of("cmdline").slice(1, 3), ["--no-deprecation", "--max-semi-space-size=8"]);
      assert.ok(of("environ").includes("MALLOC_ARENA_MAX=1"));
    } finally {
      await headroom.stop(); // wants exit code 0 of the process that was started
    }
  });

  it("stops with exit code 0 at SIGTERM, also while calls ring and calls are up", async () => {
    const caller = await UdpPeer.open(CALLER);
    const callee = await UdpPeer.open(CALLEE);
    const headroom = await startHeadroom("", [{ uri: `sip:${callee.sentBy}`, resources: "pstn=5" }]);
    await establish(headroom, caller, callee);
    caller.send(request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy }), headroom);
    callee.send(responseTo(await callee.nextRequest("INVITE"), 180, { toTag: "rings" }), headroom);
    await caller.next("180 of the second call", (message) => statusOf(message) === 180 && headerOf(message, "To").includes("rings"));
    assert.deepEqual(await headroom.loads(), [2]);
    const askedAtMs = performance.now();
    await headroom.stop(); // wants exit code 0
    assert.ok(performance.now() - askedAtMs < 8_000);
    await caller.close();
    await callee.close();
  });

  it("refuses to start where somebody else listens, and says where", async () => {
    const headroom = await startHeadroom();
    try {
      const listen = `udp:${headroom.address}:${headroom.port}`;
      await assert.rejects(startHeadroom(`sip: { listen: ["${listen}"] }`), new RegExp(`ended with 1.*${headroom.port}`, "s"));
    } finally {
      await headroom.stop();
    }
  });

  it("refuses a bad configuration, and names file, line and value", async () => {
    await assert.rejects(startHeadroom("tm: { fr_timeout: soon }"), /ended with 1.*headroom\.yaml:\d+:\d+.*soon/s);
  });

  it("skips a row that it cannot use, names it in the log, and uses the rest; a broken table changes nothing", async () => {
    const caller = await UdpPeer.open(CALLER);
    const callee = await UdpPeer.open(CALLEE);
    const headroom = await startHeadroom("", [
      { uri: "not a SIP URI", resources: "pstn=5" },
      { uri: `sip:${callee.sentBy}`, resources: "pstn=five" },
      { uri: `sip:${callee.sentBy}`, resources: "pstn=5" },
    ]);
    try {
      assert.deepEqual(
        (await headroom.list()).map(({ id }) => id),
        [3],
      );
      for (const fault of ["not a SIP URI", "pstn=five"])
        await waitFor(`the log names "${fault}"`, 2_000, () => headroom.log().includes(fault));
      await establish(headroom, caller, callee);

      const table = new Database(join(headroom.folder, "headroom.db"));
      table.exec("UPDATE version SET table_version = 2 WHERE table_name = 'load_balancer'");
      await assert.rejects(headroom.mi("lb_reload"), /500 Failed to reload/);
      assert.deepEqual(await headroom.loads(), [1]);
      table.exec("UPDATE version SET table_version = 3 WHERE table_name = 'load_balancer'");
      table.close();
      await headroom.mi("lb_reload");
      assert.deepEqual(await headroom.loads(), [1]);
    } finally {
      await headroom.stop();
      await caller.close();
      await callee.close();
    }
  });

  it("reloads the destinations at SIGHUP", async () => {
    const headroom = await startHeadroom("", [{ uri: "sip:127.0.21.62:5060", resources: "pstn=5" }]);
    try {
      const table = new Database(join(headroom.folder, "headroom.db"));
      table.exec("UPDATE load_balancer SET resources = 'pstn=7'");
      table.close();
      headroom.signal("SIGHUP");
      await waitFor("the capacity is 7", 3_000, async () => (await headroom.list())[0]?.Resources[0]?.max === 7);
    } finally {
      await headroom.stop();
    }
  });
});
