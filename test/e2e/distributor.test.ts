import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse, stringify } from "yaml";
import { exchangesOf } from "../distributor/recordings.ts";
import { waitFor } from "../support/net.ts";
import { headerOf, responseTo, statusOf } from "../support/sip-messages.ts";
import { answerAndHangUp, type Bench, finalFor, finalOf, inviteAt, openBench, sendInvite } from "../support/two-destinations.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const FIXTURE = resolve(import.meta.dirname, "../fixtures/distributor/distributor.conf.xml");
const TIMEOUT_MS = 3_000;

/** What FreeSWITCH answered to the `distributor LIST` commands of a recording. */
function rotationOf(recording: string): string[] {
  return exchangesOf(recording)
    .filter(({ command }) => command.startsWith("distributor "))
    .map(({ answer }) => answer);
}

describe("calls by the lists of a distributor.conf.xml", () => {
  const folder = mkdtempSync(join(tmpdir(), "headroom-lists-"));
  const listFile = join(folder, "distributor.conf.xml");
  let gateway: UdpPeer;
  let bench: Bench;
  before(async () => {
    copyFileSync(FIXTURE, listFile);
    gateway = await UdpPeer.open("127.0.21.94");
    const config = {
      routing: {
        rules: [
          { match: { header: { Subject: "^counted$" } }, distribute: "even", resources: "pstn" },
          { match: { header: { Subject: "^mixed$" } }, distribute: "mixed" },
          { match: { header: { Subject: "^even$" } }, distribute: "EVEN", failover_on: ["5xx"] },
          { distribute: "test" },
        ],
      },
      distributor: {
        list_file: listFile,
        lists: { mixed: [{ name: "a" }, { name: "gw" }] },
        nodes: { foo1: 1, foo2: 2, a: 1, b: 2, c: 1, only: 1, z1: 2, gw: `sip:${gateway.sentBy}` },
      },
    };
    bench = await openBench(stringify(config), ["pstn=2", "pstn=20"]);
  });
  after(async () => {
    await bench?.close();
    await gateway?.close();
    rmSync(folder, { recursive: true });
  });

  const mi = (...words: string[]): Promise<unknown> => bench.headroom.mi(words[0] ?? "", words.slice(1));

  /** Sends an INVITE with this subject. @returns its Call-ID */
  function send(subject: string): string {
    const { headroom, caller } = bench;
    const subjected: Pick<UdpPeer, "sentBy" | "send"> = {
      sentBy: caller.sentBy,
      send: (text, to) => caller.send(text.replace("\r\n", `\r\nSubject: ${subject}\r\n`), to),
    };
    return sendInvite({ ...bench, headroom, caller: subjected as UdpPeer });
  }

  /** The peer that gets this call, which it refuses. */
  async function takerOf(callId: string, status = 486): Promise<UdpPeer> {
    const peers = [bench.one, bench.two, gateway];
    const isIt = (text: string): boolean => text.startsWith("INVITE ") && headerOf(text, "Call-ID") === callId;
    const [peer, invite] = await waitFor("somebody gets the call", TIMEOUT_MS, () => {
      for (const peer of peers) {
        const invite = peer.received.find(isIt);
        if (invite !== undefined) return [peer, invite] as const;
      }
      return undefined;
    });
    peer.send(responseTo(invite, status, { toTag: "refused" }), bench.headroom);
    return peer;
  }

  /** Lets a call that rings at this peer fail. */
  function refuse(peer: UdpPeer, callId: string): void {
    const invite = peer.received.find((text) => text.startsWith("INVITE ") && headerOf(text, "Call-ID") === callId) ?? "";
    peer.send(responseTo(invite, 486, { toTag: "refused" }), bench.headroom);
  }

  it("go by the recorded rotation, one node after the other", async () => {
    assert.equal(await mi("distributor_ctl", "reload"), "+OK reloaded.\n");
    for (const [recording, subject, first] of [
      ["01-weights-1-9-20calls", "test", "foo1"],
      ["02-weights-1-1-20calls", "even", "a"],
    ] as const) {
      const takers: string[] = [];
      const wanted = rotationOf(recording);
      for (let call = 0; call < 20; call++) {
        const callId = send(subject);
        takers.push((await takerOf(callId)) === bench.one ? first : (wanted.find((node) => node !== first) ?? ""));
        assert.equal(statusOf(await finalFor(bench.caller, callId)), 486);
      }
      assert.deepEqual(takers, wanted);
    }
    assert.deepEqual(await bench.headroom.loads(), [0, 0]);
  });

  it("pass over a node that is down, and come back to it", async () => {
    await mi("distributor_ctl", "reload");
    await mi("lb_status", "2", "0");
    for (let call = 0; call < 3; call++) {
      const callId = send("even");
      assert.equal(await takerOf(callId), bench.one);
      await finalFor(bench.caller, callId);
    }
    await mi("lb_status", "1", "0");
    assert.match(await finalOf(bench), /^SIP\/2\.0 503 No destination available\r\n/);
    for (const id of ["1", "2"]) await mi("lb_status", id, "1");
    await mi("distributor_ctl", "reload");
    const takers: UdpPeer[] = [];
    for (let call = 0; call < 2; call++) {
      const callId = send("even");
      takers.push(await takerOf(callId));
      await finalFor(bench.caller, callId);
    }
    assert.deepEqual(takers, [bench.one, bench.two]);
  });

  it("go to the next node when one fails, a gateway that is no destination among them", async () => {
    await mi("distributor_ctl", "reload");
    const callId = send("mixed");
    bench.one.send(responseTo(await inviteAt(bench.one, callId), 503, { toTag: "no" }), bench.headroom);
    const delivered = await inviteAt(gateway, callId);
    assert.match(delivered, /^INVITE sip:service@127\.0\.0\.2:/, "the Request-URI stays");
    await answerAndHangUp(bench, gateway, delivered);

    const failing = send("even");
    bench.one.send(responseTo(await inviteAt(bench.one, failing), 500, { toTag: "no" }), bench.headroom);
    bench.two.send(responseTo(await inviteAt(bench.two, failing), 500, { toTag: "no" }), bench.headroom);
    assert.equal(statusOf(await finalFor(bench.caller, failing)), 500);
  });

  it("count on destinations only when the rule names resources, and pass over full ones then", async () => {
    await mi("distributor_ctl", "reload");
    const { headroom, one, two } = bench;
    const uncounted = send("test");
    assert.equal(await takerOf(uncounted, 180), one);
    assert.deepEqual(await headroom.loads(), [0, 0]);
    refuse(one, uncounted);

    const ids: string[] = [];
    const takers: UdpPeer[] = [];
    for (let call = 0; call < 6; call++) {
      const callId = send("counted");
      ids.push(callId);
      takers.push(await takerOf(callId, 180));
    }
    assert.deepEqual(takers, [one, two, one, two, two, two]);
    assert.deepEqual(await headroom.loads(), [2, 4]);
    for (const [i, callId] of ids.entries()) refuse(takers[i] as UdpPeer, callId);
    await headroom.untilIdle();
  });

  it("has the answers of FreeSWITCH to distributor and distributor_ctl", async () => {
    await mi("distributor_ctl", "reload");
    for (const recording of ["07-ctl", "08-unknown-and-empty", "16-modify"]) {
      for (const { command, answer } of exchangesOf(recording)) {
        const words = command.split(" ").filter((word) => word !== "");
        if (words[0] === "distributor_dump") continue; // no command there either
        assert.equal(await mi(...words), answer, command);
      }
    }
    const statistics = (await mi("get_statistics", "distributor:")) as Record<string, number>;
    assert.ok((statistics["distributor:picks"] ?? 0) > 40);
    assert.deepEqual([statistics["distributor:lists"], statistics["distributor:no_list"]], [8, 1]);
  });

  it("keep the old lists when the file is broken or lacks a list that a rule names", async () => {
    const { headroom } = bench;
    const good = readFileSync(listFile, "utf8");
    const before = await mi("distributor_ctl", "dump", "test");
    for (const [bad, sentence] of [
      ["<configuration><lists>", "no well-formed XML"],
      [good.replace('name="test"', 'name="other"'), 'routing.rules[3].distribute: found "test", want one of "mixed", "other"'],
      ["", "XML"],
    ] as const) {
      writeFileSync(listFile, bad);
      const from = headroom.log().length;
      assert.equal(await mi("distributor_ctl", "reload"), "-error\n");
      assert.equal(await mi("distributor_ctl", "dump", "test"), before);
      await waitFor(`the log says ${sentence}`, TIMEOUT_MS, () =>
        headroom.log().slice(from).includes(JSON.stringify(sentence).slice(1, -1)),
      );
      headroom.signal("SIGHUP");
      await waitFor("the reload is refused", TIMEOUT_MS, () =>
        headroom.log().slice(from).includes("reload refused, everything stays as it was"),
      );
      assert.equal(await mi("distributor_ctl", "dump", "test"), before);
    }
    writeFileSync(listFile, good);
    assert.equal(await mi("distributor_ctl", "reload"), "+OK reloaded.\n");
  });

  it("take what SIGHUP brings, and keep weights and rotation of lists that have not changed", async () => {
    const { headroom } = bench;
    const configFile = join(headroom.folder, "headroom.yaml");
    async function hup(): Promise<void> {
      const from = headroom.log().length;
      headroom.signal("SIGHUP");
      await waitFor("the reload is done", TIMEOUT_MS, () => headroom.log().slice(from).includes("configuration and destinations reloaded"));
    }
    const modified = await mi("distributor_ctl", "modify", "test", "foo1=4");
    await hup();
    assert.equal(await mi("distributor_ctl", "dump", "test"), modified);

    const config = parse(readFileSync(configFile, "utf8")) as { distributor: { nodes: Record<string, unknown>; lists: object } };
    Object.assign(config.distributor.nodes, { foo1: 2, nowhere: 99 });
    Object.assign(config.distributor.lists, { lost: [{ name: "nowhere" }] });
    writeFileSync(configFile, stringify(config));
    await hup();
    await waitFor("the log names the node", TIMEOUT_MS, () =>
      headroom.log().includes('Cannot use node \\"nowhere\\" of list \\"lost\\": want the id of a destination in the table'),
    );
    assert.equal(await mi("distributor_ctl", "dump", "test"), "list: name=test\nnode: name=foo1 weight=1\nnode: name=foo2 weight=9\n");
    assert.equal(await mi("distributor", "lost"), "-err");
    const callId = send("test");
    assert.equal(await takerOf(callId), bench.two, "foo1 is destination 2 now");
    await finalFor(bench.caller, callId);
  });
});
