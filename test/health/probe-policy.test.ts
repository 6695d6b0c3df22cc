import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer, parseResources } from "../../src/balancer/index.ts";
import { compileReplyCodes, isProbed, judgeReply, type ReplyCodes, stepStatus, type Verdict } from "../../src/health/index.ts";

const MODES = [0, 1, 2] as const;
const BOTH = [true, false] as const;

/** How a probe can end: every final code, and the two ways to end without a reply. */
const ENDS: readonly End[] = [...Array.from({ length: 500 }, (_, i) => 200 + i), "silence", "unsent"];
type End = number | "silence" | "unsent";

const ACCEPTED: readonly (readonly (string | number)[])[] = [
  [],
  [404],
  ["404"],
  ["501, 403"],
  ["5xx"],
  ["4xx", 302],
  ["408"],
  ["2xx"],
  ["48x", "6XX"],
  [200],
];

function verdictOf(end: End, accepted: ReplyCodes): Verdict {
  return typeof end === "number" ? judgeReply(end, accepted) : "bad";
}

describe("isProbed() (OpenSIPS lb_prober.c)", () => {
  // mode, enabled, held by MI → probed
  const rows: readonly (readonly [0 | 1 | 2, boolean, boolean, boolean])[] = [
    [0, true, false, false],
    [0, true, true, false],
    [0, false, false, false],
    [0, false, true, false],
    [1, true, false, false],
    [1, true, true, false],
    [1, false, false, true],
    [1, false, true, false],
    [2, true, false, true],
    [2, true, true, false],
    [2, false, false, true],
    [2, false, true, false],
  ];
  for (const [mode, enabled, held, want] of rows) {
    it(`mode ${mode}, ${enabled ? "enabled" : "disabled"}${held ? " by MI" : ""}: ${want ? "probed" : "left alone"}`, () => {
      assert.equal(isProbed(mode, enabled, !held), want);
    });
  }
});

describe("judgeReply()", () => {
  it("takes 200 alone as good, 400 and above as bad, and nothing of the rest, when no code is accepted", () => {
    const none = compileReplyCodes([]);
    for (let status = 200; status < 700; status++) {
      assert.equal(judgeReply(status, none), status === 200 ? "good" : status >= 400 ? "bad" : "neutral", String(status));
    }
  });
  it("takes an accepted code as good, whatever its class", () => {
    const rows: readonly (readonly [string | number, readonly number[], readonly number[]])[] = [
      [404, [404], [403, 405]],
      ["404", [404], [400]],
      ["501, 403", [501, 403], [503]],
      ["5xx", [500, 503, 599], [499, 600]],
      ["5XX", [500, 599], [499, 600]],
      ["48x", [480, 488], [479, 490]],
      ["302", [302], [404]],
      ["2xx", [202, 299], [404]],
    ];
    for (const [entry, good, bad] of rows) {
      const codes = compileReplyCodes([entry]);
      for (const status of good) assert.equal(judgeReply(status, codes), "good", `${entry}: ${status}`);
      for (const status of bad) assert.equal(judgeReply(status, codes), "bad", `${entry}: ${status}`);
    }
  });
  it("refuses what is no code, quoting it", () => {
    for (const entry of ["", "40", "4045", "abc", "7xx", "0xx", "x04", "404;405", "-1", 99, 700]) {
      assert.throws(
        () => compileReplyCodes([entry]),
        /^RangeError: Cannot use probing_reply_codes ".*": want a status code/,
        String(entry),
      );
    }
  });
});

/** `set_dst_state_from_rplcode` of OpenSIPS's load_balancer.c, written down again: flags in, flags out. */
function openSips(
  flags: { disabled: boolean; noEnable: boolean },
  code: number,
  listed: boolean,
): { disabled: boolean; noEnable: boolean } {
  if (code === 200 || listed) return flags.noEnable ? flags : { ...flags, disabled: false };
  if (code >= 400) return { ...flags, disabled: true };
  return flags;
}

function isListed(end: End, accepted: readonly (string | number)[]): boolean {
  const texts = accepted.flatMap((entry) => String(entry).toLowerCase().split(/,\s*/));
  return texts.some((text) => text === String(end) || [...text].every((char, i) => char === "x" || char === String(end)[i]));
}

/** The condition of `lb_do_probing` in OpenSIPS's lb_prober.c, written down again; mode 0 sets LB_DST_PING_DSBL_FLAG, mode 2 LB_DST_PING_PERM_FLAG. */
function openSipsProbes(mode: 0 | 1 | 2, { disabled, noEnable }: { disabled: boolean; noEnable: boolean }): boolean {
  return !(noEnable || !(mode === 2 || (mode !== 0 && disabled)));
}

describe("stepStatus() with both thresholds 1 (OpenSIPS load_balancer.c)", () => {
  it("gives OpenSIPS's next status for the whole product of mode, status, MI flag, end of the probe and accepted codes", () => {
    let checked = 0;
    for (const mode of MODES) {
      for (const enabled of BOTH) {
        for (const autoReenable of BOTH) {
          const balancer = balancerWith(mode, enabled, autoReenable);
          for (const list of ACCEPTED) {
            const accepted = compileReplyCodes(list);
            for (const end of ENDS) {
              const flags = { disabled: !enabled, noEnable: !autoReenable };
              // A probe without an answer ends with a 408 of OpenSIPS's own; here a list never makes it a good one.
              const listed = typeof end === "number" && isListed(end, list);
              const heard = openSips(flags, typeof end === "number" ? end : 408, listed);
              const step = stepStatus({ enabled, autoReenable, streak: 0 }, verdictOf(end, accepted), { rise: 1, fall: 1 });
              const what = (): string => JSON.stringify({ mode, enabled, autoReenable, list, end });

              // A probe that is under way is heard out, whatever the mode.
              const change = heard.disabled === flags.disabled ? undefined : heard.disabled ? "disable" : "enable";
              if (step.change !== change || step.streak !== 0) assert.fail(what());
              // And one turn: without a probe nothing changes.
              const probed = isProbed(mode, enabled, autoReenable);
              const want = openSipsProbes(mode, flags) ? heard : flags;
              checked++;
              // Enabled and not to be re-enabled is no status that any command leads to: there only the step is looked at.
              if (enabled && !autoReenable) {
                assert.equal(probed, false);
                continue;
              }
              if (probed && step.change !== undefined) balancer.setStatus(1, step.change === "enable", "probe");
              const destination = balancer.destination(1)!;
              if (balancer.isEnabled(destination) === want.disabled || balancer.isAutoReenable(destination) === want.noEnable)
                assert.fail(what());
              if (step.change !== undefined) restore(balancer, enabled, autoReenable);
            }
          }
        }
      }
    }
    assert.equal(checked, 3 * 2 * 2 * ACCEPTED.length * 502);
  });

  // The same in words, for the reader: status, MI flag, end → next status.
  const rows: readonly (readonly [boolean, boolean, Verdict, boolean])[] = [
    [true, true, "good", true],
    [true, true, "neutral", true],
    [true, true, "bad", false],
    [true, false, "good", true],
    [true, false, "neutral", true],
    [true, false, "bad", false],
    [false, true, "good", true],
    [false, true, "neutral", false],
    [false, true, "bad", false],
    [false, false, "good", false],
    [false, false, "neutral", false],
    [false, false, "bad", false],
  ];
  for (const [enabled, autoReenable, verdict, want] of rows) {
    const status = `${enabled ? "enabled" : "disabled"}${autoReenable ? "" : ", not to be re-enabled"}`;
    it(`${status}, a ${verdict} probe: ${want ? "enabled" : "disabled"}`, () => {
      const { change } = stepStatus({ enabled, autoReenable, streak: 0 }, verdict, { rise: 1, fall: 1 });
      assert.equal(change === undefined ? enabled : change === "enable", want);
    });
  }
});

describe("stepStatus() with thresholds (as HAProxy's rise and fall)", () => {
  it("changes the status exactly when the last probes in a row, neutral ones aside, all speak against it: every sequence of six probes", () => {
    const verdicts: readonly Verdict[] = ["good", "bad", "neutral"];
    for (const autoReenable of BOTH) {
      for (const rise of [1, 2, 3]) {
        for (const fall of [1, 2, 3]) {
          for (let sequence = 0; sequence < 3 ** 6; sequence++) {
            let enabled: boolean = true;
            let streak = 0;
            // The naive model: all verdicts since the last change.
            let history: Verdict[] = [];
            for (let i = 0, rest = sequence; i < 6; i++, rest = Math.floor(rest / 3)) {
              const verdict = verdicts[rest % 3]!;
              const step = stepStatus({ enabled, autoReenable, streak }, verdict, { rise, fall });
              if (verdict !== "neutral") history.push(verdict);
              const against: Verdict = enabled ? "bad" : "good";
              const threshold: number = enabled ? fall : rise;
              const last = history.slice(-threshold);
              const mayChange: boolean = enabled || autoReenable;
              const changes: boolean =
                mayChange && verdict !== "neutral" && last.length === threshold && last.every((one) => one === against);
              const what = JSON.stringify({ autoReenable, rise, fall, sequence, i });
              assert.equal(step.change, changes ? (enabled ? "disable" : "enable") : undefined, what);
              assert.ok(step.streak >= 0 && step.streak < Math.max(rise, fall), what);
              if (changes) {
                enabled = !enabled;
                history = [];
              }
              streak = step.streak;
            }
          }
        }
      }
    }
  });

  it("goes through every streak for the whole product of status, MI flag, verdict and thresholds", () => {
    for (const enabled of BOTH) {
      for (const autoReenable of BOTH) {
        for (const verdict of ["good", "bad", "neutral"] as const) {
          for (const rise of [1, 2, 5]) {
            for (const fall of [1, 2, 5]) {
              for (let streak = 0; streak < (enabled ? fall : rise); streak++) {
                const step = stepStatus({ enabled, autoReenable, streak }, verdict, { rise, fall });
                const what = JSON.stringify({ enabled, autoReenable, verdict, rise, fall, streak });
                const against = enabled ? verdict === "bad" : verdict === "good" && autoReenable;
                const enough = streak + 1 >= (enabled ? fall : rise);
                assert.equal(step.change, against && enough ? (enabled ? "disable" : "enable") : undefined, what);
                assert.equal(step.streak, verdict === "neutral" ? streak : against && !enough ? streak + 1 : 0, what);
              }
            }
          }
        }
      }
    }
  });
});

function balancerWith(probeMode: 0 | 1 | 2, enabled: boolean, autoReenable: boolean): Balancer {
  const balancer = new Balancer({ below: () => 0 });
  const addresses = [{ ip: "192.0.2.10", port: 5060, transport: "udp" }] as const;
  const row = { id: 1, group: 1, uri: "sip:192.0.2.10", resources: parseResources("pstn=1"), attrs: undefined, description: undefined };
  balancer.replaceTable([{ ...row, probeMode, addresses }]);
  restore(balancer, enabled, autoReenable);
  return balancer;
}

/** Gives destination 1 a status as commands and scripts would. */
function restore(balancer: Balancer, enabled: boolean, autoReenable: boolean): void {
  balancer.setStatus(1, true, "mi");
  if (!autoReenable) balancer.setStatus(1, false, "mi");
  else if (!enabled) balancer.setStatus(1, false, "script");
}
