import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import Database from "better-sqlite3";
import { register } from "../../src/cli/destinations.ts";
import { openStore, type StoredRow } from "../../src/store/index.ts";
import { makeWorkplace, type Outcome, runCommand, runWith, type Workplace } from "../support/cli.ts";

const REMINDER = "A running balancer goes on with what it has loaded, until: headroom mi lb_reload";
const FIRST: StoredRow = {
  id: 1,
  group_id: 1,
  dst_uri: "sip:192.0.2.1",
  resources: "pstn=30",
  probe_mode: 2,
  attrs: "gw=1",
  description: null,
};
const SECOND: StoredRow = { ...FIRST, id: 2, dst_uri: "sip:192.0.2.2", probe_mode: 0, attrs: null, description: "spare" };

let place: Workplace;
beforeEach(async () => {
  place = makeWorkplace();
  configure();
  const store = await openStore(`sqlite:${place.database}`, { table: "load_balancer" });
  await store.import([FIRST, SECOND]);
  await store.close();
});
afterEach(() => place.remove());

function configure(more = "", balancer = ""): void {
  writeFileSync(place.config, `load_balancer: { db_url: "sqlite:${place.database}"${balancer} }\n${more}`);
}
const run = (command: string, ...args: string[]): Promise<Outcome> =>
  runCommand(register, "destinations", command, "--config", place.config, ...args);
const asked = (answer: (question: string) => boolean, command: string, ...args: string[]): Promise<Outcome> =>
  runWith({ answer }, register, "destinations", command, "--config", place.config, ...args);
const rows = async (): Promise<StoredRow[]> => JSON.parse((await run("list", "--json", "--show-passwords")).printed.join("\n"));

describe("headroom destinations update", () => {
  it("changes what is named, says from what to what, and leaves the rest", async () => {
    const { printed, complained, exitCode } = await run("update", "1", "--resources", "pstn=40;conf=2", "--attrs", "", "--probe-mode", "1");
    assert.deepEqual(printed, [
      'Changed destination 1, sip:192.0.2.1: resources "pstn=30" -> "pstn=40;conf=2"; probe_mode 2 -> 1; attrs "gw=1" -> none',
      REMINDER,
    ]);
    assert.deepEqual([complained, exitCode], [[], 0]);
    assert.deepEqual(await rows(), [{ ...FIRST, resources: "pstn=40;conf=2", attrs: null, probe_mode: 1 }, SECOND]);
  });

  it("says that another URI makes another destination, and that the group has it already", async () => {
    const { printed } = await run("update", "1", "--uri", "sip:192.0.2.2");
    assert.match(printed.join("\n"), /notice: Group 1 has "sip:192\.0\.2\.2" more than once: destinations 2, 1/);
    assert.match(printed.join("\n"), /notice: With another URI or group destination 1 is another one: its load is counted from 0/);
  });

  const refused: [name: string, args: string[], want: RegExp][] = [
    ["nothing to change", ["1"], /Cannot update destination 1: want at least one of --group, --uri/],
    ["an id that is not there", ["7", "--group", "2"], /Cannot update destination 7: there is none with this id/],
    ["a URI that calls cannot go to", ["1", "--uri", "x"], /Cannot change destination 1: dst_uri "x": want/],
    ["resources without a number", ["1", "--resources", "pstn"], /Cannot change destination 1: resources "pstn":/],
  ];
  for (const [name, args, want] of refused) {
    it(`refuses ${name}, and writes nothing`, async () => {
      const { printed, complained, exitCode } = await run("update", ...args);
      assert.match(complained.join("\n"), want);
      assert.deepEqual([printed, exitCode, await rows()], [[], 1, [FIRST, SECOND]]);
    });
  }

  it("has nothing to do for what stands there already", async () => {
    assert.deepEqual((await run("update", "1", "--group", "1")).printed, ["Nothing to change: all of it stands in the database already"]);
  });

  it("says what an option in the attributes lacks", async () => {
    assert.match(
      (await run("update", "2", "--attrs", "weight=heavy")).printed.join("\n"),
      /notice: .*destination 2: weight "heavy" must be/,
    );
  });
});

describe("a change of destinations", () => {
  it("is shown and asked about where somebody sits, and not made for a no", async () => {
    const questions: string[] = [];
    const no = await asked((question) => questions.push(question) === 0, "update", "1", "--group", "2");
    assert.deepEqual(questions, ["Write this to the database (0 added, 1 changed, 0 removed, 0 as they were)?"]);
    assert.equal(no.printed[0], "~ destination 1, sip:192.0.2.1: group_id 1 -> 2");
    assert.deepEqual([no.complained, no.exitCode, await rows()], [["Nothing was written"], 1, [FIRST, SECOND]]);
    const yes = await asked(() => true, "remove", "2");
    assert.deepEqual([yes.exitCode, await rows()], [0, [FIRST]]);
  });

  it("is not asked about with --yes, nor when it only adds", async () => {
    const never = () => assert.fail("somebody was asked");
    await asked(never, "update", "1", "--group", "2", "--yes");
    await asked(never, "add", "--group", "3", "--uri", "sip:192.0.2.3", "--resources", "a=1");
    assert.deepEqual(
      (await rows()).map(({ group_id: group }) => group),
      [2, 1, 3],
    );
  });

  it("is only shown with --dry-run, which makes no database either", async () => {
    const { printed } = await run("remove", "2", "--dry-run");
    assert.deepEqual(printed, [
      "- destination 2: group 1, sip:192.0.2.2, pstn=30",
      "Would be 0 added, 0 changed, 1 removed, 0 as they were; nothing was written (--dry-run)",
    ]);
    assert.deepEqual(await rows(), [FIRST, SECOND]);
    writeFileSync(place.config, `load_balancer: { db_url: "sqlite:${place.path("other.db")}" }\n`);
    const other = await run("add", "--group", "1", "--uri", "sip:192.0.2.3", "--resources", "a=1", "--dry-run");
    assert.equal(other.printed[0], "+ destination: group 1, sip:192.0.2.3, a=1");
    assert.equal(existsSync(place.path("other.db")), false);
  });

  it("is told as JSON, without passwords", async () => {
    configure("", ", fetch_freeswitch_stats: true");
    const { printed } = await run("update", "1", "--resources", "pstn=fs://me:hush@192.0.2.9:8021", "--json");
    const told = JSON.parse(printed.join("\n"));
    assert.deepEqual(told.changed[0].after.resources, "pstn=fs://me:***@192.0.2.9:8021");
    assert.deepEqual([told.written, told.reload, told.unchanged, printed.join().includes("hush")], [true, null, 0, false]);
    const again = await run("update", "1", "--resources", "pstn=fs://me:other@192.0.2.9:8021");
    assert.match(again.printed[0] ?? "", /resources "pstn=fs:\/\/me:\*\*\*@192\.0\.2\.9:8021" -> the same with another password$/);
  });

  it("is refused when somebody else has changed the row since it was shown", async () => {
    const other = new Database(place.database);
    try {
      const { complained, exitCode } = await asked(
        () => other.prepare("UPDATE load_balancer SET resources = 'pstn=1' WHERE id = 1").run().changes === 1,
        ...(["update", "1", "--group", "5"] as const),
      );
      assert.match(
        complained.join(),
        /Cannot change destination 1: somebody else has changed or removed it meanwhile, nothing was written/,
      );
      assert.equal(exitCode, 1);
    } finally {
      other.close();
    }
    assert.deepEqual(await rows(), [{ ...FIRST, resources: "pstn=1" }, SECOND]);
  });
});

describe("headroom destinations import", () => {
  const importText = (text: string, ...args: string[]) => {
    writeFileSync(place.path("rows.csv"), text);
    return run("import", place.path("rows.csv"), ...args);
  };

  it("with --merge changes what is there, by id or by group and URI, adds the rest and keeps what the file has no column for", async () => {
    const { printed, complained } = await importText(
      "id,uri,resources,group\n2,sip:192.0.2.22,pstn=5,1\n,sip:192.0.2.1,pstn=31,1\n,sip:192.0.2.3,pstn=3,1\n",
      "--merge",
    );
    assert.deepEqual(complained, []);
    assert.match(printed.join("\n"), /Imported .*rows\.csv: 1 added, 2 changed, 0 removed, 0 as they were/);
    assert.deepEqual(await rows(), [
      { ...FIRST, resources: "pstn=31" },
      { ...SECOND, dst_uri: "sip:192.0.2.22", resources: "pstn=5" },
      { ...FIRST, id: 3, dst_uri: "sip:192.0.2.3", resources: "pstn=3", probe_mode: 0, attrs: null },
    ]);
  });

  it("with --replace removes what is not in the file, and can be done again without a change", async () => {
    const text = "uri,resources,group,attrs\nsip:192.0.2.1,pstn=30,1,\n";
    const { printed } = await importText(text, "--replace");
    assert.match(printed.join("\n"), /Removed destination 2: .*\n.*0 added, 1 changed, 1 removed, 0 as they were|1 changed, 1 removed/);
    assert.deepEqual(await rows(), [{ ...FIRST, attrs: null }]);
    assert.equal((await importText(text, "--replace")).printed[0], "Nothing to change: all of it stands in the database already");
  });

  it("empties the table only when somebody says so: a file may be empty by mistake", async () => {
    const header = "uri,resources\n";
    const refused = await importText(header, "--replace");
    assert.match(refused.complained.join(), /rows\.csv: it has no destinations, --replace would remove all 2 destinations: want --yes/);
    assert.equal(refused.exitCode, 1);
    assert.equal((await importText(header, "--replace", "--json")).exitCode, 1);
    assert.equal((await importText(header, "--replace", "--dry-run")).exitCode, 0);
    assert.equal((await asked(() => false, "import", place.path("rows.csv"), "--replace")).exitCode, 1);
    assert.deepEqual(await rows(), [FIRST, SECOND]);
    assert.equal((await importText(header, "--replace", "--yes")).exitCode, 0);
    assert.deepEqual(await rows(), []);
  });

  it("refuses what could mean several rows, and a row that is meant twice", async () => {
    await run("add", "--group", "1", "--uri", "sip:192.0.2.1", "--resources", "a=1");
    const several = await importText("group,uri,resources\n1,sip:192.0.2.1,a=1\n1,sip:192.0.2.2,a=1\n1,sip:192.0.2.2,a=2\n", "--merge");
    assert.match(several.complained[0] ?? "", /rows\.csv:2: group 1 has "sip:192\.0\.2\.1" as destinations 1, 3, want the id/);
    assert.match(several.complained[1] ?? "", /rows\.csv:4: destination 2 stands at .*rows\.csv:3 already, want each once/);
    assert.equal((await rows()).length, 3);
    await assert.rejects(importText("", "--merge", "--replace"), /cannot be used with/);
  });

  it("keeps a password that the file does not show", async () => {
    configure("", ", fetch_freeswitch_stats: true");
    const resources = "calls=fs://me:S3CRET@192.0.2.9:8021;conf=2";
    await run("update", "1", "--resources", resources);
    const file = place.path("out.csv");
    await run("export", "-o", file);
    assert.ok(readFileSync(file, "utf8").includes("fs://me:***@"));
    writeFileSync(file, readFileSync(file, "utf8").replace("spare", "third"));
    const { complained } = await run("import", file, "--merge");
    assert.deepEqual(complained, []);
    assert.deepEqual(await rows(), [
      { ...FIRST, resources },
      { ...SECOND, description: "third" },
    ]);
    writeFileSync(file, readFileSync(file, "utf8").replace("@192.0.2.9", "@192.0.2.10"));
    assert.match((await run("import", file, "--merge")).complained.join(), /"\*\*\*" stands where a password is not shown/);
  });
});

describe("headroom destinations export", () => {
  const odd: StoredRow = { ...SECOND, id: 9, attrs: "", description: ' "a", b\r\n=1+1 ', resources: "a=1;b=2" };

  for (const format of ["csv", "json"]) {
    it(`writes ${format} of which import makes the same rows`, async () => {
      const store = await openStore(`sqlite:${place.database}`, { table: "load_balancer" });
      await store.import([odd]);
      await store.close();
      const before = await rows();
      const file = place.path(`rows.${format}`);
      const { printed } = await run("export", "--format", format, "--output", file);
      assert.deepEqual(printed, [`Exported 3 destinations to ${file}`]);
      assert.equal(statSync(file).mode & 0o077, 0);
      writeFileSync(place.config, `load_balancer: { db_url: "sqlite:${place.path("copy.db")}" }\n`);
      assert.equal((await run("import", file)).exitCode, 0);
      assert.deepEqual(await rows(), before);
      const again = await run("export", "--format", format);
      assert.equal(`${again.printed.join("\n")}\n`, readFileSync(file, "utf8"));
    });
  }

  it("replaces a file only when it is told to", async () => {
    writeFileSync(place.path("rows.csv"), "mine", { mode: 0o644 });
    const refused = await run("export", "-o", place.path("rows.csv"));
    assert.match(refused.complained.join(), /rows\.csv: it is there already, want another name or --force/);
    assert.equal(refused.exitCode, 1);
    await run("export", "-o", place.path("rows.csv"), "--force");
    assert.equal(readFileSync(place.path("rows.csv"), "utf8").split("\n").length, 4);
    assert.equal(statSync(place.path("rows.csv")).mode & 0o077, 0);
  });

  it("says which rows import would not take", async () => {
    const database = new Database(place.database);
    database.exec("INSERT INTO load_balancer (id, dst_uri, resources) VALUES (5, 'nothing', 'a=1')");
    database.close();
    const { complained, exitCode } = await run("export");
    assert.match(complained.join(), /^notice: destination 5 is not one that import takes: dst_uri "nothing"/);
    assert.equal(exitCode, 0);
  });
});

describe("--reload", () => {
  /** A management interface that gives these answers, by method, and keeps the tokens that came. */
  async function answering(answers: Record<string, unknown>, use: (port: number, tokens: string[]) => Promise<void>): Promise<void> {
    const tokens: string[] = [];
    const server = createServer((request, response) => {
      tokens.push(request.headers.authorization ?? "");
      let body = "";
      request.on("data", (part) => {
        body += part;
      });
      request.on("end", () => response.end(JSON.stringify({ jsonrpc: "2.0", id: "1", ...(answers[JSON.parse(body).method] as object) })));
    }).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    try {
      await use((server.address() as AddressInfo).port, tokens);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  }
  const add = (...args: string[]) => run("add", "--group", "1", "--uri", "sip:192.0.2.3", "--resources", "a=1", "--reload", ...args);
  const list = (...destinations: object[]) => ({ result: { Destinations: destinations } });

  it("finds the balancer by the configuration, and says that it has the row", () =>
    answering({ lb_reload: { result: "OK" }, lb_list: list({ id: 3, uri: "sip:192.0.2.3" }) }, async (port, tokens) => {
      configure(`mi_http: { listen: "0.0.0.0:${port}", root: ctl, auth: { bearer_tokens: [a-very-long-token] } }\n`);
      const { printed, complained, exitCode } = await add();
      assert.equal(printed[1], `The balancer at http://127.0.0.1:${port}/ctl has loaded the table: it has 1 destination`);
      assert.deepEqual([complained, exitCode, printed.length], [[], 0, 2]);
      assert.deepEqual(new Set(tokens), new Set(["Bearer a-very-long-token"]));
      const named = "tokens: [{ name: eyes, token: only-for-eyes }, { name: hands, token: with-both-hands, role: operator }]";
      configure(`mi_http: { listen: "127.0.0.1:${port}", auth: { ${named} } }\n`);
      const json = await add("--json");
      assert.equal(tokens.at(-1), "Bearer with-both-hands");
      assert.match(JSON.parse(json.printed.join("\n")).reload, /has loaded the table/);
    }));

  it("says when the balancer does not use the row, and when it refuses to load", () =>
    answering({ lb_reload: { result: "OK" }, lb_list: list({ id: 1, uri: "sip:192.0.2.1" }) }, async (port) => {
      const { complained, exitCode } = await add("--url", `http://127.0.0.1:${port}/mi`);
      assert.match(complained.join(), /it has 1 destination, destination 3 is none of them; headroom check says why/);
      assert.equal(exitCode, 1);
      await answering({ lb_reload: { error: { code: 500, message: "Failed to reload" } } }, async (refusing) => {
        const refused = await add("--url", `http://127.0.0.1:${refusing}/mi`);
        assert.equal(
          refused.complained.join(),
          "Cannot run lb_reload: Failed to reload (500): the database has the change, the balancer goes on with what it has loaded",
        );
        assert.equal(refused.exitCode, 1);
      });
    }));

  it("keeps the change when nobody answers", async () => {
    const { complained, exitCode } = await add("--url", "http://127.0.0.1:1/mi");
    assert.match(complained.join(), /Cannot run lb_reload: .*: the database has the change/);
    assert.deepEqual([exitCode, (await rows()).length], [1, 3]);
  });
});
