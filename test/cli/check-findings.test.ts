import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { DestinationRow } from "../../src/balancer/index.ts";
import { register } from "../../src/cli/check.ts";
import type { Finding } from "../../src/cli/check-findings.ts";
import { Findings } from "../../src/cli/check-findings.ts";
import { hintFor } from "../../src/cli/check-hints.ts";
import { checkMachine } from "../../src/cli/check-machine.ts";
import { checkRows } from "../../src/cli/check-table.ts";
import { loadConfig } from "../../src/config/index.ts";
import { type NewRow, openStore } from "../../src/store/index.ts";
import { makeWorkplace, runCommand, type Workplace } from "../support/cli.ts";

const TLS = resolve(import.meta.dirname, "../fixtures/tls");
const GENERAL = /^docs\/configuration\.md has every key/;

let place: Workplace;
beforeEach(() => {
  place = makeWorkplace();
  configure();
});
afterEach(() => place.remove());

function configure(text = ""): void {
  writeFileSync(place.config, `load_balancer: { db_url: "sqlite:${place.database}" }\n${text}`);
}

async function add(...rows: NewRow[]): Promise<void> {
  const store = await openStore(`sqlite:${place.database}`, { table: "load_balancer" });
  await store.import(rows);
  await store.close();
}

interface Told {
  configuration: string;
  usable: boolean;
  errors: number;
  notices: number;
  summary: string[];
  findings: Finding[];
}

async function told(): Promise<Told> {
  const { printed, complained, exitCode } = await runCommand(register, "check", "--json", "--config", place.config);
  assert.deepEqual(complained, []);
  const result: Told = JSON.parse(printed.join("\n"));
  assert.equal(exitCode, result.usable ? 0 : 1);
  for (const { text, hint } of result.findings) assert.ok(hint.length > 10 && !GENERAL.test(hint), `no hint for: ${text}`);
  return result;
}

/** The findings of a look at the machine, at this time. */
function onMachine(nowMs = Date.now()): readonly Finding[] {
  const findings = new Findings(place.config);
  checkMachine(loadConfig(place.config, {}), findings, nowMs);
  return findings.all;
}

/** What of a row makes no difference here. */
function placed(id: number): Pick<DestinationRow, "id" | "uri" | "addresses" | "probeMode" | "attrs" | "description"> {
  const uri = `sip:gw${id}.example:5060`;
  return {
    id,
    uri,
    addresses: [{ ip: "192.0.2.1", port: 5060, transport: "udp" }],
    probeMode: 0,
    attrs: undefined,
    description: undefined,
  };
}

describe("headroom check --json", () => {
  it("gives each finding with its severity, its place in the file and a hint", async () => {
    writeFileSync(place.config, "sip: { workers: 0 }\n");
    const { configuration, usable, errors, notices, findings } = await told();
    assert.deepEqual([configuration, usable, errors, notices], [place.config, false, 1, 0]);
    const [{ text, ...finding } = { text: "" }] = findings;
    assert.match(text, /^sip\.workers: found 0, want/);
    assert.deepEqual(finding, {
      severity: "error",
      place: { file: place.config, line: 1, column: 17 },
      hint: "docs/configuration.md has the values of sip.workers",
    });
  });

  it("gives the row of a table, and how to mend it", async () => {
    await add(
      { dst_uri: "sip:192.0.2.1", resources: "pstn=1", group_id: 1 },
      { dst_uri: "sip:192.0.2.2", resources: "pstn=2", group_id: 1 },
    );
    execFileSync(process.execPath, [
      ...["-e", "new (require(process.argv[1]))(process.argv[2]).exec(\"UPDATE load_balancer SET resources = 'x' WHERE id = 2\")"],
      ...[resolve(import.meta.dirname, "../../node_modules/better-sqlite3"), place.database],
    ]);
    const { summary, findings } = await told();
    assert.deepEqual(summary, ['1 of 2 destinations of table "load_balancer" can be used']);
    const [finding] = findings.filter(({ severity }) => severity === "error");
    assert.deepEqual(finding?.place, { table: "load_balancer", row: 2 });
    assert.match(finding?.hint ?? "", /^headroom destinations update 2 --resources "NAME=NUMBER" mends it/);
  });

  it("has nothing to say of what is right", async () => {
    await add({ dst_uri: "sip:192.0.2.1", resources: "pstn=1", group_id: 1 });
    const { usable, findings } = await told();
    assert.deepEqual([usable, findings], [true, []]);
  });
});

describe("headroom check on the table", () => {
  const texts = async () => (await told()).findings.map(({ text }) => text);

  it("says which destinations stand there twice", async () => {
    const row = { dst_uri: "sip:192.0.2.1", resources: "pstn=1", group_id: 1 };
    await add(row, { ...row, dst_uri: "SIP:192.0.2.1" }, { ...row, group_id: 2 });
    assert.deepEqual(await texts(), ['Group 1 has "sip:192.0.2.1" more than once: destinations 1, 2']);
  });

  it("does not mind rows that count their calls together", async () => {
    const row = { dst_uri: "sip:192.0.2.1", resources: "pstn=1", group_id: 1 };
    await add({ ...row, attrs: "shared=a" }, { ...row, attrs: "shared=a;weight=2" });
    assert.deepEqual(await texts(), []);
    await add({ ...row, attrs: "shared=b" });
    assert.deepEqual(await texts(), ['Group 1 has "sip:192.0.2.1" more than once: destinations 1, 2, 3']);
  });

  it("looks through a large table in one go", async () => {
    const rows = Array.from({ length: 40_000 }, (_, i) => ({ ...placed(i), group: 1, resources: [{ name: "fax", capacity: 1 }] }));
    const findings = new Findings(place.config);
    const startMs = performance.now();
    checkRows(rows, loadConfig(place.config, {}), findings);
    assert.deepEqual(
      findings.all.map(({ text }) => text),
      ['Resource "fax" is asked for by no rule: destinations 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 39990 more have it'],
    );
    assert.ok(performance.now() - startMs < 2_000, "a copy of all rows for each row"); // that takes ten times as long
  });

  it("says which resources no rule asks for, unless a route module may", async () => {
    await add({ dst_uri: "sip:192.0.2.1", resources: "pstn=1;conf=2", group_id: 1 });
    assert.deepEqual(await texts(), ['Resource "conf" is asked for by no rule: destination 1 has it']);
    writeFileSync(place.path("route.ts"), "export function request() {}\n");
    configure(`routing: { script: "${place.path("route.ts")}" }\n`);
    assert.ok(!(await texts()).some((text) => text.includes('"conf"')));
  });

  it("says which destinations no socket can send to", async () => {
    const row = { resources: "pstn=1", group_id: 1 };
    await add(
      { ...row, dst_uri: "sip:192.0.2.1;transport=tcp", probe_mode: 2 },
      { ...row, dst_uri: "sip:[2001:db8::1]" },
      { ...row, dst_uri: "sip:192.0.2.1" },
    );
    assert.deepEqual(await texts(), [
      "Destination 1 gets no calls and no probes: nothing in sip.listen sends tcp over IPv4",
      "Destination 2 gets no calls: nothing in sip.listen sends udp over IPv6",
    ]);
    configure('sip: { listen: ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060", "udp:[::]:5060"] }\n');
    assert.deepEqual(
      (await texts()).filter((text) => text.includes("sip.listen sends")),
      [],
    );
  });
});

describe("headroom check on management", () => {
  it("tells of tokens that are easily found, without showing them, and of what anybody can read on the way", async () => {
    configure(
      'mi_http: { listen: "0.0.0.0:8888", auth: { bearer_tokens: [short-one], tokens: [{ name: a, token: changeme-changeme-1 }, { name: b, token: 8f14e45fceea167a5a36dedd }, { name: c, token: headroom-8f14e45fceea167a }] } }\n',
    );
    const { findings } = await told();
    assert.deepEqual(
      findings.flatMap(({ text, place: at }) => (text.startsWith("mi_http") ? [[at?.line, text]] : [])),
      [
        [2, "mi_http.listen 0.0.0.0:8888 is reached by others without encryption: tokens and answers can be read on the way"],
        [2, "mi_http.auth.bearer_tokens[0] has 9 characters: want at least 16, as it can be tried from far away"],
        [2, "mi_http.auth.tokens[0].token is a token that others know or try first"],
      ],
    );
    assert.doesNotMatch(JSON.stringify(findings), /short-one|changeme/);
  });
});

describe("headroom check on the machine", () => {
  const secure = (certificate: string, key: string) => {
    configure(
      `sip: { listen: ["udp:0.0.0.0:5060", "tls:0.0.0.0:5061"], connections: { max: 1 }, tls: { certificate: "${certificate}", private_key: "${key}" } }\n`,
    );
    return onMachine;
  };

  it("says when a certificate ends within 30 days, has ended, or is not valid yet", () => {
    const look = secure(`${TLS}/proxy.pem`, `${TLS}/proxy.key`);
    assert.deepEqual(look(), []);
    const end = Date.parse(
      execFileSync("openssl", ["x509", "-in", `${TLS}/proxy.pem`, "-noout", "-enddate"], { encoding: "utf8" })
        .trim()
        .replace("notAfter=", ""),
    );
    const day = 86_400_000;
    const [soon] = look(end - 2.5 * day);
    assert.match(soon?.text ?? "", /^sip\.tls\.certificate: the certificate ends on \d{4}-\d\d-\d\d, in 2 days$/);
    assert.deepEqual([soon?.severity, soon?.place], ["notice", { file: `${TLS}/proxy.pem` }]);
    assert.match(look(end + day)[0]?.text ?? "", /the certificate has ended on/);
    assert.equal(look(end + day)[0]?.severity, "error");
    assert.match(look(0)[0]?.text ?? "", /the certificate holds from .* on$/);
    assert.match(soon?.hint ?? "", /^renew it/);
  });

  it("says when certificate and key are none, or do not belong together", () => {
    assert.match(secure(`${TLS}/proxy.pem`, `${TLS}/ca.pem`)()[0]?.text ?? "", /"[^"]*ca\.pem" is no private key in PEM/);
    assert.match(secure(place.config, `${TLS}/proxy.key`)()[0]?.text ?? "", /is no certificate in PEM$/);
    assert.match(
      secure("/nowhere/at/all", `${TLS}/proxy.key`)()[0]?.text ?? "",
      /"\/nowhere\/at\/all" cannot be read: there is no such file/,
    );
    const other = place.path("other.key");
    execFileSync("openssl", ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", other], { stdio: "pipe" });
    assert.match(secure(`${TLS}/proxy.pem`, other)()[0]?.text ?? "", /other\.key" is not the private key of the certificate/);
  });

  it("says when there may be more connections than files", () => {
    configure('sip: { listen: ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"], connections: { max: 1000000 } }\n');
    const limits = execFileSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).trim();
    const told = onMachine().map(({ text }) => text);
    if (limits === "unlimited" || Number(limits) >= 1_000_200) assert.deepEqual(told, []);
    else
      assert.match(told.join(), /^A process may have \d+ files at a time here, sip\.connections\.max is 1000000: want at least 1000200$/);
  });

  it("says when calls cannot be kept, and when they come from a time that is still to come", () => {
    const database = place.path("none/headroom.db");
    writeFileSync(place.config, `load_balancer: { db_url: "sqlite:${database}" }\n`);
    const [missing] = onMachine();
    assert.match(missing?.text ?? "", /^The calls in ".*headroom\.db\.calls" cannot be kept: there is no folder/);
    assert.equal(missing?.severity, "error");
    mkdirSync(place.path("none"));
    assert.deepEqual(onMachine(), []);
    writeFileSync(`${database}.calls`, "");
    utimesSync(`${database}.calls`, new Date(), new Date(Date.now() + 3_600_000));
    const [future] = onMachine();
    assert.match(future?.text ?? "", /were written at a time that is still to come: \d{4}-/);
    assert.match(future?.hint ?? "", /^look at the clock of this machine, and whether the file is that of another one/);
    writeFileSync(place.config, `load_balancer: { db_url: "sqlite:${database}" }\ndialog: { persistence: "off" }\n`);
    assert.deepEqual(onMachine(), []);
  });
});

describe("hints", () => {
  it("name the key where nothing else is known, and always say something", () => {
    assert.equal(
      hintFor("routing.rules[0].max_failovers: found 900, want"),
      "docs/configuration.md has the values of routing.rules[].max_failovers",
    );
    assert.match(hintFor("something that nobody foresaw"), GENERAL);
  });
});
