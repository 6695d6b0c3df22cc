import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Command } from "commander";
import { CallLoad } from "../../src/balancer/index.ts";
import { type ExitCode, readParams, register, runMi } from "../../src/cli/mi.ts";
import { formatResult } from "../../src/cli/mi-format.ts";
import { createManagementServer, type ManagementServer } from "../../src/management/index.ts";
import { type FakePorts, fakeDialog, fakePorts } from "../management/fake-ports.ts";

interface Run {
  readonly code: ExitCode;
  readonly out: string;
  readonly error: string;
}

async function run(url: string, words: readonly string[], options: { json?: boolean; token?: string } = {}): Promise<Run> {
  const [method, ...params] = words;
  const out: string[] = [];
  const error: string[] = [];
  const output = { out: (text: string) => void out.push(`${text}\n`), error: (text: string) => void error.push(`${text}\n`) };
  const code = await runMi(method, params, { url, json: false, ...options }, output);
  return { code, out: out.join(""), error: error.join("") };
}

describe("headroom mi", () => {
  let ports: FakePorts;
  let server: ManagementServer;
  beforeEach(async () => {
    ports = fakePorts();
    server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
  });
  afterEach(() => server.close());

  it("prints lb_list as a table", async () => {
    const load = new CallLoad();
    ports.balancer.start(load, 1, "transcoding");
    ports.balancer.setStatus(3, false, "mi");
    assert.deepEqual(await run(server.url, ["lb_list"]), {
      code: 0,
      error: "",
      out: [
        "ID  Group  URI                  Resources                        Status    Auto re-enable  Attributes\n",
        "1   1      sip:127.0.0.21:5080  transcoding=0/10 conference=0/5  enabled   on              id=1\n",
        "2   1      sip:127.0.0.22:5080  transcoding=1/20                 enabled   on              id=2\n",
        "3   2      sip:127.0.0.23:5080  conference=0/7                   disabled  off\n",
      ].join(""),
    });
  });

  it("prints dlg_find as a table, and how many more there are", async () => {
    const { cell } = ports.balancer.destination(2)!.resources[0]!;
    for (let i = 0; i < 3; i++) ports.calls.push(fakeDialog(`d${i}`, `call-${i}`, [cell], i === 2 ? { state: 2, startedAtMs: 0 } : {}));
    assert.deepEqual(await run(server.url, ["dlg_find", "call", "2"]), {
      code: 0,
      error: "",
      out: [
        "Call-ID  From                   To                   State  Up since              Destinations\n",
        "call-2   sip:alice@example.org  sip:bob@example.org  rings  -                     2 sip:127.0.0.22:5080 (transcoding)\n",
        "call-1   sip:alice@example.org  sip:bob@example.org  up     2026-11-21T23:43:00Z  2 sip:127.0.0.22:5080 (transcoding)\n",
        "1 more match: want a longer text, or a number up to 100 behind it\n",
      ].join(""),
    });
    assert.equal((await run(server.url, ["dlg_find", "nobody"])).out, "No dialogs\n");
  });

  it("says what to do when the table is empty", async () => {
    ports.balancer.replaceTable([]);
    const { out } = await run(server.url, ["load_balancer:list"]);
    assert.equal(out, 'No destinations: add one with "headroom destinations add", then run "headroom mi lb_reload"\n');
  });

  it("keeps what may be a token in the address to itself", async () => {
    await server.close();
    const { code, error } = await run(`${server.url}?access_token=SECRET`, ["lb_list"]);
    assert.equal(code, 1);
    assert.doesNotMatch(error, /SECRET/);
    const refused = await run(server.url.replace("//", "//any:SECRET@"), ["lb_list"]);
    assert.equal(refused.code, 2);
    assert.match(refused.error, /with a name or password in it: give the token with --token/);
    assert.doesNotMatch(refused.error, /SECRET/);
  });

  it("prints JSON when asked", async () => {
    const { out } = await run(server.url, ["lb_status", "1"], { json: true });
    assert.equal(out, '{\n  "enable": "yes",\n  "attrs": "id=1"\n}\n');
  });

  it("sends parameters by position or by name", async () => {
    assert.deepEqual(await run(server.url, ["lb_resize", "1", "transcoding", "56"]), { code: 0, out: "OK\n", error: "" });
    assert.deepEqual(await run(server.url, ["lb_resize", "new_capacity=57", "destination_id=1", "res_name=transcoding"]), {
      code: 0,
      out: "OK\n",
      error: "",
    });
    assert.match((await run(server.url, ["lb_list"])).out, /transcoding=0\/57/);
  });

  it("prints what else there is as lines", async () => {
    ports.calls.push(fakeDialog("a1", "one@x", []));
    assert.equal(
      (await run(server.url, ["get_statistics", "dialog:", "received_replies"])).out,
      "dialog:active_dialogs: 3\ndialog:processed_dialogs: 17\ntm:received_replies: 40\n",
    );
    assert.match((await run(server.url, ["which"])).out, /^statistics:get\n[\s\S]*\nlb_status\n$/);
    assert.match((await run(server.url, ["dlg_list"])).out, /^Dialogs:\n {2}ID: a1\n[\s\S]* {2}CALLEES:\n {4}callee_tag: to-a1\n/);
    assert.match((await run(server.url, ["ps"])).out, /^ID {2}PID +Type\n0 {3}\d+ +SIP receiver udp:127\.0\.0\.1:5060\n$/);
  });

  it("tells an error of the balancer on stderr", async () => {
    assert.deepEqual(await run(server.url, ["lb_status", "99"]), {
      code: 1,
      out: "",
      error: "Cannot run lb_status: Destination ID not found (404)\n",
    });
    const { error } = await run(server.url, ["lb_status"]);
    assert.equal(error, "Cannot run lb_status: Invalid params (-32602): Too few or too many parameters\n");
  });

  it("gives a token, and says when one is wanted", async () => {
    const guarded = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: ["t"] });
    assert.equal((await run(guarded.url, ["pwd"], { token: "t" })).code, 0);
    for (const [options, wanted] of [
      [{}, "a bearer token"],
      [{ token: "u" }, "another bearer token"],
    ] as const) {
      const { code, error } = await run(guarded.url, ["pwd"], options);
      assert.deepEqual([code, error], [1, `Cannot run pwd: the balancer wants ${wanted}: give it with --token or HEADROOM_MI_TOKEN\n`]);
    }
    await guarded.close();
  });

  it("says what to do when nothing listens", async () => {
    await server.close();
    const { code, error } = await run(server.url, ["lb_list"]);
    const want = `Cannot run lb_list: nothing listens at ${server.url}: start the balancer with "headroom start", or say where it is with --url\n`;
    assert.deepEqual([code, error], [1, want]);
  });

  it("refuses bad usage with exit code 2", async () => {
    assert.equal((await run(server.url, [])).code, 2);
    for (const url of ["127.0.0.1:8888", "nonsense", "ftp://x/mi", ""]) {
      const { code, error } = await run(url, ["lb_list"]);
      assert.deepEqual([code, error], [2, `Cannot use --url "${url}": want an address such as http://127.0.0.1:8888/mi\n`]);
    }
  });

  it("is read from the command line, negative numbers included", async () => {
    const written: string[] = [];
    const { write } = process.stdout;
    process.stdout.write = ((text: string) => written.push(text) > 0) as typeof write;
    const before = process.exitCode;
    try {
      const program = new Command().exitOverride();
      register(program);
      await program.parseAsync(["node", "headroom", "mi", "lb_status", "2", "-1", "--url", server.url, "--json"]);
    } finally {
      process.stdout.write = write;
      process.exitCode = before;
    }
    assert.deepEqual(written, ['"OK"\n']);
  });
});

describe("headroom mi against something else", () => {
  const answers: { name: string; status: number; body: string; want: RegExp }[] = [
    {
      name: "a web page",
      status: 200,
      body: "<html>",
      want: /answered HTTP 200 without a JSON-RPC answer: is this the management interface\?/,
    },
    { name: "a wrong path", status: 400, body: "<html><body>Unable to parse URL!</body></html>", want: /answered HTTP 400 without/ },
    { name: "an empty answer", status: 202, body: "", want: /answered HTTP 202 without/ },
    { name: "a list", status: 200, body: "[]", want: /answered HTTP 200 without/ },
    { name: "an error that is no object", status: 200, body: '{"error":7}', want: /answered HTTP 200 without/ },
  ];
  for (const { name, status, body, want } of answers) {
    it(`reports ${name}`, async () => {
      const other: Server = createServer((_request, response) => response.writeHead(status, { connection: "close" }).end(body)).listen(
        0,
        "127.0.0.1",
      );
      await new Promise((resolve) => other.once("listening", resolve));
      const { code, error } = await run(`http://127.0.0.1:${(other.address() as AddressInfo).port}/mi`, ["lb_list"]);
      assert.equal(code, 1);
      assert.match(error, want);
      await new Promise((resolve) => other.close(resolve));
    });
  }
});

describe("parameters on the command line", () => {
  const cases: { words: string[]; method?: string; want: unknown }[] = [
    { words: [], want: [] },
    { words: ["1", "a=b"], want: ["1", "a=b"] },
    { words: ["callid=a=b@c"], want: { callid: "a=b@c" } },
    { words: ["sip:x;lr=1"], want: ["sip:x;lr=1"] },
    { words: ["__proto__=1"], want: ["__proto__=1"] },
    { words: ["all"], method: "get_statistics", want: [["all"]] },
    { words: ["dialog:", "tm:"], method: "statistics:get", want: [["dialog:", "tm:"]] },
    { words: ["statistics=dialog: tm:,x"], method: "reset_statistics", want: { statistics: ["dialog:", "tm:", "x"] } },
    { words: [], method: "list_statistics", want: [] },
  ];
  for (const { words, method = "m", want } of cases)
    it(`${method} ${words.join(" ")}`, () => assert.deepEqual(readParams(method, words), want));
});

describe("results as text", () => {
  const cases: { name: string; result: unknown; want: string }[] = [
    { name: "a text", result: "OK", want: "OK" },
    {
      name: "a text of several lines",
      result: "list: name=l\nnode: name=a\u001b weight=1\n",
      want: "list: name=l\nnode: name=a? weight=1",
    },
    { name: "an empty list", result: [], want: "" },
    { name: "an empty named list", result: { Dialogs: [] }, want: "No dialogs" },
    {
      name: "nested members",
      result: { Profile: { name: "lbXpstn", value: null, list: [] } },
      want: "Profile:\n  name: lbXpstn\n  value: -\n  list: none",
    },
    { name: "rows", result: { Profiles: [{ name: "a", "has value": true }] }, want: "name  has value\na     true" },
    { name: "rows that differ", result: { Rows: [{ a: 1 }, { b: 2 }] }, want: "Rows:\n  a: 1\n\n  b: 2" },
    { name: "terminal control", result: { attrs: "\u001b]0;x\u0007\u009b2J" }, want: "attrs: ?]0;x??2J" },
    {
      name: "destinations of another shape",
      result: { Destinations: [{ id: 1 }, 5] },
      want: "ID  Group  URI  Resources  Status    Auto re-enable  Attributes\n1                          disabled",
    },
  ];
  for (const { name, result, want } of cases) it(name, () => assert.equal(formatResult(result), want));
});
