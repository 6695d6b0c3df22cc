import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, it } from "node:test";
import { freeTcpPort } from "../../src/demo/free-ports.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish, routesOf } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { TcpPeer } from "../support/tcp-peer.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const MAIN = resolve(import.meta.dirname, "../../src/main.ts");

describe("a restart without a stop", () => {
  const open: { close(): Promise<void> }[] = [];
  const running: Headroom[] = [];
  after(async () => {
    for (const part of open) await part.close();
    for (const headroom of running) await headroom.stop();
  });

  async function peer(): Promise<UdpPeer> {
    const opened = await UdpPeer.open("127.0.0.1");
    open.push(opened);
    return opened;
  }

  async function start(config: string, callee: UdpPeer): Promise<Headroom> {
    const headroom = await startHeadroom(config, [{ uri: `sip:${callee.sentBy}`, resources: "pstn=10" }]);
    running.push(headroom);
    return headroom;
  }

  it("changes nothing when the new configuration is wrong, and takes over once it is right, by the command line too; its calls survive a crash later", async () => {
    const [caller, callee] = [await peer(), await peer()];
    const headroom = await start("{ sip: { restart_timeout: 0.5 } }", callee);
    const call = await establish(headroom, caller, callee);
    const file = join(headroom.folder, "headroom.yaml");
    const text = readFileSync(file, "utf8");
    const { pid } = headroom;

    writeFileSync(file, text.replace("pstn", "pstn\n        wrong_key: 1"));
    await assert.rejects(headroom.restartHot(), /the new process has ended with 1 before it was ready/);
    writeFileSync(file, text.replace(/udp:127.0.0.2:\d+/, "udp:192.0.2.1:5060"));
    await assert.rejects(headroom.restartHot(), /the new process has ended with 1 before it was ready/);
    await headroom.untilLogged(/Cannot listen on udp:192.0.2.1:5060: this machine has no such address/);
    writeFileSync(file, text);
    assert.equal(headroom.pid, pid);
    assert.deepEqual(await headroom.loads(), [1]);

    await headroom.mi("lb_resize", ["1", "pstn", "7"]);
    const command = spawn(process.execPath, [MAIN, "restart", "--url", headroom.miUrl], { stdio: ["ignore", "pipe", "inherit"] });
    let said = "";
    command.stdout.setEncoding("utf8").on("data", (part: string) => (said += part));
    const [code] = (await once(command, "exit")) as [number];
    assert.equal(code, 0);
    const newPid = Number(/pid: (\d+)/.exec(said)?.[1]);
    assert.notEqual(newPid, pid);
    headroom.follow(newPid);
    assert.deepEqual(await headroom.loads(), [1]);
    assert.equal((await headroom.list())[0]?.Resources[0]?.max, 7);
    await headroom.untilLogged(
      /the time for what was begun before the restart is over|everything that was begun before the restart is done/,
    );

    const second = await establish(headroom, caller, callee);
    caller.send(second.fromCaller("BYE", 2), headroom);
    callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
    assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
    await waitFor("the calls are written down", 5_000, async () => {
      const { statistics = await headroom.mi("get_statistics", { statistics: ["dialog:"] }) } = {} as { statistics?: unknown };
      return (statistics as Record<string, number>)["dialog:persist_pending"] === 0;
    });
    await headroom.restart("SIGKILL");
    assert.deepEqual(await headroom.loads(), [1]);
    caller.send(call.fromCaller("BYE", 2), headroom);
    callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
    assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
    await headroom.untilIdle();
  });

  it("leaves a call that rings longer than the former process may last to the new one", async () => {
    const [caller, callee] = [await peer(), await peer()];
    const headroom = await start("{ sip: { restart_timeout: 0.5 } }", callee);
    const invite = request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy });
    caller.send(invite, headroom);
    const delivered = await callee.nextRequest("INVITE");
    const ringing = { toTag: unique("t"), headers: [`Contact: <sip:callee@${callee.sentBy}>`] };
    callee.send(responseTo(delivered, 180, ringing), headroom);
    await caller.next("the 180", (text) => statusOf(text) === 180);
    await headroom.restartHot();
    await headroom.untilLogged(/The former process has ended before calls that it had begun were answered/);
    assert.deepEqual(await headroom.loads(), [1]);
    callee.send(responseTo(delivered, 200, ringing), headroom);
    const answer = await caller.nextFinal("INVITE");
    assert.equal(statusOf(answer), 200);
    const inside = (method: string, cseq: number): string =>
      request({
        ...{ method, cseq, sentBy: caller.sentBy, callId: headerOf(invite, "Call-ID"), routes: routesOf(answer).reverse() },
        ...{ uri: `sip:callee@${callee.sentBy}`, from: headerOf(answer, "From"), to: headerOf(answer, "To") },
      });
    caller.send(inside("ACK", 1), headroom);
    await callee.nextRequest("ACK");
    assert.deepEqual(await headroom.loads(), [1]);
    caller.send(inside("BYE", 2), headroom);
    callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
    assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
    await headroom.untilIdle();
  });

  it("keeps TCP connections: calls that ring, calls that are up and new ones go on on those from before, and others are taken by the new process", async () => {
    const callee = await peer();
    const tcpPort = await freeTcpPort("127.0.0.2");
    const headroom = await start(
      `{ tm: { fr_timeout: 10 }, sip: { listen: ["udp:127.0.0.2:${await freeTcpPort("127.0.0.2")}", "tcp:127.0.0.2:${tcpPort}"] } }`,
      callee,
    );
    const udpPort = Number(/udp:127\.0\.0\.2:(\d+)/.exec(readFileSync(join(headroom.folder, "headroom.yaml"), "utf8"))?.[1]);
    const [udp, tcp] = [
      { address: "127.0.0.2", port: udpPort },
      { address: "127.0.0.2", port: tcpPort },
    ];
    const before = await TcpPeer.connect(tcp);
    open.push(before);
    const up = await callOver(before, callee, udp);
    const invite = inviteOver(before);
    before.send(invite);
    const delivered = await inviteOf(callee, invite);
    callee.send(responseTo(delivered, 180, { toTag: unique("t"), headers: [`Contact: <sip:callee@${callee.sentBy}>`] }), udp);
    await before.next("the 180", (text) => statusOf(text) === 180);
    await headroom.restartHot();
    assert.deepEqual(await headroom.loads(), [2], headroom.log());

    const rings = await answerOver(before, callee, invite, delivered, udp);
    const later = await callOver(before, callee, udp);
    const after = await TcpPeer.connect(tcp);
    open.push(after);
    const other = await callOver(after, callee, udp);
    assert.deepEqual(await headroom.loads(), [4]);
    for (const [by, answer] of [
      [before, up],
      [before, rings],
      [before, later],
      [after, other],
    ] as const) {
      const callId = headerOf(answer, "Call-ID");
      by.send(insideOver(by, answer, "BYE", 2));
      const bye = await callee.next("the BYE", (text) => text.startsWith("BYE ") && headerOf(text, "Call-ID") === callId);
      callee.send(responseTo(bye, 200), udp);
      await by.next(
        "the 200",
        (text) => statusOf(text) === 200 && headerOf(text, "CSeq") === "2 BYE" && headerOf(text, "Call-ID") === callId,
      );
    }
    // The callee of a call from before hangs up a caller that is reached on a connection from before.
    const last = await callOver(before, callee, udp);
    const lastInvite = await callee.received.findLast((text) => text.startsWith("INVITE "));
    callee.send(
      request({
        ...{ method: "BYE", cseq: 1, sentBy: callee.sentBy, callId: headerOf(last, "Call-ID"), routes: routesOf(lastInvite ?? "") },
        ...{ uri: `sip:caller@${before.address}:${before.port};transport=tcp`, from: headerOf(last, "To"), to: headerOf(last, "From") },
      }),
      udp,
    );
    const bye = await before.next("the BYE", (text) => text.startsWith("BYE "));
    before.send(responseTo(bye, 200));
    assert.equal(statusOf(await callee.nextFinal("BYE")), 200);
    await headroom.untilIdle();
  });

  it("tells systemd and the file of the number which process is the main one", async () => {
    const [caller, callee] = [await peer(), await peer()];
    const folder = mkdtempSync(join(tmpdir(), "headroom-notify-"));
    // It takes its time, and tells who is still there then: the parent of the process that it tells of.
    writeFileSync(
      join(folder, "systemd-notify"),
      `#!/bin/sh\nsleep 0.5\necho "$@" $(cut -d " " -f 4 /proc/$PPID/stat) >> ${join(folder, "told")}\n`,
    );
    chmodSync(join(folder, "systemd-notify"), 0o755);
    const before = { ...process.env };
    Object.assign(process.env, { NOTIFY_SOCKET: join(folder, "socket"), PATH: `${folder}:${process.env["PATH"]}` });
    const pidFile = join(folder, "pid");
    const headroom = await startHeadroom(
      "{ sip: { restart_timeout: 0.2 } }",
      [{ uri: `sip:${callee.sentBy}`, resources: "pstn=10" }],
      "127.0.0.2",
      [],
      ["--pid-file", pidFile],
    );
    running.push(headroom);
    process.env = before;
    const pids = [headroom.pid];
    await headroom.restartHot();
    pids.push(headroom.pid);
    await establish(headroom, caller, callee).then((call) => caller.send(call.fromCaller("BYE", 2), headroom));
    await waitFor("both are told of", 5_000, () => readFileSync(join(folder, "told"), "utf8").split("\n").length === 3);
    const parents = [process.pid, pids[0]];
    assert.equal(readFileSync(join(folder, "told"), "utf8"), pids.map((pid, i) => `--ready --pid=${pid} ${parents[i]}\n`).join(""));
    assert.equal(Number(readFileSync(pidFile, "utf8")), pids[1]);
    await headroom.untilLogged(/leaving/);
    assert.equal(Number(readFileSync(pidFile, "utf8")), pids[1]);
    rmSync(folder, { recursive: true });
  });
});

function inviteOver(by: TcpPeer): string {
  return request({ sentBy: `${by.address}:${by.port}`, headers: [`Contact: <sip:caller@${by.address}:${by.port};transport=tcp>`] }).replace(
    "SIP/2.0/UDP",
    "SIP/2.0/TCP",
  );
}

function inviteOf(callee: UdpPeer, invite: string): Promise<string> {
  return callee.next("the INVITE", (text) => text.startsWith("INVITE ") && headerOf(text, "Call-ID") === headerOf(invite, "Call-ID"));
}

function insideOver(by: TcpPeer, answer: string, method: string, cseq: number): string {
  return request({
    ...{ method, cseq, sentBy: `${by.address}:${by.port}`, callId: headerOf(answer, "Call-ID"), routes: routesOf(answer).reverse() },
    ...{ uri: /<([^>]*)>/.exec(headerOf(answer, "Contact"))?.[1] ?? "", from: headerOf(answer, "From"), to: headerOf(answer, "To") },
  }).replace("SIP/2.0/UDP", "SIP/2.0/TCP");
}

async function answerOver(
  by: TcpPeer,
  callee: UdpPeer,
  invite: string,
  delivered: string,
  udp: { address: string; port: number },
): Promise<string> {
  const callId = headerOf(invite, "Call-ID");
  callee.send(responseTo(delivered, 200, { toTag: unique("t"), headers: [`Contact: <sip:callee@${callee.sentBy}>`] }), udp);
  const answer = await by.next("the 200", (text) => statusOf(text) === 200 && headerOf(text, "Call-ID") === callId);
  by.send(insideOver(by, answer, "ACK", 1));
  await callee.next("the ACK", (text) => text.startsWith("ACK ") && headerOf(text, "Call-ID") === callId);
  return answer;
}

async function callOver(by: TcpPeer, callee: UdpPeer, udp: { address: string; port: number }): Promise<string> {
  const invite = inviteOver(by);
  by.send(invite);
  return answerOver(by, callee, invite, await inviteOf(callee, invite), udp);
}
