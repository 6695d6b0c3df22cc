import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import Database from "better-sqlite3";
import { isEventName } from "../../src/event-names.ts";
import { OPENSIPS_PARAMS } from "../../src/import/params-opensips.ts";
import { allMethods } from "../../src/management/methods/index.ts";
import { Statistics } from "../../src/observability/statistics.ts";
import { Call } from "../../src/routing/call.ts";
import { LoadBalancing } from "../../src/routing/load-balancing.ts";
import { DispatcherFunctions } from "../../src/routing/script-dispatch.ts";
import { TransportCounters } from "../../src/transport/udp.ts";
import { SimNetwork } from "../support/sim-network.ts";

const ROOT = join(import.meta.dirname, "../..");
const PAGE = readFileSync(join(ROOT, "docs/from-opensips.md"), "utf8");

/** Names of OpenSIPS by module and kind, each kind as words. */
const NAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = JSON.parse(
  readFileSync(join(ROOT, "test/fixtures/opensips-names.json"), "utf8"),
);

/** What stands in backquotes. */
const codeOf = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);

interface Row {
  readonly module: string;
  readonly theirs: readonly string[];
  readonly ours: readonly string[];
  readonly line: string;
}

/** The rows of the table. */
const ROWS: Row[] = (PAGE.split("## Everything, module by module\n")[1] ?? "")
  .split("\n## ", 1)
  .join("")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| Module "))
  .map((line) => {
    const [module = "", theirs = "", ours = ""] = line.slice(2).split(" | ");
    return { module, theirs: codeOf(theirs), ours: codeOf(ours), line };
  });

describe("the table of docs/from-opensips.md", () => {
  for (const [module, kinds] of Object.entries(NAMES))
    it(`has every name of ${module}`, () => {
      const known = new Set(ROWS.filter((row) => row.module === module).flatMap(({ theirs }) => theirs));
      const missing = Object.entries(kinds).flatMap(([kind, words]) =>
        words
          .split(" ")
          .filter((name) => !known.has(name))
          .map((name) => `${kind}: ${name}`),
      );
      assert.deepEqual(missing, []);
    });

  it("has every parameter that the import knows", () => {
    const known = new Set(ROWS.flatMap(({ theirs }) => theirs));
    const old = new Set(["fetch_freeswitch_load", "ping_interval", "dialog_table", "dlg_flag", "ca_file", "tcp_crlf_drop"]);
    const modules = ["load_balancer", "dialog", "tm", "clusterer", "freeswitch", "pike", "httpd"];
    const missing = modules.flatMap((module) => Object.keys(OPENSIPS_PARAMS[module] ?? {})).filter((name) => !known.has(name));
    assert.deepEqual(
      missing.filter((name) => !old.has(name)),
      [],
    );
  });

  it("names only what exists here", () => {
    const wrong = ROWS.flatMap(({ ours, line }) => ours.filter((name) => !exists(name)).map((name) => `${name} in ${line.slice(0, 60)}`));
    assert.deepEqual(wrong, []);
    assert.ok(ROWS.flatMap(({ ours }) => ours).length > 150);
  });

  it("has a view in it that makes OpenSIPS' table of the dispatcher Kamailio's", () => {
    const sql = /```sql\n(create view dispatcher_for_headroom[\s\S]*?)```/.exec(PAGE)?.[1] ?? "";
    const database = new Database(":memory:");
    try {
      database.exec(`create table version (table_name text, table_version integer);
        create table dispatcher (id integer primary key, setid integer, destination text, socket text, state integer, probe_mode integer,
          weight text, priority integer, attrs text, description text);
        insert into dispatcher values (1, 7, 'sip:192.0.2.1', null, 0, 0, '30', 0, null, 'a'), (2, 7, 'sip:192.0.2.2', null, 2, 0, '70', 5, 'x=1', 'b');`);
      database.exec(sql);
      assert.deepEqual(database.prepare("select flags, priority, attrs from dispatcher_for_headroom order by id").all(), [
        { flags: 0, priority: 0, attrs: "rweight=30" },
        { flags: 8, priority: 5, attrs: "rweight=70;x=1" },
      ]);
    } finally {
      database.close();
    }
  });
});

/** Whether something of ours has this name: a key, a member of a call, a handler, a method, a statistic, an event, a command or a path. */
function exists(name: string): boolean {
  const script = /^call\.(?:(lb|ds)\.)?([A-Za-z]+)(?:\(\))?$/.exec(name);
  if (script) return hasMember({ lb: LoadBalancing, ds: DispatcherFunctions }[script[1] ?? ""] ?? Call, script[2] ?? "");
  if (/^(?:request|failure|reply)\(\)$/.test(name)) return true;
  if (name.startsWith("E_")) return isEventName(name);
  if (name.startsWith("/")) return readFileSync(join(ROOT, "docs/management.md"), "utf8").includes(name) || name === "/metrics";
  if (name.startsWith("headroom ")) return existsSync(join(ROOT, "src/cli", `${name.split(" ")[1]}.ts`));
  return METHODS.has(name) || KEYS.has(name) || statisticNames().has(name);
}

const METHODS = new Set(allMethods.flatMap((method) => [method.name, ...method.aliases]));

/** Paths of keys, as the reference has them: a test of its own keeps it in step with the schema. */
const KEYS = new Set(
  readFileSync(join(ROOT, "docs/configuration.md"), "utf8")
    .split("\n## ")
    .slice(1)
    .flatMap((section) => [...section.matchAll(/^\*\*`([^`]+)`\*\*/gm)].map(([, key = ""]) => `${section.split("\n", 1)[0]}.${key}`)),
);

function hasMember(type: { readonly prototype: object }, name: string): boolean {
  return Object.hasOwn(type.prototype, name) || (type === Call && name === "log");
}

let statistics: Set<string> | undefined;

function statisticNames(): Set<string> {
  if (statistics) return statistics;
  const { layer, proxy, dialogs, balancer, core } = new SimNetwork();
  const transport = new TransportCounters();
  const read = new Statistics({ layer, proxy, proxyCounters: core.counters, transport, dialogs, balancer, uptimeS: () => 0 }).read();
  statistics = new Set(Object.entries(read).flatMap(([group, values]) => Object.keys(values).map((each) => `${group}:${each}`)));
  return statistics;
}
