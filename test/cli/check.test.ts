import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import Database from "better-sqlite3";
import { register } from "../../src/cli/check.ts";
import { openStore } from "../../src/store/index.ts";
import { makeWorkplace, runCommand, type Workplace } from "../support/cli.ts";

let place: Workplace;
before(() => {
  place = makeWorkplace();
});
after(() => place.remove());

/** What was said, without the hint under each finding. */
const check = async () => {
  const { printed, complained, exitCode } = await runCommand(register, "check", "--config", place.config);
  const isHint = (line: string) => line.startsWith("  hint: ");
  const findings = [...printed, ...complained].filter((line) => /^(?:notice|error): /.test(line)).length;
  assert.equal([...printed, ...complained].filter(isHint).length, findings);
  return { printed: printed.filter((line) => !isHint(line)), complained: complained.filter((line) => !isHint(line)), exitCode };
};
const configure = (text = "") => writeFileSync(place.config, `load_balancer: { db_url: "sqlite:${place.database}" }\n${text}`);

describe("headroom check", () => {
  it("says everything that is wrong with the configuration and ends with 1", async () => {
    writeFileSync(place.config, "sip: { workers: 0 }\nlog: { level: loud }\n");
    const { printed, complained, exitCode } = await check();
    assert.deepEqual(printed, []);
    assert.equal(complained.length, 2);
    assert.match(complained[0] ?? "", /^error: .*headroom\.yaml:1:17: sip\.workers: found 0, want/);
    assert.equal(exitCode, 1);
  });

  it("does not mind a database that is not there yet, and does not make it", async () => {
    configure();
    const { printed, complained, exitCode } = await check();
    assert.match(
      printed.join("\n"),
      /^notice: Cannot open database ".*": there is no such file; headroom start makes it.*\n.*headroom\.yaml can be used$/,
    );
    assert.deepEqual([complained, exitCode, existsSync(place.database)], [[], 0, false]);
  });

  it("prints notices, which are no errors", async () => {
    configure("sip: { worker_ports: 5080 }\n");
    const { printed, exitCode } = await check();
    assert.match(printed[0] ?? "", /^notice: .*headroom\.yaml:2:22: sip\.worker_ports has no effect/);
    assert.equal(exitCode, 0);
  });

  it("looks at the row that each account makes of a server that registers, and shows no password", async () => {
    const account = (resources: string) => `registrar: { accounts: [{ user: fs, password: "secret word", resources: "${resources}" }] }\n`;
    configure(account("pstn=30"));
    assert.equal((await check()).exitCode, 0);
    configure(account("pstn=fs://:ClueCon@{host}:8021"));
    const without = await check();
    assert.match(
      without.complained.join(),
      /accounts\[0\]\.resources: found fs:\/\/, .* want load_balancer\.fetch_freeswitch_stats to be true$/,
    );
    const socket = (resources: string) =>
      writeFileSync(
        place.config,
        `load_balancer: { db_url: "sqlite:${place.database}", fetch_freeswitch_stats: true }\n${account(resources)}`,
      );
    socket("pstn=fs://:ClueCon@{host}:8021");
    assert.deepEqual((await check()).complained, []);
    socket("pstn=fs://:ClueCon@{host}:80210");
    const wrong = await check();
    assert.match(wrong.complained.join(), /^error: registrar: account "fs" makes no destination: resources/);
    assert.doesNotMatch([...without.complained, ...wrong.complained].join(), /ClueCon|secret word/);
    assert.equal(wrong.exitCode, 1);
  });

  it("reads the lists of the distributor: what is left out is a notice, what keeps a start from beginning an error", async () => {
    const file = place.path("distributor.conf.xml");
    writeFileSync(file, '<configuration><lists><list name="l"><node name="a" weight="0"/></list></lists></configuration>');
    configure(`distributor: { list_file: "${file}" }\n`);
    const { printed, exitCode } = await check();
    assert.match(printed.join("\n"), /^notice: Cannot use weight "0" of node "a" in list "l"/m);
    assert.equal(exitCode, 0);
    configure(`distributor: { list_file: "${file}" }\nrouting: { rules: [{ distribute: m }] }\n`);
    const second = await check();
    assert.match(second.complained.join("\n"), /^error: .*routing\.rules\[0\]\.distribute: found "m", want one of "l"$/);
    assert.equal(second.exitCode, 1);
  });

  it("reads the sets of the dispatcher: what is left out is a notice, with its line, and an error where a load is strict", async () => {
    const file = place.path("dispatcher.list");
    writeFileSync(file, "1 sip:192.0.2.1\nx sip:192.0.2.2\n");
    configure(`dispatcher: { list_file: "${file}" }\nrouting: { rules: [{ dispatch: { set: 7 } }] }\n`);
    const { printed, exitCode } = await check();
    assert.ok(printed.includes("1 destinations in 1 sets of the dispatcher can be used"), printed.join("\n"));
    assert.match(printed.join("\n"), /^notice: dispatcher: .*dispatcher\.list: Cannot use line 2: want the id of a set/m);
    assert.match(printed.join("\n"), /^notice: routing\.rules\[0\]\.dispatch refuses its calls: the dispatcher has no set 7$/m);
    assert.equal(exitCode, 0);
    configure(`dispatcher: { list_file: "${file}", ds_load_mode: 1 }\n`);
    assert.match((await check()).complained.join("\n"), /^error: dispatcher: .*Cannot use line 2/);
    configure('dispatcher: { list_file: "/nowhere/at/all" }\n');
    const missing = await check();
    assert.deepEqual(
      [missing.complained, missing.exitCode],
      [["error: /nowhere/at/all: there is no such file, want Kamailio's list of destinations"], 1],
    );
  });

  it("looks at the rows of the database and changes nothing", async () => {
    configure();
    const store = await openStore(`sqlite:${place.database}`, { table: "load_balancer" });
    await store.add({ dst_uri: "sip:192.0.2.1", resources: "a=1", probe_mode: 2, attrs: "site=fra;weight=\u001b" });
    await store.close();
    const clean = await check();
    assert.deepEqual([clean.complained, clean.exitCode], [[], 0]);
    assert.deepEqual(clean.printed.slice(0, 2), [
      '1 of 1 destinations of table "load_balancer" can be used',
      'notice: Cannot use an option in the attributes of destination 1: weight "\\x1b" must be a number from 0.01 to 100 with at most two decimals',
    ]);

    const database = new Database(place.database);
    database.exec("INSERT INTO load_balancer (dst_uri, resources) VALUES ('sip:x', 'a=\u001b[31m'), ('nothing', 'a=1')");
    database.close();
    const { complained, printed, exitCode } = await check();
    assert.equal(printed[0], '1 of 3 destinations of table "load_balancer" can be used');
    assert.equal(complained.length, 2);
    assert.match(complained[0] ?? "", /^error: Row 2 is skipped: resources "a=\\x1b\[31m": capacity/);
    assert.match(complained[1] ?? "", /^error: Row 3 is skipped: dst_uri "nothing": want a URI/);
    assert.equal(exitCode, 1);
  });

  it("says what the configuration names and no row has", async () => {
    configure("routing: { rules: [{ group: 7, resources: a }] }\n");
    const { printed } = await check();
    assert.ok(printed.includes("notice: routing.rules with group 7 refuse their calls: the group has no destination"), printed.join("\n"));
  });

  it("says which nodes of the distributor lead nowhere, and which names no list has", async () => {
    configure(
      "distributor: { lists: { l: [{ name: 1 }, { name: 99 }, { name: sosse }, { name: gw }, { name: 'sips:192.0.2.9' }] }, nodes: { gw: 'sip:gw.example', nroth: 1 } }\n",
    );
    const { printed } = await check();
    const told = printed.filter((line) => /node/.test(line)).map((line) => /node "[^"]*" of list "l": want|for "nroth"/.exec(line)?.[0]);
    assert.deepEqual(told, [
      'for "nroth"',
      'node "99" of list "l": want',
      'node "sosse" of list "l": want',
      'node "sips:192.0.2.9" of list "l": want',
    ]);
  });

  it("says that nothing is probed when probing is off", async () => {
    writeFileSync(place.config, `load_balancer: { db_url: "sqlite:${place.database}", probing_interval: 0 }\n`);
    const { printed } = await check();
    assert.ok(
      printed.includes("notice: probe_mode of 1 destinations has no effect: load_balancer.probing_interval is 0"),
      printed.join("\n"),
    );
  });

  it("refuses a table of another version", async () => {
    configure();
    const database = new Database(place.database);
    database.exec("UPDATE version SET table_version = 2");
    database.close();
    const { complained, exitCode } = await check();
    assert.match(complained[0] ?? "", /the "version" table names version 2 of it, want version 3/);
    assert.equal(exitCode, 1);
  });

  it("loads the route module that the configuration names", async () => {
    configure(`routing: { script: "${place.path("none.ts")}" }\n`);
    const { complained, exitCode } = await check();
    assert.match(complained.join("\n"), /Cannot load route module/);
    assert.equal(exitCode, 1);
  });

  it("says why a database on a server cannot be used, and does not repeat its password", async () => {
    writeFileSync(place.config, 'load_balancer: { db_url: "mysql://u:hush@127.0.0.1:1/d" }\n');
    const { printed, complained, exitCode } = await check();
    assert.match(complained.join("\n"), /Cannot use database "mysql:\/\/u@127\.0\.0\.1:1\/d": nobody listens there/);
    assert.doesNotMatch([...printed, ...complained].join("\n"), /hush/);
    assert.equal(exitCode, 1);
  });
});
