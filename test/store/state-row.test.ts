import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import Database from "better-sqlite3";
import { connect } from "../../src/store/connection.ts";
import { type LoadedStates, readStates } from "../../src/store/state-row.ts";

const TABLE = "load_balancer";
const COLUMNS = "id, group_id, dst_uri, enabled, auto_reenable, draining, drain_deadline, drain_bye, changed_at, cause";

let folder = "";
let file = "";
let counter = 0;
before(() => {
  folder = mkdtempSync(join(tmpdir(), "headroom-rows-"));
});
beforeEach(async () => {
  file = join(folder, `${counter++}.db`);
  const { db } = await connect({ file, table: TABLE, mode: "migrate" });
  await db.destroy();
});
after(() => rmSync(folder, { recursive: true }));

/** Writes rows as another program would, and reads them. */
async function read(...rows: string[]): Promise<LoadedStates> {
  const database = new Database(file);
  for (const values of rows) database.exec(`INSERT INTO headroom_destination_state (${COLUMNS}) VALUES (${values})`);
  database.close();
  const { db } = await connect({ file, table: TABLE, mode: "inspect" });
  try {
    return await readStates(db, TABLE);
  } finally {
    await db.destroy();
  }
}

const GOOD = "7, 1, 'sip:good', 0, 0, 0, 0, 0, 1, 'mi'";

describe("a row of the table of states that names no destination", () => {
  const cases: [name: string, values: string, want: RegExp][] = [
    [
      "an id that is a text",
      "'x', 1, 'sip:a', 0, 0, 0, 0, 0, 1, 'mi'",
      /^State of destination x <sip:a> belongs to no destination: id x: want a whole/,
    ],
    ["a negative group", "1, -1, 'sip:a', 0, 0, 0, 0, 0, 1, 'mi'", /group_id -1: want a whole number from 0 to 2147483647$/],
    ["a URI of bytes", "1, 1, x'00ff', 0, 0, 0, 0, 0, 1, 'mi'", /dst_uri of 2 bytes: want a URI/],
    ["an empty URI", "1, 1, '', 0, 0, 0, 0, 0, 1, 'mi'", /dst_uri : want a URI/],
  ];
  for (const [name, values, want] of cases) {
    it(`is told and left out, and the others load: ${name}`, async () => {
      const { states, problems } = await read(GOOD, values);
      assert.deepEqual(
        states.map(({ id }) => id),
        [7],
      );
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? "", want);
    });
  }
});

describe("a row of the table of states with something that cannot be read", () => {
  type Outcome = "disabled" | "draining" | "disabled and draining";
  const cases: [name: string, values: string, outcome: Outcome, want: RegExp][] = [
    ["a cause of a disabled one", "0, 0, 0, 0, 0, 1, 'moon'", "disabled", /is taken as disabled: cause moon: want "mi" or "drain"$/],
    ["no text as the cause", "0, 0, 0, 0, 0, 1, x'6d69'", "disabled", /cause of 2 bytes: want/],
    ["a cause of a draining one", "1, 1, 1, 5, 0, 1, 'moon'", "draining", /is taken as draining: cause moon/],
    ["a status", "2, 1, 0, 0, 0, 1, 'mi'", "disabled", /enabled 2: want 0 or 1/],
    ["a status that is a text", "'on', 1, 0, 0, 0, 1, 'mi'", "disabled", /is taken as disabled: enabled on: want/],
    ["whether an enabled one drains", "1, 1, 'yes', 0, 0, 1, 'mi'", "draining", /is taken as draining: draining yes: want 0 or 1$/],
    ["whether a disabled one drains", "0, 0, 7, 0, 0, 1, 'mi'", "disabled", /is taken as disabled: draining 7/],
    ["a deadline beyond all times", "1, 1, 1, 1e300, 1, 1, 'mi'", "draining", /drain_deadline 1e\+300: want/],
    ["whether calls are ended", "1, 1, 1, 5, -1, 1, 'mi'", "draining", /drain_bye -1: want/],
    ["a time before 1970", "0, 0, 1, 0, 0, -5, 'mi'", "disabled and draining", /changed_at -5: want/],
    [
      "nearly everything",
      "2, 0.5, 'yes', -1, -1, -1, ''",
      "disabled",
      /enabled 2: .*; auto_reenable 0\.5: .*; draining yes: .*; cause : want/,
    ],
  ];
  for (const [name, values, outcome, want] of cases) {
    it(`sends no calls there, and is told: ${name}`, async () => {
      const { states, problems } = await read(GOOD, `1, 1, 'sip:a', ${values}`);
      const found = states.find(({ id }) => id === 1);
      assert.deepEqual(
        [found?.enabled, found?.draining],
        { disabled: [false, false], draining: [true, true], "disabled and draining": [false, true] }[outcome],
      );
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? "", want);
      assert.doesNotMatch(problems[0] ?? "", /[\x00-\x1f]/);
    });
  }

  it("has no deadline, ends no calls, and was disabled by an operator, where these cannot be read", async () => {
    const { states } = await read("1, 1, 'sip:a', 0, 0, 1, 'x', 'x', 'x', 'x'");
    assert.deepEqual(states, [
      {
        id: 1,
        group: 1,
        uri: "sip:a",
        enabled: false,
        autoReenable: false,
        draining: true,
        drainDeadlineMs: 0,
        drainBye: false,
        changedAtMs: 0,
        cause: "mi",
      },
    ]);
  });

  it("is quoted on one line", async () => {
    const { problems } = await read(`1, 1, 'sip:a${"\n\u001b[31m"}', 0, 0, 0, 0, 0, 1, '${"\n".repeat(3)}'`);
    assert.match(problems[0] ?? "", /<sip:a\?\?\[31m> is taken as disabled: cause \?\?\?: want/);
  });

  it("is told of one by one only twenty times", async () => {
    const { states, problems } = await read(...Array.from({ length: 50 }, (_, id) => `${id}, 1, 'sip:a', 0, 0, 0, 0, 0, 1, 'moon'`));
    assert.deepEqual([states.length, problems.length], [50, 21]);
    assert.equal(problems[20], '30 more states of table "headroom_destination_state" are not as they should be');
  });
});
