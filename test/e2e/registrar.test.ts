import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Headroom, type ListedDestination, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { RegisteringPeer } from "../support/registering-peer.ts";
import { headerOf, headersOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { runCaller, startCallee, startCaller } from "../support/sipp.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const ADDRESS = "127.0.33.2";
const CALLER = "127.0.33.3";
const SERVER = "127.0.33.11";
const OTHER = "127.0.33.12";
const MANY = 50;

const CONFIG = `
registrar:
  accounts:
    - { user: fs, password: secret word, group: 1, resources: "pstn=10", attrs: "name={user}", min_expires: 1, probe_mode: 0 }`;

/** A destination as lb_list shows it when it has registered. */
interface RegisteredDestination extends ListedDestination {
  readonly registered?: "yes" | "leaving";
  readonly registration_left?: number;
  readonly registration_end?: string;
}

/** `URI registered load/max` of each destination, in the order of their URIs. */
async function farm(headroom: Headroom): Promise<string[]> {
  const destinations: RegisteredDestination[] = await headroom.list();
  return destinations.map(({ uri, registered = "no", Resources: [pstn] }) => `${uri} ${registered} ${pstn?.load}/${pstn?.max}`).toSorted();
}

async function until(headroom: Headroom, what: string, wanted: readonly string[], timeoutMs = 4_000): Promise<void> {
  let seen: string[] = [];
  await waitFor(what, timeoutMs, async () => {
    seen = await farm(headroom);
    return seen.join() === wanted.join();
  }).catch((error: unknown) => assert.deepEqual(seen, wanted, `${String(error)}\n${headroom.log()}`));
}

/** The status of a call that nobody answers by hand. */
async function refusalOf(headroom: Headroom, caller: UdpPeer): Promise<number> {
  const invite = request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy });
  const callId = headerOf(invite, "Call-ID");
  caller.send(invite, headroom);
  return statusOf(await caller.next("an answer", (text) => statusOf(text) >= 200 && headerOf(text, "Call-ID") === callId));
}

describe("a server that registers", () => {
  it("gets calls; when it does not renew, its call stays up, no new one comes, and it is gone after the last", async () => {
    const headroom = await startHeadroom(CONFIG, [], ADDRESS);
    const [caller, server] = await Promise.all([UdpPeer.open(CALLER), RegisteringPeer.open(SERVER, headroom)]);
    const uri = `sip:${server.peer.sentBy}`;
    try {
      assert.equal(await refusalOf(headroom, caller), 500, "nobody has the resource");
      assert.match(await server.register(2), /^SIP\/2\.0 200 OK\r\n/);
      await until(headroom, "it is a destination", [`${uri} yes 0/10`]);
      const [listed]: RegisteredDestination[] = await headroom.list();
      assert.deepEqual([listed?.group, listed?.attrs, listed?.registration_left], [1, "name=fs", 2]);
      const call = await establish(headroom, caller, server.peer);
      await until(headroom, "it leaves with its call", [`${uri} leaving 1/10`]);
      assert.equal(((await headroom.list())[0] as RegisteredDestination).registration_end, "expired");
      assert.equal(await refusalOf(headroom, caller), 503);
      caller.send(call.fromCaller("INFO", 2), headroom);
      await server.peer.nextRequest("INFO");
      caller.send(call.fromCaller("BYE", 3), headroom);
      server.peer.send(responseTo(await server.peer.nextRequest("BYE"), 200), headroom);
      await until(headroom, "it is gone", []);
      assert.deepEqual(await headroom.mi("lb_registrations"), { Registrations: [] });
    } finally {
      await Promise.all([headroom.stop(), caller.close(), server.close()]);
    }
  });

  it("comes back with its calls when it registers again while it leaves, and goes when it takes that back", async () => {
    const headroom = await startHeadroom(CONFIG, [], ADDRESS);
    const [caller, server] = await Promise.all([UdpPeer.open(CALLER), RegisteringPeer.open(SERVER, headroom)]);
    const uri = `sip:${server.peer.sentBy}`;
    try {
      await server.register(60);
      await until(headroom, "it is a destination", [`${uri} yes 0/10`]);
      await establish(headroom, caller, server.peer);
      assert.equal(statusOf(await server.register(0)), 200);
      assert.deepEqual(await farm(headroom), [`${uri} leaving 1/10`], "at once");
      await headroom.mi("lb_reload");
      assert.deepEqual(await farm(headroom), [`${uri} leaving 1/10`], "a reload changes nothing of that");
      await server.register(60);
      assert.deepEqual(await farm(headroom), [`${uri} yes 1/10`], "at once");
      await establish(headroom, caller, server.peer);
      await until(headroom, "both calls count", [`${uri} yes 2/10`]);
      await server.register(0);
      const calls = (await headroom.mi("dlg_list")) as { Dialogs: { ID: string }[] };
      for (const { ID } of calls.Dialogs) await headroom.mi("dlg_end_dlg", [ID]);
      await until(headroom, "it is gone", []);
    } finally {
      await Promise.all([headroom.stop(), caller.close(), server.close()]);
    }
  });

  it("is no destination with a wrong password, and need not be in sip.allow with the right one", async () => {
    const headroom = await startHeadroom(`${CONFIG}\nsip: { allow: ["192.0.2.0/24"] }`, [], ADDRESS);
    const [wrong, right] = await Promise.all([
      RegisteringPeer.open(OTHER, headroom, { password: "guess" }),
      RegisteringPeer.open(SERVER, headroom),
    ]);
    try {
      assert.equal(statusOf(await wrong.register(60)), 401);
      assert.equal(await refusalOf(headroom, right.peer), 403, "sip.allow holds for calls");
      assert.equal(statusOf(await right.register(60)), 200);
      await until(headroom, "one is a destination", [`sip:${right.peer.sentBy} yes 0/10`]);
      right.peer.send(request({ method: "OPTIONS", uri: `sip:${ADDRESS}:${headroom.port}`, sentBy: right.peer.sentBy }), headroom);
      assert.match(headerOf(await right.peer.nextFinal("OPTIONS"), "Allow"), /, REGISTER$/, "destinations are allowed");
      const statistics = (await headroom.mi("get_statistics", [["registrar:"]])) as Record<string, number>;
      assert.deepEqual([statistics["registrar:active"], statistics["registrar:auth_failures"]], [1, 1]);
      assert.doesNotMatch(headroom.log(), /secret word|guess/);
    } finally {
      await Promise.all([headroom.stop(), wrong.close(), right.close()]);
    }
  });

  it("may be any client that knows digest, here sipp, and gets as many calls as its account says", async () => {
    const headroom = await startHeadroom(CONFIG.replace("secret word", "word"), [], ADDRESS);
    try {
      const target = `${headroom.address}:${headroom.port}`;
      const registering = await startCaller({ scenario: "registering", address: SERVER, target, calls: 1 });
      const { port } = registering;
      const { successful, errors } = await registering.ended;
      assert.deepEqual([successful, errors], [1, ""]);
      await until(headroom, "it is a destination", [`sip:${SERVER}:${port} yes 0/10`]);
      const server = await startCallee({ scenario: "callee", address: SERVER, port });
      const calls = await runCaller({ scenario: "caller", address: CALLER, target, calls: 15, rate: 50, holdMs: 1_500 });
      assert.deepEqual([calls.successful, calls.failed], [10, 5], "five are one too many");
      await server.stop();
    } finally {
      await headroom.stop();
    }
  });

  it("answers 405 to a REGISTER where nobody may register", async () => {
    const headroom = await startHeadroom("", [], ADDRESS);
    const server = await RegisteringPeer.open(SERVER, headroom);
    try {
      const answer = await server.register(60);
      assert.deepEqual([statusOf(answer), headersOf(answer, "Allow")], [405, ["INVITE, ACK, CANCEL, OPTIONS"]]);
      await assert.rejects(headroom.mi("lb_registrations"), /-32601/);
    } finally {
      await Promise.all([headroom.stop(), server.close()]);
    }
  });
});

describe("many servers that register", () => {
  it("at once, beside rows of the database, are all destinations, and still after a kill and a restart, also one that an operator disabled", async () => {
    const headroom = await startHeadroom(CONFIG, [{ uri: "sip:192.0.2.1:5060", resources: "pstn=5" }], ADDRESS);
    const servers = await Promise.all(Array.from({ length: MANY }, (_, i) => RegisteringPeer.open(`127.0.33.${100 + i}`, headroom)));
    const wanted = ["sip:192.0.2.1:5060 no 0/5", ...servers.map(({ peer }) => `sip:${peer.sentBy} yes 0/10`)].toSorted();
    try {
      const answers = await Promise.all(servers.map((server) => server.register(60)));
      assert.deepEqual(
        answers.filter((answer) => statusOf(answer) !== 200),
        [],
      );
      await until(headroom, "all are destinations", wanted);
      const disabled = (await headroom.list()).find(({ uri }) => uri === `sip:${servers[0]?.peer.sentBy}`);
      await headroom.mi("lb_status", [disabled?.id, 0]);
      await waitFor("they are written down", 5_000, async () => {
        const { ["registrar:registrations_written"]: written = 0 } = (await headroom.mi("get_statistics", [
          ["registrar:registrations_written"],
        ])) as Record<string, number>;
        return written >= MANY;
      });
      await headroom.restart("SIGKILL");
      assert.deepEqual(await farm(headroom), wanted, "as soon as it answers");
      const again = (await headroom.list()).find(({ id }) => id === disabled?.id);
      assert.deepEqual([again?.uri, again?.enabled], [disabled?.uri, "no"]);
      await servers[1]?.register(0);
      await servers[0]?.register(60);
      const left = wanted.filter((line) => !line.startsWith(`sip:${servers[1]?.peer.sentBy} `));
      await until(headroom, "one is gone", left);
      assert.equal((await headroom.list()).find(({ id }) => id === disabled?.id)?.enabled, "no", "it stays so when it registers again");
      await headroom.restart("SIGTERM");
      assert.deepEqual(await farm(headroom), left, "what was still to be written is written at the stop");
    } finally {
      await Promise.all([headroom.stop(), ...servers.map((server) => server.close())]);
    }
  });
});
