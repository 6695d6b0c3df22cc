import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { DispatcherSchema } from "../../src/config/schema-dispatcher.ts";
import { ALGORITHM_NAMES } from "../../src/dispatch/index.ts";
import { allMethods } from "../../src/management/methods/index.ts";
import { DispatcherFunctions } from "../../src/routing/index.ts";

const DOCUMENT = readFileSync("docs/from-kamailio.md", "utf8");
const SCRIPTING = readFileSync("docs/scripting.md", "utf8");

/** Parameters that the dispatcher module of Kamailio 5.6.3 exports. */
const PARAMETERS = [
  ...["attrs_col", "attrs_pvname", "db_url", "destination_col", "ds_attrs_none", "ds_db_extra_attrs", "ds_default_socket"],
  ...["ds_default_sockname", "ds_dns_interval", "ds_dns_mode", "ds_dns_ttl", "ds_hash_check_interval", "ds_hash_expire"],
  ...["ds_hash_initexpire", "ds_hash_size", "ds_inactive_threshold", "ds_latency_estimator_alpha", "ds_load_mode", "ds_ping_from"],
  ...["ds_ping_interval", "ds_ping_latency_stats", "ds_ping_method", "ds_ping_reply_codes", "ds_probing_mode", "ds_probing_threshold"],
  ...["ds_timer_mode", "event_callback", "flags", "flags_col", "force_dst", "hash_pvar", "list_file", "outbound_proxy", "priority_col"],
  ...["reload_delta", "setid_col", "setid_pvname", "table_name", "use_default", "xavp_ctx", "xavp_ctx_mode", "xavp_dst", "xavp_dst_mode"],
];
/** Functions that it exports to scripts. */
const FUNCTIONS = [
  ...[
    "ds_is_active",
    "ds_is_from_list",
    "ds_list_exists",
    "ds_load_unset",
    "ds_load_update",
    "ds_mark_dst",
    "ds_next_domain",
    "ds_next_dst",
  ],
  ...["ds_reload", "ds_select", "ds_select_domain", "ds_select_dst", "ds_select_routes", "ds_set_domain", "ds_set_dst"],
];
/** Attributes that it or a newer version gives a meaning. */
const ATTRIBUTES = [
  ...[
    "cc",
    "duid",
    "latency",
    "maxload",
    "obproxy",
    "ocmax",
    "ocmin",
    "ocrate",
    "ping_from",
    "ping_socket",
    "rweight",
    "socket",
    "sockname",
  ],
  "weight",
];

/** Cells of the first column of the document's tables. */
const CELLS = DOCUMENT.split("\n")
  .filter((line) => line.startsWith("| "))
  .map((line) => line.split(" | ", 1)[0]!);

function namesWithout(names: readonly string[], within: (name: string) => boolean): string[] {
  return names.filter((name) => !within(name));
}

describe("docs/from-kamailio.md", () => {
  it("has a line for every parameter, function, attribute and command", () => {
    const inCells = (name: string): boolean => CELLS.some((cell) => cell.includes(`\`${name}\``));
    assert.deepEqual(namesWithout([...PARAMETERS, ...ATTRIBUTES], inCells), []);
    assert.deepEqual(
      namesWithout(FUNCTIONS, (name) => CELLS.some((cell) => cell.includes(`\`${name}(`))),
      [],
    );
    const commands = allMethods.map(({ name }) => name).filter((name) => name.startsWith("dispatcher."));
    assert.ok(commands.length >= 9);
    assert.deepEqual(
      namesWithout(commands, (name) => CELLS.some((cell) => cell.includes(`\`${name}`))),
      [],
    );
  });

  it("knows every key of the configuration and every algorithm", () => {
    const known = (name: string): boolean => DOCUMENT.includes(`\`${name}\``);
    assert.deepEqual(namesWithout(Object.keys(DispatcherSchema.properties), known), []);
    assert.deepEqual(namesWithout(ALGORITHM_NAMES, known), []);
  });

  it("and docs/scripting.md name every function of route modules", () => {
    const members: Readonly<Record<string, PropertyDescriptor>> = Object.getOwnPropertyDescriptors(DispatcherFunctions.prototype);
    const names = Object.keys(members).filter((name) => name !== "constructor");
    const methods = names.filter((name) => members[name]?.value !== undefined);
    assert.ok(methods.length >= 18);
    assert.deepEqual(
      namesWithout(methods, (name) => DOCUMENT.includes(`${name}(`)),
      [],
    );
    assert.deepEqual(
      namesWithout(names, (name) => SCRIPTING.includes(`\`${name}`)),
      [],
    );
  });
});
