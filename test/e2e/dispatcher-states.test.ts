import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { EventListener } from "../support/event-listener.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { ProbedPeer } from "../support/probed-peer.ts";
import { headerOf } from "../support/sip-messages.ts";

const MAIN = resolve(import.meta.dirname, "../../src/main.ts");
const WAIT_MS = 8_000;

interface Dest {
  readonly URI: string;
  readonly FLAGS: string;
  readonly LATENCY?: Record<string, number>;
}

describe("states of the dispatcher's destinations in the running program", () => {
  let headroom: Headroom;
  let events: EventListener;
  const peers: ProbedPeer[] = [];

  before(async () => {
    for (let i = 0; i < 3; i++) peers.push(await ProbedPeer.open(`127.0.0.${41 + i}`));
    const [first, second, third] = peers as [ProbedPeer, ProbedPeer, ProbedPeer];
    const settings = `
dispatcher:
  sets:
    - { id: 1, destinations: [{ uri: "${first.uri}", priority: 9 }, { uri: "${second.uri}", attrs: "ping_from=sip:own@example.net;duid=two" }] }
    - { id: 2, destinations: [{ uri: "${third.uri}" }] }
  ds_ping_interval: 1
  ds_ping_from: sip:watch@example.net
  ds_probing_mode: 1
  ds_probing_threshold: 2
  ds_ping_latency_stats: 1
load_balancer: { probing_interval: 1, probing_from: sip:prober@example.net }
`;
    headroom = await startHeadroom(settings, [{ uri: third.uri, resources: "pstn=10", probeMode: 2 }], "127.0.0.40");
    events = await EventListener.open(headroom);
  });
  after(async () => {
    events.close();
    await headroom.stop();
    await Promise.all(peers.map((peer) => peer.close()));
  });

  async function dests(setId: number): Promise<readonly Dest[]> {
    const { RECORDS } = (await headroom.mi("dispatcher.list")) as { RECORDS: { SET: { ID: number; TARGETS: { DEST: Dest }[] } }[] };
    return RECORDS.find(({ SET }) => SET.ID === setId)?.SET.TARGETS.map(({ DEST }) => DEST) ?? [];
  }
  const letters = async (setId: number) => (await dests(setId)).map(({ FLAGS }) => FLAGS).join(" ");
  const untilLetters = (setId: number, wanted: string) =>
    waitFor(`set ${setId} is ${wanted}`, WAIT_MS, async () => (await letters(setId)) === wanted);
  const told = (name: string) => events.events.filter((event) => event.name === name).map(({ params }) => params);

  it("follow the answers to probes, each with its own From, and are measured", async () => {
    await untilLetters(1, "AP AP");
    const [first, second] = peers;
    assert.match(headerOf(first!.probes[0]!, "From"), /^<sip:watch@example\.net>/);
    assert.match(headerOf(second!.probes[0]!, "From"), /^<sip:own@example\.net>/);
    const [{ LATENCY: latency = {} } = {}] = await dests(1);
    assert.ok((latency["AVG"] ?? 0) > 0 && latency["TIMEOUT"] === 0, JSON.stringify(latency));
    first!.status = 503;
    await untilLetters(1, "TP AP");
    await untilLetters(1, "IP AP");
    const [down] = await waitFor("an event", WAIT_MS, () => told("dispatcher:dst-down")[0] && told("dispatcher:dst-down"));
    assert.deepEqual(down, { group: 1, uri: first!.uri, attrs: "", cause: "probe", flags: "IP" });
    first!.status = 200;
    await untilLetters(1, "AP AP");
    assert.equal((await waitFor("an event", WAIT_MS, () => told("dispatcher:dst-up")[0]))["uri"], first!.uri);
    assert.deepEqual(
      told("E_DISPATCHER_STATUS").map(({ status, group }) => [status, group]),
      [
        ["inactive", 1],
        ["active", 1],
      ],
    );
    await headroom.untilLogged(/dispatcher destination <sip:127\.0\.0\.41:\d+> of set 1 is down: IP \(probe\)/);
  });

  it("are another matter than the status of a row of the table with the same URI, though one prober asks for both", async () => {
    const third = peers[2]!;
    await untilLetters(2, "AP");
    await waitFor("probes of both", WAIT_MS, () => {
      const from = third.probes.map((text) => headerOf(text, "From").split(">", 1)[0]);
      return new Set(from).size === 2;
    });
    await headroom.mi("lb_status", [1, 0]);
    const asked = third.probes.length;
    await waitFor("further probes", WAIT_MS, () => third.probes.length > asked + 1);
    assert.equal(await letters(2), "AP");
    assert.equal((await headroom.list())[0]!.enabled, "no");
    const ports = new Set(third.probes.map((text) => headerOf(text, "Via").split(";", 1)[0]));
    assert.equal(ports.size, 1, "from one socket");
  });

  it("are set by command at /RPC as at /mi, without an event of Kamailio's; a disabled one is probed no more", async () => {
    const second = peers[1]!;
    const before = [told("dispatcher:dst-down").length, told("dispatcher:dst-up").length];
    const response = await fetch(headroom.miUrl.replace(/\/mi$/, "/RPC"), {
      method: "POST",
      body: JSON.stringify({ jsonrpc: "2.0", method: "dispatcher.set_state", params: ["d", 1, second.uri], id: 7 }),
      headers: { "content-type": "application/x-www-form-urlencoded" },
    });
    assert.deepEqual(await response.json(), { jsonrpc: "2.0", result: "Ok. Dispatcher state updated.", id: 7 });
    assert.equal(await letters(1), "AP DX");
    const [probes, others] = [second.probes.length, peers[0]!.probes.length];
    await waitFor("probes of the other", WAIT_MS, () => peers[0]!.probes.length > others + 2);
    assert.ok(second.probes.length <= probes + 1);
    assert.deepEqual([told("dispatcher:dst-down").length, told("dispatcher:dst-up").length], before);
  });

  it("that operators set survive a crash, the others are found out again; a restart without a stop keeps all of them", async () => {
    await headroom.restart("SIGKILL");
    assert.equal((await letters(1)).split(" ")[1], "DX");
    await headroom.untilLogged(/of set 1 stays DX, as it was set at 20/);
    await untilLetters(1, "AP DX");
    await untilLetters(2, "AP");
    await headroom.restartHot();
    assert.deepEqual([await letters(1), await letters(2)], ["AP DX", "AP"]);
  });

  it("and the sets stay as they are over dispatcher.reload; what was added goes", async () => {
    await headroom.mi("dispatcher.set_duid_state", ["ip", "1", "two"]);
    await headroom.mi("dispatcher.add", [2, "sip:127.0.0.99:5060", 4]);
    assert.equal(await letters(2), "DX AP");
    await headroom.mi("dispatcher.reload");
    await untilLetters(1, "AP AP");
    assert.match(await letters(2), /^A.$/);
  });

  it("end to be probed by command", async () => {
    assert.deepEqual(await headroom.mi("dispatcher.ping_active", [0]), { NewPingState: 0, OldPingState: 1 });
    const count = peers[0]!.probes.length;
    const balancer = peers[2]!.probes.length;
    await headroom.mi("lb_status", [1, 1]);
    await waitFor("probes of the balancer", WAIT_MS, () => peers[2]!.probes.length > balancer + 1);
    assert.ok(peers[0]!.probes.length <= count + 1);
    await headroom.mi("dispatcher.ping_active", [1]);
  });

  it("are shown by headroom ds", async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [MAIN, "ds", "list", "--url", headroom.miUrl]);
    assert.match(
      stdout,
      /^\{\n\tNRSETS: 2\n\tRECORDS: \{\n\t\tSET: \{\n\t\t\tID: 1\n\t\t\tTARGETS: \{\n\t\t\t\tDEST: \{\n\t\t\t\t\tURI: sip:127\.0\.0\.41/,
    );
  });

  it("are probed otherwise when a reload says so, and counted", async () => {
    const file = join(headroom.folder, "headroom.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace(/ds_ping_from: .*/, "ds_ping_from: sip:later@example.net"));
    headroom.signal("SIGHUP");
    await waitFor("another From", WAIT_MS, () =>
      peers[0]!.probes.some((text) => headerOf(text, "From").startsWith("<sip:later@example.net>")),
    );
    const statistics = (await headroom.mi("get_statistics", [["dispatcher:", "probing:"]])) as Record<string, number>;
    assert.equal(statistics["dispatcher:destinations"], 3);
    assert.equal(statistics["dispatcher:active"], 3);
    assert.ok((statistics["probing:good"] ?? 0) > 0);
  });
});
