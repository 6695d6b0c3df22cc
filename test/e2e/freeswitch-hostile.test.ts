import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { FreeswitchFarm, PLAIN_FORMULA } from "../support/freeswitch-farm.ts";
import { waitFor } from "../support/net.ts";

const MIB = 1024 * 1024;
const CALLS = 40;

/** A frame that the login has to wait for, and whose body cannot be decoded. */
function undecodable(): Buffer {
  const body = "Event-Name: HEARTBEAT\nIdle-CPU: %E0%A4%A\n\n";
  return Buffer.from(`Content-Length: ${body.length}\nContent-Type: text/event-plain\n\n${body}`);
}

/** Resident memory of the program, in bytes. */
function residentBytes(pid: number): number {
  const [, kib = "0"] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1")) ?? [];
  return Number(kib) * 1024;
}

describe("media servers that send what they should not", () => {
  it("garbage, headers without an end, a % that decodes to nothing, silence: only their own connections suffer while calls go on", async () => {
    const endless = Buffer.alloc(64 * MIB, "X-Header-Without-An-End: ".repeat(4));
    const farm = await FreeswitchFarm.start(5, PLAIN_FORMULA.replace("calls,", "calls, flags: s,"), (media) => {
      media[1]!.esl.manner = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 197 + 31) % 256));
      media[2]!.esl.manner = endless;
      media[3]!.esl.manner = undecodable();
      media[4]!.esl.manner = "silent";
    });
    try {
      await farm.untilConnected([0]);
      const processes = (await farm.headroom.mi("ps")) as { Processes: { PID: number }[] };
      const pid = processes.Processes[0]!.PID;
      const before = residentBytes(pid);
      const up = [];
      for (let n = 0; n < CALLS; n++) {
        if (n % 10 === 0) await farm.beat([0]);
        up.push(await farm.call());
      }
      assert.deepEqual(new Set(up.map(({ status }) => status)), new Set([200]));
      await waitFor("the bad ones were tried again", 15_000, async () => {
        const [, garbage, long, percent] = await farm.freeswitches();
        return [garbage, long, percent].every((one) => Number(one?.["tries"]) >= 2);
      });
      const found = await farm.freeswitches();
      assert.deepEqual(
        found.map((one) => one["connected"]),
        ["yes", "no", "no", "no", "no"],
      );
      assert.equal(found[0]!["tries"], 1, "the good one never lost its connection");
      assert.ok((await farm.statistic("freeswitch:ends_broken_frame")) >= 3);
      assert.ok((await farm.statistic("freeswitch:bytes_received")) < 8 * MIB, "the rest of 64 MiB was never taken");
      assert.ok(residentBytes(pid) - before < 64 * MIB);
      for (const call of up) await call.hangUp();
      await farm.headroom.untilIdle();
      assert.equal(await farm.statistic("core:script_errors"), 0);
    } finally {
      await farm.stop();
    }
  });

  it("heartbeats with missing, negative and absurd fields are counted, and the last good one stays", async () => {
    const farm = await FreeswitchFarm.start(1, PLAIN_FORMULA);
    try {
      await farm.untilConnected();
      const { esl } = farm.media[0]!;
      esl.figures.maxSessions = 30;
      await farm.beat();
      const bad: Record<string, string | undefined>[] = [
        { "Max-Sessions": undefined },
        { "Session-Count": "many" },
        { "Idle-CPU": "-4.0" },
        { "Max-Sessions": "99999999999" },
      ];
      for (const fields of bad) esl.beat(fields);
      await waitFor("all four counted", 5000, async () => (await farm.freeswitches())[0]!["bad_heartbeats"] === 4);
      assert.deepEqual(await farm.capacities(), [30]);
      await farm.headroom.untilLogged(/a heartbeat is ignored/);
      assert.equal(farm.headroom.log().split("a heartbeat is ignored").length - 1, 1, "one line for all of them");
    } finally {
      await farm.stop();
    }
  });
});

describe("passwords of FreeSWITCHes", () => {
  it("appear in no log line, no answer of management and no event, whatever goes wrong", async () => {
    const secrets = ["S3cret-One", "S3cret%2FTwo", "S3cret/Two", "S3cret-Cut", "S3cret-Bad", "S3cret-Said"];
    const farm = await FreeswitchFarm.start(3, `${PLAIN_FORMULA}\nlog: { level: trace }\nexplain: { calls: 100 }`, (media) => {
      media[0]!.esl.password = "S3cret-One";
      media[1]!.esl.password = "S3cret/Two";
      media[2]!.esl.password = "S3cret-Said";
    });
    try {
      const [one, two, three] = farm.media;
      const events: string[] = [];
      const listening = new AbortController();
      const stream = await fetch(farm.headroom.miUrl.replace(/\/mi$/, "/events"), { signal: listening.signal });
      const reading = (async () => {
        for await (const chunk of stream.body!.pipeThrough(new TextDecoderStream())) events.push(chunk);
      })().catch(() => undefined);
      await farm.untilConnected();
      // One says the password back when it refuses; rows that cannot be used name others.
      three!.esl.manner = Buffer.from(
        "Content-Type: auth/request\n\nContent-Type: command/reply\nReply-Text: -ERR S3cret-Said is wrong\n\n",
      );
      three!.esl.cut();
      await farm.headroom.replaceRows([
        { uri: one!.sip.uri, resources: `calls=${one!.esl.url}` },
        { uri: two!.sip.uri, resources: `calls=${two!.esl.url}` },
        { uri: three!.sip.uri, resources: `calls=${three!.esl.url}` },
        { uri: "sip:192.0.2.1", resources: "calls=fs://:S3cret-Bad@" },
        { uri: "sip:192.0.2.2", resources: "calls=fs://:a;S3cret-Cut=b@192.0.2.2" },
        { uri: "sip:192.0.2.3", resources: "calls=fs://S3cret-Bad" },
        { uri: "sip:192.0.2.4", resources: "calls=fs://:S3cret-Bad%ZZ@192.0.2.4;S3cret-Cut" },
      ]);
      await farm.beat([0, 1]);
      const call = await farm.call();
      await waitFor("the refusal", 8000, () => farm.headroom.log().includes('"reason":"login-refused"'));
      const answers: unknown[] = [];
      const { Commands = [] } = (await farm.headroom.mi("which")) as { Commands?: string[] };
      const names = Commands.length > 0 ? Commands : ((await farm.headroom.mi("which")) as string[]);
      assert.ok(names.length > 20);
      for (const name of names) {
        if (/\brestart$/.test(name)) continue; // another process would have other streams of events
        answers.push(await farm.headroom.mi(name).catch(String));
      }
      answers.push(await farm.headroom.mi("get_statistics", { statistics: ["all"] }));
      answers.push(await farm.headroom.mi("lb_explain", { callid: call.callId }).catch(String));
      answers.push(await farm.headroom.mi("lb_what_if", { group: 1, resources: "calls" }).catch(String));
      await farm.headroom.mi("lb_status", [1, 0]);
      await call.hangUp();
      await waitFor("events", 3000, () => events.join("").includes("E_LOAD_BALANCER_STATUS"));
      listening.abort();
      await reading;
      const all = { log: farm.headroom.log(), answers: JSON.stringify(answers), events: events.join("") };
      assert.match(all.log, /is skipped: resources/);
      assert.match(all.answers, /fs:\/\/127\.0\.0\.1/);
      for (const [where, text] of Object.entries(all))
        for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} in ${where}`);
    } finally {
      await farm.stop();
    }
  });
});
