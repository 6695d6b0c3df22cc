import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pino } from "pino";
import { parseConfig } from "../../src/config/load.ts";
import { startServer } from "../../src/server.ts";
import { freeUdpPort } from "../support/net.ts";
import { seededRandom } from "../support/random.ts";
import { startDispatcherPeer } from "./kamailio-dispatcher.ts";
import { exchange } from "./kamailio-rpc.ts";
import { openScripted, play, type Scripted } from "./scripted-destination.ts";

const ADDRESS = "127.0.0.1";
const CODES = "code=403;class=3";
/** What destinations answer to probes; 0: nothing. */
const ANSWERS = [200, 200, 204, 0, 404, 403, 503, 302, 0, 600];
const FLAGS = [0, 8, 1, 9, 2, 10, 4, 12, 16, 24, 9, 8, 0];
const INTERVAL_S = 2;
const RUN_MS = 21_000;
/** Above the interval of probes. */
const QUIET_MS = 4_500;

interface Case {
  readonly mode: number;
  readonly probing: number;
  readonly inactive: number;
}

/** What became of the destinations of one side. */
interface Played {
  readonly destinations: readonly Scripted[];
  readonly endedAt: number;
}

/** The answers of destination `i`, the same on both sides. */
function answersOf(one: Case, i: number): () => number {
  const random = seededRandom(1_000 * one.mode + 100 * one.probing + 10 * one.inactive + i + 1);
  return () => ANSWERS[Math.floor(random() * ANSWERS.length)]!;
}

/** Lets a side probe its destinations for a while. @param letters of `dispatcher.list`, by URI */
async function playSide(one: Case, destinations: readonly Scripted[], letters: () => Promise<Map<string, string>>): Promise<Played> {
  let last: Promise<unknown> = Promise.resolve();
  const look = (uri: string): Promise<string> => {
    const answer = last.then(letters).then((all) => all.get(uri) ?? "");
    last = answer.catch(() => undefined);
    return answer;
  };
  for (const [i, scripted] of destinations.entries()) play(scripted, answersOf(one, i), look);
  await sleep(RUN_MS);
  const endedAt = performance.now();
  for (const { socket } of destinations) socket.removeAllListeners("message");
  await last;
  return { destinations, endedAt };
}

function listOf(destinations: readonly Scripted[]): string {
  return destinations.map(({ uri, flags }, i) => `1 ${uri} ${flags} ${100 - i}`).join("\n");
}

async function playKamailio(one: Case): Promise<Played> {
  const destinations = await Promise.all(FLAGS.map((flags) => openScripted(ADDRESS, flags)));
  const params = {
    ds_ping_interval: INTERVAL_S,
    ds_probing_mode: one.mode,
    ds_probing_threshold: one.probing,
    ds_inactive_threshold: one.inactive,
    ds_ping_reply_codes: CODES,
  };
  const peer = await startDispatcherPeer(ADDRESS, listOf(destinations), params, 'modparam("tm", "fr_timer", 1200)');
  try {
    return await playSide(one, destinations, async () => new Map((await peer.list()).get(1)?.map(({ uri, flags }) => [uri, flags])));
  } finally {
    for (const { socket } of destinations) socket.close();
    await peer.stop();
  }
}

async function playHeadroom(one: Case): Promise<Played> {
  const destinations = await Promise.all(FLAGS.map((flags) => openScripted(ADDRESS, flags)));
  const folder = mkdtempSync(join(tmpdir(), "headroom-peer-states-"));
  writeFileSync(join(folder, "dispatcher.list"), listOf(destinations));
  const text = `
sip: { listen: ["udp:${ADDRESS}:${await freeUdpPort(ADDRESS)}"] }
tm: { fr_timeout: 1 }
load_balancer: { db_url: "sqlite::memory:", probing_interval: 0 }
dialog: { persistence: "off" }
mi_http: { listen: "127.0.0.1:0" }
dispatcher:
  list_file: ${join(folder, "dispatcher.list")}
  ds_ping_interval: ${INTERVAL_S}
  ds_probing_mode: ${one.mode}
  ds_probing_threshold: ${one.probing}
  ds_inactive_threshold: ${one.inactive}
  ds_ping_reply_codes: "${CODES}"
`;
  const server = await startServer(parseConfig(text, "headroom.yaml", {}), pino({ level: "silent" }));
  const url = server.managementUrl.replace(/\/mi$/, "/RPC");
  try {
    return await playSide(one, destinations, async () => {
      const { text: body } = await exchange(url, JSON.stringify({ jsonrpc: "2.0", method: "dispatcher.list", id: 1 }));
      const { result } = JSON.parse(body) as { result: { RECORDS: { SET: { TARGETS: { DEST: { URI: string; FLAGS: string } }[] } }[] } };
      return new Map(result.RECORDS[0]?.SET.TARGETS.map(({ DEST }) => [DEST.URI, DEST.FLAGS]));
    });
  } finally {
    for (const { socket } of destinations) socket.close();
    await server.stop();
    rmSync(folder, { recursive: true });
  }
}

describe("Kamailio 5.6 and the whole program, probing destinations that answer the same", () => {
  const cases: Case[] = [
    { mode: 0, probing: 2, inactive: 3 },
    { mode: 1, probing: 1, inactive: 1 },
    { mode: 1, probing: 2, inactive: 3 },
    { mode: 2, probing: 1, inactive: 2 },
    { mode: 3, probing: 3, inactive: 2 },
  ];
  const played = cases.map((one) => Promise.all([playKamailio(one), playHeadroom(one)]));
  for (const promise of played) promise.catch(() => undefined); // told by its test

  for (const [index, { mode, probing, inactive }] of cases.entries()) {
    it(`list the same letters before each probe, mode ${mode}, thresholds ${probing} and ${inactive}`, async () => {
      const [theirs, ours] = await played[index]!;
      let compared = 0;
      for (const [i, flags] of FLAGS.entries()) {
        const [their, our] = [theirs.destinations[i]!, ours.destinations[i]!];
        const both = Math.min(their.steps.length, our.steps.length);
        const trail = (side: Scripted) => side.steps.slice(0, both).map(({ seen, code }) => `${seen} ${code}`);
        assert.deepEqual(trail(our), trail(their), `flags ${flags}, destination ${i}`);
        compared += both;
        const isQuiet = (side: Scripted, { endedAt }: Played) => side.steps.length === 0 || endedAt - side.lastProbeAt > QUIET_MS;
        assert.equal(isQuiet(our, ours), isQuiet(their, theirs), `flags ${flags}, destination ${i}: is probed to the end or not`);
      }
      assert.ok(compared >= (mode === 0 || mode === 2 ? 4 : 30), `${compared} probes were compared`);
    });
  }
});
