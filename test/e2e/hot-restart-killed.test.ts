import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CallStorm } from "../support/call-storm.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";
import { establish, type RawCall } from "../support/raw-call.ts";
import { RingingCallee } from "../support/ringing-callee.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const LISTENERS = 12;

describe("a restart without a stop in which something is killed, stopped or told to reload", () => {
  const open: { close(): Promise<void> }[] = [];
  const running: Headroom[] = [];
  after(async () => {
    for (const part of open) await part.close();
    for (const headroom of running) await headroom.stop();
  });

  async function peers(): Promise<[UdpPeer, UdpPeer]> {
    const both: [UdpPeer, UdpPeer] = [await UdpPeer.open("127.0.0.1"), await UdpPeer.open("127.0.0.1")];
    open.push(...both);
    return both;
  }

  async function start(config: string, uri: string, address = "127.0.0.2"): Promise<Headroom> {
    const headroom = await startHeadroom(config, [{ uri, resources: "pstn=1000" }], address);
    running.push(headroom);
    return headroom;
  }

  async function hangUp(headroom: Headroom, call: RawCall, caller: UdpPeer, callee: UdpPeer): Promise<void> {
    caller.send(call.fromCaller("BYE", 2), headroom);
    callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
    assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
    await headroom.untilIdle();
  }

  it("each call in the file counts when both processes are gone right after the switch", async () => {
    const callee = await RingingCallee.open("127.0.0.1", () => 20);
    const storm = await CallStorm.open("127.0.0.1");
    open.push(callee, storm);
    const headroom = await start("{ tm: { fr_timeout: 5 } }", callee.uri);
    let isOn = true;
    const calling = (async () => {
      for (; isOn; await sleep(10)) void storm.call(headroom);
    })();
    await sleep(300);
    await headroom.restartHot();
    process.kill(headroom.pid, "SIGKILL");
    isOn = false;
    await calling;
    await headroom.restart("SIGKILL");
    const [load] = await headroom.loads();
    const { Dialogs } = (await headroom.mi("dlg_list")) as { Dialogs: unknown[] };
    assert.equal(load, Dialogs.length);
    assert.ok(callee.held - Dialogs.length < 20, `${Dialogs.length} restored, ${callee.held} held`); // what began in some 100 ms
  });

  it("a new process whose former one is killed while it gives its sockets away opens the others itself", async () => {
    const [caller, callee] = await peers();
    const address = "127.0.0.7";
    const ports: number[] = [];
    while (ports.length < LISTENERS) ports.push(await freeUdpPort(address));
    const listen = ports.map((port) => `"udp:${address}:${port}"`).join(", ");
    const headroom = await start(`{ sip: { listen: [${listen}] }, tm: { fr_timeout: 5 } }`, `sip:${callee.sentBy}`, address);
    const place = { ...headroom, address, port: ports[0]! };
    const call = await establish(place, caller, callee);
    const former = headroom.pid;
    await headroom.restartHot();
    process.kill(former, "SIGKILL");
    await headroom.untilLogged(/headroom is running[\s\S]*headroom is running/);
    for (const port of ports) {
      const options = request({ method: "OPTIONS", uri: `sip:${address}:${port}`, sentBy: caller.sentBy });
      caller.send(options, { address, port });
      await caller.next(`an answer on ${port}`, (text) => statusOf(text) > 0 && headerOf(text, "Call-ID") === headerOf(options, "Call-ID"));
    }
    assert.deepEqual(await headroom.loads(), [1]);
    caller.send(call.fromCaller("BYE", 2), place);
    callee.send(responseTo(await callee.nextRequest("BYE"), 200), place);
    assert.equal(statusOf(await caller.nextFinal("BYE")), 200);
    await headroom.untilIdle();
  });

  it("a stop while the new process is being started stops both, and a reload meanwhile is done by the new one", async () => {
    const [caller, callee] = await peers();
    const headroom = await start("{ sip: { restart_timeout: 1 } }", `sip:${callee.sentBy}`);
    const call = await establish(headroom, caller, callee);
    const file = join(headroom.folder, "headroom.yaml");
    const started = /"newPid":(\d+)[^\n]*a new process is started/;

    headroom.signal("SIGUSR2");
    await headroom.untilLogged(started);
    headroom.signal("SIGHUP");
    const newPid = Number((await headroom.untilLogged(/"newPid":(\d+)[^\n]*a new process has taken over/))[1]);
    headroom.follow(newPid);
    await headroom.untilLogged(/the process that has taken over is told to reload[\s\S]*configuration and destinations reloaded/);
    assert.deepEqual(await headroom.loads(), [1]);
    await headroom.untilLogged(/The former process has ended/);

    writeFileSync(file, readFileSync(file, "utf8").replace("restart_timeout: 1", "restart_timeout: 2"));
    headroom.signal("SIGUSR2");
    const next = await waitFor("another process is started", 5_000, () => [...headroom.log().matchAll(new RegExp(started, "g"))][1]?.[1]);
    headroom.signal("SIGTERM");
    await headroom.untilLogged(/Cannot restart without a stop: this process is told to stop/);
    for (const pid of [newPid, Number(next)]) {
      await waitFor("it ends", 5_000, () => {
        try {
          return !process.kill(pid, 0);
        } catch {
          return true;
        }
      });
    }
    await headroom.restart("SIGKILL");
    assert.deepEqual(await headroom.loads(), [1]);
    await hangUp(headroom, call, caller, callee);
  });
});
