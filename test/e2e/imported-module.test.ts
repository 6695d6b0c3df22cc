import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { register } from "../../src/cli/import.ts";
import { parseConfig } from "../../src/config/index.ts";
import { importCfg } from "../../src/import/index.ts";
import { runCommand } from "../support/cli.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { answerAndHangUp, type Bench, finalFor, finalOf, inviteAt, openBench } from "../support/two-destinations.ts";

const SCRIPT = join(import.meta.dirname, "../fixtures/import/beyond-rules.cfg");

describe("calls through a route module that headroom import has made of an opensips.cfg", () => {
  const folder = mkdtempSync(join(tmpdir(), "headroom-imported-"));
  let bench: Bench;
  before(async () => {
    const routes = join(folder, "routes.ts");
    const { complained, exitCode } = await runCommand(
      register,
      "import",
      SCRIPT,
      "--module",
      routes,
      "--output",
      join(folder, "made.yaml"),
    );
    assert.deepEqual([complained, exitCode], [[], 0]);
    assert.match(readFileSync(join(folder, "made.yaml"), "utf8"), /script: ".*routes\.ts"/);
    // The operator decides that the address of the caller is good.
    const made = readFileSync(routes, "utf8");
    writeFileSync(routes, made.replace("line34: undefined as boolean | undefined", "line34: true"));
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    bench = await openBench(JSON.stringify({ routing: { script: routes } }), ["pstn=20", "pstn=10"]);
  });
  after(async () => {
    await bench.close();
    rmSync(folder, { recursive: true });
  });

  /** Sends an INVITE to a number, with headers. @returns its Call-ID */
  function dial(number: string, headers: string[] = []): string {
    const { headroom, caller } = bench;
    const invite = request({ uri: `sip:${number}@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy, headers });
    caller.send(invite, headroom);
    return headerOf(invite, "Call-ID");
  }

  it("changes numbers and headers as the script does, and fails over to the next destination", async () => {
    const callId = dial("9123", ["X-Secret: yes"]);
    const first = await inviteAt(bench.one, callId);
    assert.match(first, /^INVITE sip:49123@/);
    assert.equal(headerOf(first, "X-Dialled"), "49123 of caller");
    assert.doesNotMatch(first, /X-Secret/);
    bench.one.send(responseTo(first, 503, { toTag: "no" }), bench.headroom);
    await answerAndHangUp(bench, bench.two, await inviteAt(bench.two, callId));
    assert.deepEqual(
      (await bench.headroom.list()).map(({ enabled }) => enabled),
      ["no", "yes"],
    );
    await bench.headroom.mi("lb_status", [1, 1]);
  });

  it("answers with the codes of the script: to numbers, to no destination, and in place of those of a destination", async () => {
    const { address, port } = bench.headroom;
    assert.match(await finalOf(bench, `sip:911@${address}:${port}`), /^SIP\/2\.0 403 Not from here\r\n/);
    assert.match(await finalFor(bench.caller, dial("100", ["X-Tenant: ACME"])), /^SIP\/2\.0 480 Nobody\r\n/);
    const busy = dial("100");
    bench.one.send(responseTo(await inviteAt(bench.one, busy), 486, { toTag: "busy" }), bench.headroom);
    assert.match(await finalFor(bench.caller, busy), /^SIP\/2\.0 600 Busy \*\/ everywhere\r\n/);
    await bench.headroom.untilIdle();
  });

  it("starts another selection in another group when none is left, and then gives up", async () => {
    const callId = dial("100");
    for (const callee of [bench.one, bench.two])
      callee.send(responseTo(await inviteAt(callee, callId), 500, { toTag: "no" }), bench.headroom);
    assert.equal(statusOf(await finalFor(bench.caller, callId)), 503);
    await bench.headroom.untilIdle();
  });
});

describe("calls through what headroom import could not ask", () => {
  it("are refused by the route module as long as nobody has decided, with a line in the log", async () => {
    const folder = mkdtempSync(join(tmpdir(), "headroom-imported-"));
    const routes = join(folder, "routes.ts");
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    await runCommand(register, "import", SCRIPT, "--module", routes, "--output", join(folder, "made.yaml"));
    const bench = await openBench(JSON.stringify({ routing: { script: routes } }), ["pstn=20", "pstn=10"]);
    try {
      assert.match(await finalOf(bench, `sip:100@${bench.headroom.address}:${bench.headroom.port}`), /^SIP\/2\.0 403 /);
      await bench.headroom.untilLogged(/Call refused: decide about decide\.line34: check_address/);
    } finally {
      await bench.close();
      rmSync(folder, { recursive: true });
    }
  });

  it("are refused by the rules as long as nobody has decided, with a line in the log", async () => {
    const { lines } = importCfg(
      'route { if (!check_source_address("1")) { send_reply(403, "no"); exit; } lb_start(1, "pstn"); t_relay(); }',
    );
    const { routing } = parseConfig(lines.map(({ text }) => text).join("\n"), "made.yaml", {});
    const rules = routing.rules.map(({ match, answer, note, group, resources }) =>
      answer === undefined ? { match, group, resources } : { match, answer, note },
    );
    const bench = await openBench(JSON.stringify({ routing: { rules } }), ["pstn=20", "pstn=10"]);
    try {
      assert.match(await finalOf(bench, `sip:100@${bench.headroom.address}:${bench.headroom.port}`), /^SIP\/2\.0 403 /);
      await bench.headroom.untilLogged(/Call answered 403 by its rule: .*check_source_address/);
    } finally {
      await bench.close();
    }
  });
});
