import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import Database from "better-sqlite3";
import { parse, stringify } from "yaml";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { responseTo, statusOf } from "../support/sip-messages.ts";
import { answerAndHangUp, type Bench, finalOf, hangUp, inviteAt, openBench, sendInvite } from "../support/two-destinations.ts";

const TIMEOUT_MS = 3_000;

describe("SIGHUP", () => {
  const folder = mkdtempSync(join(tmpdir(), "headroom-script-"));
  const script = join(folder, "route.ts");
  let bench: Bench;
  before(async () => {
    bench = await openBench("", ["pstn=20", "pstn=10"]);
  });
  after(async () => {
    await bench?.close();
    rmSync(folder, { recursive: true });
  });

  const configFile = (): string => join(bench.headroom.folder, "headroom.yaml");

  /** Changes the routing part of the configuration. */
  function setRouting(change: Record<string, unknown>): void {
    const config = parse(readFileSync(configFile(), "utf8")) as { routing: Record<string, unknown> };
    writeFileSync(configFile(), stringify({ ...config, routing: { ...config.routing, ...change } }));
  }

  /** A route module, with types, that answers every call with this status. */
  function answering(status: number): string {
    return `interface Answerable { reply(status: number): boolean }\nexport function request(call: Answerable): void { call.reply(${status}); }\n`;
  }

  /** Sends SIGHUP and waits for `outcome` on the log. @returns what was logged since */
  async function hangUpSignal(outcome: string): Promise<string> {
    const { headroom } = bench;
    const from = headroom.log().length;
    headroom.signal("SIGHUP");
    await waitFor(`"${outcome}" on the log`, TIMEOUT_MS, () => headroom.log().slice(from).includes(outcome)).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${headroom.log().slice(from)}`);
    });
    return headroom.log().slice(from);
  }

  const TAKEN = "configuration and destinations reloaded";
  const REFUSED = "reload refused, everything stays as it was: ";

  it("brings changed rules into effect", async () => {
    setRouting({ rules: [{ group: 7, resources: "pstn" }], reject: { no_destination: 580 } });
    await hangUpSignal(TAKEN);
    assert.equal(statusOf(await finalOf(bench)), 580);
    setRouting({ rules: [{ match: { ruri_user: "^nobody$" }, group: 1, resources: "pstn" }] });
    await hangUpSignal(TAKEN);
    assert.equal(statusOf(await finalOf(bench)), 404);
  });

  it("brings a script into effect, and each change of it", async () => {
    for (const status of [480, 486, 600]) {
      writeFileSync(script, answering(status)); // all of the same length: the time of the file tells them apart
      setRouting({ script });
      await hangUpSignal(TAKEN);
      assert.equal(statusOf(await finalOf(bench)), status);
    }
  });

  it("brings another log level into effect, and names the changed keys that wait for the next start", async () => {
    const good = readFileSync(configFile(), "utf8");
    const config = parse(good) as Record<string, Record<string, unknown>>;
    Object.assign(config["tm"] ?? {}, { fr_timeout: 9 });
    Object.assign(config["sip"] ?? {}, { allow: ["203.0.113.0/24"] });
    writeFileSync(configFile(), stringify({ ...config, log: { level: "warn" } }));
    const { headroom } = bench;
    headroom.signal("SIGHUP"); // that it was done is only said at level info
    for (const key of ["tm.fr_timeout", "sip.allow"])
      await waitFor(`${key} on the log`, TIMEOUT_MS, () =>
        headroom.log().includes(`${key} has changed: that takes effect at the next start`),
      );
    const from = headroom.log().length;
    assert.equal(statusOf(await finalOf(bench)), 600, "sip.allow is the old one");
    await headroom.mi("lb_reload"); // would be logged at level info
    assert.equal(headroom.log().slice(from), "");
    writeFileSync(configFile(), good);
    await hangUpSignal(TAKEN);
  });

  it("leaves calls that are up as they are, and their BYE works under the new script", async () => {
    setRouting({ script: null, rules: [{ group: 1, resources: "pstn" }] });
    await hangUpSignal(TAKEN);
    const call = await establish(bench.headroom, bench.caller, bench.one);
    writeFileSync(script, answering(488));
    setRouting({ script });
    await hangUpSignal(TAKEN);
    assert.deepEqual(await bench.headroom.loads(), [1, 0]);
    assert.equal(statusOf(await finalOf(bench)), 488);
    await hangUp(bench.headroom, call, bench.caller, bench.one);
  });

  it("lets a call that rings go on with the new script: its failure() decides", async () => {
    setRouting({ script: null, rules: [{ group: 1, resources: "pstn", failover_on: [] }] });
    await hangUpSignal(TAKEN);
    const callId = sendInvite(bench);
    const delivered = await inviteAt(bench.one, callId);
    writeFileSync(script, `export function request() {}\nexport function failure(call) { if (call.lb.next()) call.relay(); }\n`);
    setRouting({ script });
    await hangUpSignal(TAKEN);
    bench.one.send(responseTo(delivered, 500, { toTag: "no" }), bench.headroom);
    await answerAndHangUp(bench, bench.two, await inviteAt(bench.two, callId));
  });

  describe("with something broken keeps what was in use, and says on the log what is wrong", () => {
    before(async () => {
      writeFileSync(script, answering(481));
      setRouting({ script });
      await hangUpSignal(TAKEN);
      const table = new Database(join(bench.headroom.folder, "headroom.db"));
      table.exec("UPDATE load_balancer SET resources = 'pstn=77'"); // comes into effect only with a reload that succeeds
      table.close();
    });

    async function assertKept(): Promise<void> {
      assert.equal(statusOf(await finalOf(bench)), 481);
      const capacities = (await bench.headroom.list()).map(({ Resources }) => Resources[0]?.max);
      assert.deepEqual(capacities, [20, 10], "the destinations stay as well");
    }

    const scripts = [
      {
        name: "a syntax error in the script",
        text: "export function request(call) {\n  call.reply(480;\n}\n",
        wanted: /Cannot load route module/,
      },
      { name: "a script that throws while it is loaded", text: 'throw new Error("kaput while loading");\n', wanted: /kaput while loading/ },
      { name: "a script without request()", text: "export const nothing = 1;\n", wanted: /route module .*request/ },
    ];
    for (const { name, text, wanted } of scripts) {
      it(name, async () => {
        writeFileSync(script, text);
        const log = await hangUpSignal(REFUSED);
        assert.match(log, wanted);
        assert.ok(log.includes(script), "the log names the file");
        await assertKept();
      });
    }

    it("no file where the script should be", async () => {
      rmSync(script);
      assert.match(await hangUpSignal(REFUSED), /Cannot load route module .*route\.ts/);
      await assertKept();
      writeFileSync(script, answering(481));
    });

    const configs: [string, (text: string) => string, RegExp][] = [
      ["no YAML", () => "routing: [unclosed\n", /headroom\.yaml:\d+:\d+/],
      ["an unknown key", (text) => `${text}\nroutng: {}\n`, /headroom\.yaml:\d+:\d+.*routng/],
      ["a value that is no status", (text) => text.replace("no_destination: 580", "no_destination: soon"), /headroom\.yaml:\d+:\d+.*soon/],
    ];
    for (const [name, change, wanted] of configs) {
      it(`configuration with ${name}`, async () => {
        const good = readFileSync(configFile(), "utf8");
        const bad = change(good);
        assert.notEqual(bad, good);
        writeFileSync(configFile(), bad);
        assert.match(await hangUpSignal(REFUSED), wanted);
        await assertKept();
        writeFileSync(configFile(), good);
      });
    }

    it("a configuration file that is gone", async () => {
      const good = readFileSync(configFile(), "utf8");
      rmSync(configFile());
      assert.match(await hangUpSignal(REFUSED), /headroom\.yaml/);
      await assertKept();
      writeFileSync(configFile(), good);
    });

    it("and a SIGHUP after the repair takes everything over", async () => {
      writeFileSync(script, answering(483));
      await hangUpSignal(TAKEN);
      assert.equal(statusOf(await finalOf(bench)), 483);
      assert.deepEqual(
        (await bench.headroom.list()).map(({ Resources }) => Resources[0]?.max),
        [77, 77],
      );
    });
  });
});
