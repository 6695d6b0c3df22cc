import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { register } from "../../src/cli/import.ts";
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
