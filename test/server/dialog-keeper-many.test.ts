import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { QuietProxy } from "../support/quiet-proxy.ts";

const CALLS = 10_000;
const MAX_MS = 1_000;

describe("calls that are written down", () => {
  it(`are restored in less than a second when they are ${CALLS}`, async (t) => {
    const rows: [did: string, record: string][] = [];
    const before = new QuietProxy([], ({ saved }) => void rows.push(...(saved as [string, string][])));
    before.begin({ number: 7 });
    await before.pass(1_000);
    assert.equal(rows.length, 1);
    const [[did, record] = ["", ""]] = rows;
    for (let number = 1; number < CALLS; number++) {
      const other = `${number}.${did}`;
      rows.push([other, record.replace(did, other).replaceAll("00000007", String(number).padStart(8, "0"))]);
    }

    const [sinceMs, since] = [performance.now(), process.cpuUsage()];
    const after = new QuietProxy(rows);
    const { user, system } = process.cpuUsage(since);
    t.diagnostic(
      `${CALLS} restored in ${(performance.now() - sinceMs).toFixed(0)} ms; processor time ${((user + system) / 1000).toFixed(0)} ms`,
    );
    assert.deepEqual([after.dialogs.size, after.load, after.wheel.pending], [CALLS, CALLS, CALLS]);
    assert.ok((user + system) / 1000 < MAX_MS, "processor time");
  });
});
