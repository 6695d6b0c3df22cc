import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, it } from "node:test";
import { parseCsv } from "../../src/cli/csv.ts";
import { register } from "../../src/cli/destinations.ts";
import { makeWorkplace, type Outcome, runCommand, type Workplace } from "../support/cli.ts";

const REMINDER = "A running balancer goes on with what it has loaded, until: headroom mi lb_reload";

let place: Workplace;
beforeEach(() => {
  place = makeWorkplace();
  writeFileSync(place.config, `load_balancer: { db_url: "sqlite:${place.database}", db_table: lb }\n`);
});
afterEach(() => place.remove());

const run = (command: string, ...args: string[]): Promise<Outcome> =>
  runCommand(register, "destinations", command, "--config", place.config, ...args);
const add = (...args: string[]) => run("add", "--group", "1", "--uri", "sip:192.0.2.1:5060", "--resources", "transc=32;conf=20", ...args);
const listed = async () => JSON.parse((await run("list", "--json")).printed.join("\n"));

describe("headroom destinations add", () => {
  it("makes the database, adds a row and says what to do next", async () => {
    const { printed, complained, exitCode } = await add("--probe-mode", "1", "--attrs", "a=b", "--description", "first");
    assert.deepEqual(printed, ["Added destination 1: group 1, sip:192.0.2.1:5060, transc=32;conf=20", REMINDER]);
    assert.deepEqual([complained, exitCode], [[], 0]);
    assert.deepEqual(await listed(), [
      {
        id: 1,
        group_id: 1,
        dst_uri: "sip:192.0.2.1:5060",
        resources: "transc=32;conf=20",
        probe_mode: 1,
        attrs: "a=b",
        description: "first",
      },
    ]);
  });

  it("refuses what could not be loaded, with everything that is wrong, and makes no database", async () => {
    const { printed, complained, exitCode } = await run("add", "--group", "1", "--uri", "x", "--resources", "a", "--probe-mode", "3");
    assert.deepEqual(printed, []);
    assert.match(complained.join("\n"), /^Cannot add the destination: dst_uri "x": want .*; resources "a": .*; probe_mode 3: want 0/);
    assert.deepEqual([exitCode, existsSync(place.database)], [1, false]);
  });

  for (const args of [
    ["--group", "1"],
    ["--group", "x", "--uri", "sip:a", "--resources", "a=1"],
    ["--group", "-1", "--uri", "sip:a", "--resources", "a=1"],
  ]) {
    it(`is used wrongly with ${args.join(" ")}`, () => assert.rejects(run("add", ...args), { name: /^(?:CommanderError|Error)$/ }));
  }
});

describe("headroom destinations list", () => {
  it("says how to begin when there is nothing, and makes nothing", async () => {
    const { printed, exitCode } = await run("list");
    assert.match(printed.join("\n"), /^No destinations\. Add one: headroom destinations add --group 1/);
    assert.deepEqual([exitCode, existsSync(place.database)], [0, false]);
    assert.deepEqual(await listed(), []);
  });

  it("shows rows in columns, and nothing that a terminal would obey", async () => {
    await add("--description", "a\u001b[2Jb");
    await add();
    assert.deepEqual((await run("list")).printed, [
      "id  group_id  dst_uri             resources          probe_mode  attrs  description",
      "1   1         sip:192.0.2.1:5060  transc=32;conf=20  0                  a\\x1b[2Jb",
      "2   1         sip:192.0.2.1:5060  transc=32;conf=20  0",
    ]);
  });
});

describe("headroom destinations remove", () => {
  it("removes a row and says which it was", async () => {
    await add();
    assert.deepEqual((await run("remove", "1")).printed, [
      "notice: No destination is left in the table",
      "Removed destination 1: group 1, sip:192.0.2.1:5060, transc=32;conf=20",
      REMINDER,
    ]);
    assert.deepEqual(await listed(), []);
  });

  it("refuses an id that is not there", async () => {
    await add();
    const { complained, exitCode } = await run("remove", "7");
    assert.match(complained.join(), /^Cannot remove destination 7: there is none with this id/);
    assert.equal(exitCode, 1);
    await assert.rejects(run("remove", "first"), /want a whole number/);
  });
});

describe("headroom destinations import", () => {
  const importText = (text: string | Buffer, name = "rows.csv") => {
    writeFileSync(place.path(name), text);
    return run("import", place.path(name));
  };

  it("reads CSV with a header line: any order, quotes, empty cells, CRLF", async () => {
    const { printed, complained } = await importText(
      'resources,URI,group,attrs\r\n"a=1;b=2",sip:192.0.2.1,2,"say ""hi"", twice"\r\n\r\na=3,sip:192.0.2.2,,\r\n',
    );
    assert.deepEqual(complained, []);
    assert.deepEqual(printed.slice(0, 2), [
      "Added destination 1: group 2, sip:192.0.2.1, a=1;b=2",
      "Added destination 2: group 0, sip:192.0.2.2, a=3",
    ]);
    assert.match(printed[2] ?? "", /^Imported 2 destinations from .*rows\.csv$/);
    assert.equal(printed[3], REMINDER);
    assert.deepEqual((await listed())[0].attrs, 'say "hi", twice');
  });

  it("reads back what list --json wrote, ids included", async () => {
    await add("--attrs", "x");
    await add();
    await run("remove", "1");
    const rows = await listed();
    await run("remove", "2");
    assert.equal((await importText(JSON.stringify(rows), "rows.json")).exitCode, 0);
    assert.deepEqual(await listed(), rows);
  });

  it("writes nothing when one row is bad, and says which and why", async () => {
    const { complained, printed, exitCode } = await importText(
      "group_id,dst_uri,resources\n1,sip:192.0.2.1,a=1\n1,x,a=1\none,sip:192.0.2.1,b\n",
    );
    assert.deepEqual(printed, []);
    assert.equal(exitCode, 1);
    assert.match(complained[0] ?? "", /rows\.csv:3: dst_uri "x": want a URI/);
    assert.match(complained[1] ?? "", /rows\.csv:4: group_id "one": want a whole number/);
    assert.match(complained[2] ?? "", /rows\.csv:4: resources "b": /);
    assert.match(complained[3] ?? "", /^Nothing was imported from /);
    assert.equal(existsSync(place.database), false);
  });

  it("refuses ids that are taken, in the database or in the file", async () => {
    await add();
    const { complained } = await importText("id,uri,resources\n1,sip:192.0.2.1,a=1\n5,sip:192.0.2.1,a=1\n5,sip:192.0.2.1,a=1\n");
    assert.match(complained[0] ?? "", /rows\.csv:2: id 1 is taken by "sip:192\.0\.2\.1:5060" in the database/);
    assert.match(complained[1] ?? "", /rows\.csv:4: id 5 is taken at .*rows\.csv:3/);
    assert.equal((await listed()).length, 1);
  });

  const refused: [name: string, text: string | Buffer, want: RegExp][] = [
    ["an empty file", "", /it is empty, want a header line/],
    ["an unknown column", "uri,resources,weight\n", /rows\.csv:1: found "weight", want only id, group_id/],
    ["a column that is missing", "group,uri\n", /found no resources, want both dst_uri and resources/],
    ["a column that stands twice", "uri,dst_uri,resources\n", /found dst_uri twice/],
    ["a line with too few values", "uri,resources\nsip:192.0.2.1\n", /rows\.csv:2: 1 values, want 2/],
    ["a quote that is never closed", 'uri,resources\n"sip:192.0.2.1,a=1\n', /line 2: a quote is opened and never closed/],
    ["JSON with a fault", "[{]", /it is not JSON/],
    ["JSON of other things", "[1, null, []]", /destination 3: want an object with dst_uri, resources/],
    [
      "JSON with an unknown key",
      '[{"dst_uri":"sip:192.0.2.1","resources":"a=1","__proto__":1}]',
      /destination 1: found "__proto__", want only/,
    ],
    ["JSON with a null URI", '[{"dst_uri":null,"resources":"a=1"}]', /destination 1: dst_uri is missing: want a text/],
    ["JSON with a fraction", '[{"dst_uri":"sip:192.0.2.1","resources":"a=1","group_id":1.5}]', /group_id 1\.5: want a whole number/],
    ["bytes that are no text", Buffer.from([0x5b, 0xff]), /it is not UTF-8 text/],
  ];
  for (const [name, text, want] of refused) {
    it(`refuses ${name}`, async () => {
      const { complained, exitCode } = await importText(text);
      assert.match(complained.join("\n"), want);
      assert.deepEqual([exitCode, existsSync(place.database)], [1, false]);
    });
  }

  it("refuses a file that is not there, and a directory", async () => {
    assert.match((await run("import", place.path("none.csv"))).complained.join(), /none\.csv: there is no such file/);
    assert.match((await run("import", place.path("."))).complained.join(), /it is a directory/);
  });

  it("has nothing to do for an empty list", async () => {
    assert.match((await importText("[]")).printed.join(), /^Imported nothing: /);
  });
});

describe("headroom destinations", () => {
  it("says what is wrong with the configuration", async () => {
    writeFileSync(place.config, "load_balancer: { db_url: 5 }\n");
    const { complained, exitCode } = await run("list");
    assert.match(complained.join(), /headroom\.yaml:1:26: load_balancer\.db_url: found a value that is not shown here, want sqlite:FILE/);
    assert.equal(exitCode, 1);
  });
});

describe("CSV, RFC 4180", () => {
  const cases: [text: string, want: string[][]][] = [
    ["", []],
    ["\n\r\n\r", []],
    ["a", [["a"]]],
    [
      "a,b\nc,d",
      [
        ["a", "b"],
        ["c", "d"],
      ],
    ],
    [
      "a,b\r\nc,d\r\n",
      [
        ["a", "b"],
        ["c", "d"],
      ],
    ],
    ["a\rb", [["a"], ["b"]]],
    ["a,", [["a", ""]]],
    [",", [["", ""]]],
    ['"a,b","c""d"', [["a,b", 'c"d']]],
    ['"a\nb",c\n', [["a\nb", "c"]]],
    ['"",x', [["", "x"]]],
    [
      "a,\n,b",
      [
        ["a", ""],
        ["", "b"],
      ],
    ],
  ];
  for (const [text, want] of cases) {
    it(JSON.stringify(text), () =>
      assert.deepEqual(
        parseCsv(text).map(({ cells }) => cells),
        want,
      ),
    );
  }

  it("knows the line of each record, also behind a value of several lines", () => {
    assert.deepEqual(
      parseCsv('a\n\n"b\r\nc\nd"\ne').map(({ line }) => line),
      [1, 3, 6],
    );
  });

  for (const text of ['a"b', '"a"b', '"a', 'a\n"']) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseCsv(text), SyntaxError));
  }
});

describe("headroom destinations with FreeSWITCHes", () => {
  const URL = "calls=fs://me:S3CRET@192.0.2.9:8021; conf=2";
  const addUrl = (resources = URL) => run("add", "--group", "1", "--uri", "sip:192.0.2.9", "--resources", resources);
  const useFreeswitch = () =>
    writeFileSync(
      place.config,
      `load_balancer: { db_url: "sqlite:${place.database}", db_table: lb, fetch_freeswitch_stats: true }\nfreeswitch: { predict: false }\n`,
    );

  it("refuses them unless they are asked for their load, without a password", async () => {
    const { complained, exitCode } = await addUrl();
    assert.match(complained.join("\n"), /"calls=fs:\/\/…" takes its capacity from FreeSWITCH: want load_balancer\.fetch_freeswitch_stats/);
    assert.deepEqual([exitCode, complained.join().includes("S3CRET")], [1, false]);
  });

  it("shows no password unless it is asked to", async () => {
    useFreeswitch();
    const { printed } = await addUrl();
    assert.deepEqual(printed, ["Added destination 1: group 1, sip:192.0.2.9, calls=fs://me:***@192.0.2.9:8021; conf=2", REMINDER]);
    for (const args of [[], ["--json"]]) {
      const shown = (await run("list", ...args)).printed.join("\n");
      assert.ok(shown.includes("fs://me:***@192.0.2.9:8021") && !shown.includes("S3CRET"), shown);
    }
    const kept = (await run("list", "--json", "--show-passwords")).printed.join("\n");
    assert.equal(JSON.parse(kept)[0].resources, URL);
    const removed = await run("remove", "1");
    assert.ok(!removed.printed.join().includes("S3CRET"));
  });

  it("imports what was listed with passwords, and refuses what was listed without", async () => {
    useFreeswitch();
    await addUrl();
    const files = { good: place.path("good.json"), bad: place.path("bad.json") };
    writeFileSync(files.good, (await run("list", "--json", "--show-passwords")).printed.join("\n").replace('"id": 1', '"id": 2'));
    writeFileSync(files.bad, (await run("list", "--json")).printed.join("\n").replace('"id": 1', '"id": 3'));
    assert.equal((await run("import", files.good)).exitCode, 0);
    const { complained, exitCode } = await run("import", files.bad);
    assert.match(complained.join("\n"), /"\*\*\*" stands where a password is not shown; want the password/);
    assert.equal(exitCode, 1);
    assert.deepEqual(
      (await listed()).map(({ id }: { id: number }) => id),
      [1, 2],
    );
  });
});
