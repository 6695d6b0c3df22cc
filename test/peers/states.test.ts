import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type ProbingMode, parseReplyCodes, parseState, printFlags, TIMEOUT_CODE } from "../../src/dispatch/index.ts";
import { Bench, made, request } from "../dispatch/support.ts";
import { seededRandom } from "../support/random.ts";
import { type PeerRequest, startDispatcherPeer } from "./kamailio-dispatcher.ts";
import { openScripted, play } from "./scripted-destination.ts";

const ADDRESS = "127.0.0.1";
const CODES = "code=403;class=3";
/** What destinations answer to probes; 0: nothing. */
const ANSWERS = [200, 200, 204, 0, 404, 403, 503, 302, 0, 600];
const FLAGS = [0, 8, 1, 9, 2, 10, 4, 12, 9, 9, 8, 0]; // 32 is of later versions
const RUN_MS = 21_000;
/** Above the interval of probes, which is two seconds. */
const QUIET_MS = 4_500;

describe("Kamailio 5.6 is the judge of states", () => {
  const cases: { mode: ProbingMode; probing: number; inactive: number }[] = [
    { mode: 0, probing: 2, inactive: 3 },
    { mode: 1, probing: 1, inactive: 1 },
    { mode: 1, probing: 2, inactive: 3 },
    { mode: 2, probing: 1, inactive: 2 },
    { mode: 3, probing: 3, inactive: 2 },
  ];
  const played = cases.map(async (one, index) => {
    const { mode, probing, inactive } = one;
    const random = seededRandom(index + 1);
    const destinations = await Promise.all(FLAGS.map((flags) => openScripted(ADDRESS, flags)));
    const list = destinations.map(({ uri, flags }, i) => `1 ${uri} ${flags} ${100 - i}`).join("\n");
    const params = {
      ds_ping_interval: 2,
      ds_probing_mode: mode,
      ds_probing_threshold: probing,
      ds_inactive_threshold: inactive,
      ds_ping_reply_codes: CODES,
    };
    // a time-out has to be over before the next probe, and an answer of a test that has to wait for the processor must be none
    const peer = await startDispatcherPeer(ADDRESS, list, params, 'modparam("tm", "fr_timer", 1200)');
    try {
      // one question at a time: they share a socket
      let last: Promise<unknown> = Promise.resolve();
      const letters = async () => new Map((await peer.list()).get(1)?.map(({ uri, flags }) => [uri, flags]));
      const look = (uri: string): Promise<string> => {
        const answer = last.then(letters).then((all) => all.get(uri) ?? "");
        last = answer.catch(() => undefined);
        return answer;
      };
      for (const scripted of destinations) play(scripted, () => ANSWERS[Math.floor(random() * ANSWERS.length)]!, look);
      await sleep(RUN_MS);
      const endedAt = performance.now();
      for (const { socket } of destinations) socket.removeAllListeners("message");
      await last;
      return { ...one, list, destinations, endedAt };
    } finally {
      for (const { socket } of destinations) socket.close();
      await peer.stop();
    }
  });

  for (const [index, { mode, probing, inactive }] of cases.entries()) {
    it(`goes through the same states, mode ${mode}, thresholds ${probing} and ${inactive}`, async () => {
      const { list, destinations, endedAt } = await played[index]!;
      const replyCodes = parseReplyCodes(CODES);
      assert.ok(typeof replyCodes !== "string");
      const bench = new Bench(list, { probingMode: mode, probingThreshold: probing, inactiveThreshold: inactive, replyCodes });
      for (const [position, { uri, flags, steps, lastProbeAt }] of destinations.entries()) {
        const own = bench.at(position);
        assert.equal(own.uri, uri);
        const trail = steps.map(({ seen, code }) => `${seen} ${code}`).join(", ");
        for (const [i, { seen, code }] of steps.entries()) {
          assert.equal(printFlags(own.flags), seen, `flags ${flags}, step ${i}: ${trail}`);
          assert.ok(bench.dispatcher.probeTargets().includes(own), `flags ${flags}, step ${i}: is probed: ${trail}`);
          bench.dispatcher.probed(own, code === 0 ? TIMEOUT_CODE : code, undefined);
        }
        const isQuiet = steps.length === 0 || endedAt - lastProbeAt > QUIET_MS;
        if (isQuiet) assert.ok(!bench.dispatcher.probeTargets().includes(own), `flags ${flags}: is not probed any more: ${trail}`);
      }
      const probes = destinations.reduce((sum, { steps }) => sum + steps.length, 0);
      assert.ok(probes >= (mode === 0 ? 4 : 8), `${probes} probes`);
    });
  }

  it("sets the same states by command, and marks in the same way", async () => {
    const list = "1 sip:10.0.0.1 0 0 duid=one";
    const peer = await startDispatcherPeer(ADDRESS, list, { ds_probing_threshold: 3, ds_inactive_threshold: 2 });
    try {
      const bench = new Bench(list, { probingThreshold: 3, inactiveThreshold: 2 });
      const letters = async () => (await peer.list()).get(1)![0]!.flags;
      for (const state of ["a", "i", "t", "d", "ap", "ip", "tp", "dp", "ad", "da", "it", "AIP", "p", "x", "n"]) {
        await peer.rpc("dispatcher.set_state", [state, 1, "sip:10.0.0.1"]);
        const own = parseState(state);
        if (own !== undefined) bench.dispatcher.setState(1, "sip:10.0.0.1", own);
        assert.equal(printFlags(bench.at(0).flags), await letters(), state);
        await peer.rpc("dispatcher.set_duid_state", ["ap", 1, "ONE"]);
        assert.equal(bench.dispatcher.setStateOfDuid(1, "ONE", parseState("ap")!), 1);
        assert.equal(printFlags(bench.at(0).flags), await letters());
      }
      // counters of Kamailio outlive a command, so each round begins with a mark that resets them
      const random = seededRandom(7);
      const states = ["a", "t", "t", "tp", "ap", "i", "ip", "d", "dp", "t"] as const;
      for (let round = 0; round < 200; round++) {
        const state = states[Math.floor(random() * states.length)]!;
        const asked: PeerRequest = { run: "mark", algorithm: 8, state };
        const [answer] = await peer.ask([asked]);
        assert.equal(answer!.code, 1);
        bench.dispatcher.report(made(bench.dispatcher.select(1, 8, request())).destination, parseState(state)!, "script");
        assert.equal(printFlags(bench.at(0).flags), await letters(), `round ${round}, ${state}`);
        if (bench.dispatcher.isActive(1)) continue;
        await peer.rpc("dispatcher.set_state", ["a", 1, "sip:10.0.0.1"]);
        await peer.ask([{ run: "mark", algorithm: 8, state: "a" }]);
        bench.dispatcher.setState(1, undefined, 0);
      }
    } finally {
      await peer.stop();
    }
  });
});
