import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { seededRandom } from "../support/random.ts";
import { type DispatcherPeer, type PeerAnswer, type PeerRequest, startDispatcherPeer } from "./kamailio-dispatcher.ts";
import { openTargets, type PeerTarget, type ProgramAnswer, type ProgramPeer, startProgramPeer } from "./program-peer.ts";

const ADDRESS = "127.0.83.1";
const REQUESTS = 2_000;
const CASES = [
  ...[0, 1, 2, 3, 4, 7, 8].map((algorithm) => [1, algorithm] as const),
  ...[4, 8].map((algorithm) => [2, algorithm] as const),
  ...([
    [3, 9],
    [4, 11],
    [5, 10],
  ] as const),
];

/** The list that both read. Set 2 has closed destinations. */
function listOf(targets: readonly PeerTarget[]): string {
  const uris = targets.map(({ uri }) => uri);
  const lines = (set: number, count: number, rest: (i: number) => string): string[] =>
    uris.slice(0, count).map((uri, i) => `${set} ${uri} ${rest(i)}`);
  return [
    ...lines(1, 10, (i) => `0 ${(i * 7) % 10} duid=d${i}`),
    ...lines(2, 10, (i) => `${[0, 1, 0, 2, 4, 5, 0, 8, 9, 10][i]} ${20 - i}`),
    ...lines(3, 4, (i) => `0 ${9 - i} weight=${[50, 30, 15, 5][i]}`),
    ...lines(4, 4, (i) => `${i === 2 ? 1 : 0} 0 rweight=${[10, 20, 30, 40][i]}`),
    ...lines(5, 5, (i) => `0 0 duid=c${i};maxload=${[0, 5, 3, 0, 8][i]}`),
  ].join("\n");
}

/** Requests with keys as they come: numbers and names, hosts with and without ports, upper case. */
function keyed(algorithm: number, prefix: string): PeerRequest[] {
  const random = seededRandom(algorithm + 1);
  const word = (length: number): string =>
    Array.from({ length }, () => "abcdefghijklmnopqrstuvwxyzABC0123456789-_."[Math.floor(random() * 42)]).join("");
  return Array.from({ length: REQUESTS }, (_, i) => {
    const user = i % 2 === 0 ? String(49_000_000 + i) : word(1 + (i % 17));
    const host = ["example.com", "Example.COM", "10.9.8.7", "[2001:db8::1]"][i % 4];
    const uri = `sip:${user}@${host}${["", ":5060", ":5061", `:${1024 + i}`][(i >> 2) % 4]}${i % 5 === 4 ? ";transport=udp" : ""}`;
    return {
      set: 1,
      algorithm,
      callId: `${prefix}${word(1 + (i % 23))}-${i}`,
      from: uri,
      to: uri,
      requestUri: uri,
      key: word(1 + (i % 19)),
    };
  });
}

function plain(set: number, algorithm: number): PeerRequest[] {
  return Array.from({ length: REQUESTS }, (_, i) => ({ set, algorithm, callId: `plain-${set}-${algorithm}-${i}@example.com` }));
}

function shares(answers: readonly (PeerAnswer | ProgramAnswer)[], targets: readonly PeerTarget[]): number[] {
  return targets.map(({ uri }) => answers.filter(({ picked }) => picked === uri).length);
}

describe("Kamailio 5.6 and the whole program, asked by the same 2,000 requests over the same list", () => {
  const picks = new Map<string, string>();
  let targets: PeerTarget[] = [];
  let kamailio: DispatcherPeer;
  let program: ProgramPeer;

  before(async () => {
    targets = await openTargets(ADDRESS, 10, (callId, uri) => picks.set(callId, uri));
    const list = listOf(targets);
    kamailio = await startDispatcherPeer(ADDRESS, list);
    program = await startProgramPeer(ADDRESS, list, CASES, picks);
  });
  after(async () => {
    await kamailio?.stop();
    await program?.stop();
    for (const target of targets) target.close();
  });

  async function askBoth(requests: readonly PeerRequest[]): Promise<[PeerAnswer[], ProgramAnswer[]]> {
    return [await kamailio.ask(requests), await program.ask(requests)];
  }

  /** Request by request. */
  async function agree(requests: readonly PeerRequest[]): Promise<void> {
    const [theirs, ours] = await askBoth(requests);
    for (const [i, one] of requests.entries()) {
      assert.ok(theirs[i]!.picked !== undefined);
      assert.equal(ours[i]!.picked, theirs[i]!.picked, `${i}: ${JSON.stringify(one)}`);
    }
  }

  for (const [algorithm, what] of [
    [0, "Call-ID"],
    [1, "From"],
    [2, "To"],
    [3, "Request-URI"],
    [7, "hash_pvar"],
  ] as const) {
    it(`send each to the same destination by the hash of its ${what} (${algorithm})`, async () => {
      await agree(keyed(algorithm, `hash-${algorithm}-`));
    });
  }

  it("send each to the same destination by turns (4) and by priority (8), over closed ones too", async () => {
    for (const set of [1, 2]) for (const algorithm of [4, 8]) await agree(plain(set, algorithm));
  });

  for (const [set, algorithm, what] of [
    [3, 9, "weight"],
    [4, 11, "relative weight"],
  ] as const) {
    it(`give destinations the same shares by ${what} (${algorithm})`, async () => {
      const [theirs, ours] = await askBoth(plain(set, algorithm));
      const [their, our] = [shares(theirs, targets), shares(ours, targets)];
      for (const [i, count] of our.entries()) assert.ok(Math.abs(count - their[i]!) <= REQUESTS / 100, `${our} and ${their}`);
      assert.equal(
        our.reduce((sum, count) => sum + count, 0),
        REQUESTS,
      );
    });
  }

  it("send calls that begin and end to the same destinations by their loads (10), refuse the same, and count the same", async () => {
    const random = seededRandom(5);
    const running: string[] = [];
    const events: PeerRequest[] = [];
    for (let i = 0; i < REQUESTS; i++) {
      if (running.length > 0 && random() < (i % 400 < 150 ? 0.1 : 0.55)) {
        const [callId = ""] = running.splice(Math.floor(random() * running.length), 1);
        events.push({ run: "load", method: "BYE", callId });
        continue;
      }
      const callId = `load-${i}`;
      events.push({ set: 5, algorithm: 10, callId, key: "stays" });
      running.push(callId);
    }
    const theirs = await kamailio.ask(events);
    const ours = await program.call(events);
    for (const [i, { method, callId }] of events.entries()) {
      if (method === "BYE") continue;
      assert.equal(ours[i]!.picked, theirs[i]!.picked, `event ${i}, call ${callId}`);
      assert.equal(ours[i]!.status === 200, theirs[i]!.code === 1, `event ${i}, call ${callId}`);
    }
    const loads = (await kamailio.list()).get(5)!.map(({ uri, load }) => [uri, load]);
    const { RECORDS: records } = (await program.headroom.mi("dispatcher.list")) as {
      RECORDS: { SET: { ID: number; TARGETS: { DEST: { URI: string; RUNTIME: { DLGLOAD: number } } }[] } }[];
    };
    const own = records.find(({ SET }) => SET.ID === 5)!.SET.TARGETS.map(({ DEST }) => [DEST.URI, DEST.RUNTIME.DLGLOAD]);
    assert.deepEqual(own, loads);
    assert.ok(
      own.some(([, load]) => Number(load) > 5),
      String(own),
    );
  });
});
