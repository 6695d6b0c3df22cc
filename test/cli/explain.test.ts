import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer, CallLoad, Looks } from "../../src/balancer/index.ts";
import { runExplain } from "../../src/cli/explain.ts";
import { formatExplanation, formatWhatIf } from "../../src/cli/explain-text.ts";
import { explain, whatIf } from "../../src/health/index.ts";
import { createManagementServer } from "../../src/management/index.ts";
import { fakePorts, row } from "../management/fake-ports.ts";

/** A balancer that remembers, in which destination 1 is disabled, and a call that failed over from 3 to 2. */
function decided(): { balancer: Balancer; looks: Looks } {
  let nowMs = Date.UTC(2026, 10, 22, 5, 26, 28, 248);
  const looks = new Looks(10, () => nowMs);
  const balancer = new Balancer({ below: () => 0, looks });
  balancer.replaceTable([
    row(1, 1, "sip:127.0.0.1:5081", "pstn=2", undefined),
    row(2, 1, "sip:127.0.0.1:5082", "pstn=3", undefined),
    row(3, 1, "sip:127.0.0.1:5083", "pstn=10", undefined),
  ]);
  balancer.setStatus(1, false, "mi");
  const load = new CallLoad();
  load.callId = "one@x";
  balancer.start(load, 1, "pstn");
  nowMs += 1_502;
  balancer.next(load);
  return { balancer, looks };
}

const timeText = (atMs: number): string => new Date(atMs).toISOString();

describe("headroom explain", () => {
  it("tells each decision in words, with the table that was looked at", () => {
    const { looks } = decided();
    assert.deepEqual(formatExplanation("one@x", explain(looks, "one@x", timeText), false).split("\n"), [
      "Call one@x: 2 decisions; it went to destination 2 in the end",
      "",
      "1. 2026-11-22T05:26:28.248Z",
      '   asked for "pstn" of group 1',
      "   destination 3 <sip:127.0.0.1:5083> was chosen with score 10 (code 1)",
      "",
      "      ID  URI                 Load       Free  Score  Why",
      "      1   sip:127.0.0.1:5081  pstn 0/2   2     2      a management command or the end of a drain has disabled it",
      "      2   sip:127.0.0.1:5082  pstn 0/3   3     3      it could take the call, but another one has more free",
      "   >  3   sip:127.0.0.1:5083  pstn 0/10  10    10     chosen",
      "",
      "2. 1.502 s later, attempt 2: the destination before did not take it",
      '   asked for "pstn" of group 1',
      "   destination 2 <sip:127.0.0.1:5082> was chosen with score 3 (code 1)",
      "",
      "      ID  URI                 Load       Free  Score  Why",
      "      1   sip:127.0.0.1:5081  pstn 0/2   2     2      a management command or the end of a drain has disabled it",
      "   >  2   sip:127.0.0.1:5082  pstn 0/3   3     3      chosen",
      "      3   sip:127.0.0.1:5083  pstn 0/10  10    10     this call has tried it before",
    ]);
  });

  it("tells where a call would go now, and what flags mean", () => {
    const { balancer } = decided();
    const [first, asked, summary] = formatWhatIf(whatIf(balancer, 1, "pstn", "r"), false).split("\n");
    assert.deepEqual([first, asked], ["A call now:", 'asked for "pstn" of group 1, flags r: free slots in percent']);
    assert.match(summary ?? "", /^destination 3 .* \(code 1\)$/);
    assert.match(formatWhatIf(whatIf(balancer, 9, "pstn", ""), false), /\n[^\n]*\(code -3\)/);
  });

  it("tells what is special: tiers, weights, equals, a group that fails open, what is left out", () => {
    const text = formatExplanation(
      "c",
      {
        Decisions: [
          {
            at: "2026-01-01T00:00:00.000Z",
            attempt: 1,
            group: 1,
            resources: "pstn;conf",
            flags: "ns",
            code: 1,
            summary: "chosen",
            chosen: 1,
            equals: [1, 2],
            failed_open: true,
            Destinations: [
              {
                id: 1,
                uri: "sip:a",
                tier: 1,
                weight: 2,
                Resources: [{ name: "pstn", load: 1, max: 9, slot: 3, own: { load: 1, max: 4 } }],
                score: 6,
                chosen: true,
              },
              { id: 2, uri: "sip:\u001b[2J", Resources: [], skipped: "equal", reason: "as free" },
            ],
            destinations_omitted: 7,
          },
        ],
        decisions_omitted: 3,
      },
      true,
    );
    for (const want of [
      "4 decisions",
      "(the first 3 are not shown)",
      "\n4. 2026",
      "flags n: full ones too, if none is free, s: any of equals",
      "all were down: the group fails open",
      "equally free: 1, 2",
      "pstn 1/9 (its own 1/4)",
      "Tier  Weight",
      "(7 more destinations of the group are not kept)",
    ]) {
      assert.ok(text.includes(want), `${want} is not in ${text}`);
    }
    assert.doesNotMatch(text, /\u001b\[2J/);
  });

  it("asks the balancer, as text or as JSON, and wants a call or a question", async () => {
    const { looks, balancer } = decided();
    const ports = fakePorts({
      explain: (callId) => explain(looks, callId, timeText),
      whatIf: (group, resources, flags) => whatIf(balancer, group, resources, flags),
    });
    const server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
    const ask = async (callId: string | undefined, more: object = {}): Promise<[number, string]> => {
      const said: string[] = [];
      const output = { out: (text: string) => void said.push(text), error: (text: string) => void said.push(text) };
      return [await runExplain(callId, { url: server.url, json: false, flags: "", ...more }, output), said.join("\n")];
    };
    try {
      assert.match((await ask("one@x"))[1], /^Call one@x: 2 decisions; it went to destination 2 in the end\n/);
      assert.equal(JSON.parse((await ask("one@x", { json: true }))[1]).Decisions.length, 2);
      assert.deepEqual(await ask("two@x"), [1, "Cannot run lb_explain: Call-ID not found (404)"]);
      assert.match((await ask(undefined, { group: "1", resources: "pstn" }))[1], /^A call now:\n/);
      for (const [callId, more] of [
        [undefined, {}],
        [undefined, { group: "1" }],
        ["one@x", { group: "1", resources: "pstn" }],
      ] as const) {
        assert.deepEqual(await ask(callId, more), [2, "Cannot explain: want a Call-ID, or --group and --resources"]);
      }
    } finally {
      await server.close();
    }
  });
});
