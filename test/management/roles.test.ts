import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import type { AuditEntry } from "../../src/management/audit-trail.ts";
import { ManagementCounters } from "../../src/management/counters.ts";
import { createManagementServer, type ManagementServer } from "../../src/management/index.ts";
import { FAILED_LOGIN_BURST, TOLD_FORBIDDEN_BURST } from "../../src/management/limits.ts";
import { SECURITY_HEADERS } from "../../src/management/security-headers.ts";
import { type FakePorts, fakePorts } from "./fake-ports.ts";
import { post, type RawResponse, request } from "./raw-http.ts";

const TOKENS = [
  { name: "anna", token: "token-of-anna", role: "operator" },
  { name: "wall", token: "token-of-wall", role: "viewer" },
] as const;
const SERVER = { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: ["nameless-token"], tokens: TOKENS };

let ports: FakePorts;
let server: ManagementServer;
let changes: AuditEntry[];
before(async () => {
  changes = [];
  ports = fakePorts({
    changed: (entry) => void changes.push(entry),
    capture: async () => ({ messages: [], omitted: 0, oldest: undefined }),
    audit: async () => ({ calls: 0, durationMs: 0, differences: [], freeswitch: [] }),
    streams: { "/events": (_request, response) => void response.end("told") },
  });
  server = await createManagementServer(ports, SERVER);
});
after(() => server.close());
beforeEach(() => {
  changes.length = 0;
});

function ask(token: string, method: string, params: readonly unknown[] = [], path?: string): Promise<RawResponse> {
  const headers = [["Authorization", `Bearer ${token}`]] as const;
  const body = { jsonrpc: "2.0", id: 1, method, params };
  return post(path === undefined ? server.url : new URL(path, server.url).href, body, headers);
}

describe("a viewer", () => {
  it("may look at streams, such as those of events and of metrics", async () => {
    const headers = [["Authorization", "Bearer token-of-wall"]] as const;
    const { status, body } = await request(server.url, { method: "GET", path: "/events", headers });
    assert.deepEqual([status, body], [200, "told"]);
  });

  const allowed: [string, readonly unknown[]][] = [
    ["lb_list", []],
    ["lb_status", [1]],
    ["dlg_list", []],
    ["get_statistics", [["all"]]],
    ["which", []],
    ["audit_log", []],
  ];
  for (const [method, params] of allowed) {
    it(`may run ${method} with ${params.length} parameters`, async () => {
      const { status, body } = await ask("token-of-wall", method, params);
      assert.deepEqual([status, "result" in JSON.parse(body)], [200, true]);
      assert.deepEqual(changes, []);
    });
  }

  const denied: [string, readonly unknown[]][] = [
    ["lb_status", [1, 0]],
    ["lb_resize", [1, "transcoding", 1]],
    ["lb_reload", []],
    ["reset_statistics", [["all"]]],
    ["lb_audit", []],
    ["capture", ["a call"]],
  ];
  for (const [method, params] of denied) {
    it(`may not run ${method} with ${params.length} parameters`, async () => {
      const { status, body } = await ask("token-of-wall", method, params);
      assert.deepEqual([status, JSON.parse(body).error.code], [200, 403]);
      assert.match(body, /Cannot run \S+ as viewer \\"wall\\": want the token of an operator/);
      assert.equal(changes.at(-1)?.outcome, "forbidden");
      assert.match((await ask("token-of-wall", "lb_status", [1])).body, /"enable":"yes"/);
    });
  }

  it("is answered 403 by the status too where Kamailio's clients ask", async () => {
    assert.equal((await ask("token-of-wall", "lb_reload", [], "/RPC")).status, 403);
  });

  it("is refused within a batch and as a notification", async () => {
    const off = { jsonrpc: "2.0", method: "lb_status", params: [1, 0] };
    const headers = [["Authorization", "Bearer token-of-wall"]] as const;
    const { body } = await post(server.url, [off, { ...off, id: 1 }, { jsonrpc: "2.0", method: "lb_status", params: [1], id: 2 }], headers);
    assert.match(body, /"code":403.*"enable":"yes"/);
  });

  it("cannot fill the log, the events and the audit list with what is refused", async () => {
    const counters = new ManagementCounters();
    const told: AuditEntry[] = [];
    const flooded = fakePorts({ counters, changed: (entry) => void told.push(entry) });
    const other = await createManagementServer(flooded, SERVER);
    const batch = Array.from({ length: 100 }, (_, id) => ({ jsonrpc: "2.0", id, method: "lb_reload" }));
    try {
      await post(other.url, batch, [["Authorization", "Bearer token-of-wall"]]);
      assert.equal(counters.changes_forbidden, 100);
      assert.ok(told.length >= TOLD_FORBIDDEN_BURST && told.length < 50);
      assert.equal(flooded.logged.length, told.length);
    } finally {
      await other.close();
    }
  });

  it("reads the events", async () => {
    const { status, headers } = await request(server.url, {
      method: "GET",
      path: "/events",
      headers: [["Authorization", "Bearer token-of-wall"]],
    });
    assert.equal(status, 200);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) assert.equal(headers.get(name), value);
  });
});

describe("an operator's change", () => {
  it("is told with who and what, never with the token, and stands in the audit list", async () => {
    await ask("token-of-anna", "lb_resize", [3, "conference", 9]);
    await ask("token-of-anna", "lb_resize", [3, "nothing", 9]);
    await ask("nameless-token", "lb_reload");
    const entries = JSON.parse((await ask("token-of-wall", "audit_log", ["3"])).body).result.Changes;
    const [done, failed, nameless] = entries;
    assert.deepEqual(done, {
      serial: done.serial,
      by: "anna",
      client: "127.0.0.1",
      method: "load_balancer:resize",
      params: '[3,"conference",9]',
      outcome: "done",
      at: "2026-11-21T23:44:08.000Z",
    });
    assert.deepEqual([failed.outcome, failed.reason], ["failed", "Destination has no such resource"]);
    assert.deepEqual([nameless.by, nameless.method], ["bearer_tokens[0]", "load_balancer:reload"]);
    assert.deepEqual(
      changes.map(({ outcome }) => outcome),
      ["done", "failed", "done"],
    );
    const line = ports.logged.find(({ message }) => message === "management method done");
    assert.deepEqual([line?.level, line?.fields["by"]], ["info", "anna"]);
    for (const text of [JSON.stringify(entries), JSON.stringify(ports.logged)]) assert.doesNotMatch(text, /token-of|nameless-token/);
  });

  it("may have parameters that are nested without measure: they are not kept", async () => {
    const nested = `${"[".repeat(25_000)}${"]".repeat(25_000)}`;
    const body = `{"jsonrpc":"2.0","id":1,"method":"lb_resize","params":[1,"transcoding",${nested}]}`;
    const answer = await post(server.url, body, [["Authorization", "Bearer token-of-anna"]]);
    assert.equal(JSON.parse(answer.body).error.code, -32602);
    assert.ok((changes.at(-1)?.params.length ?? Infinity) < 300);
  });
});

describe("while another process takes over", () => {
  it("it is told who asks and from where, and a viewer is refused before", async () => {
    const told: object[] = [];
    const ports = fakePorts({
      elsewhere: async (method, params, { name, client }) => {
        told.push({ method, params, name, client });
        return { result: "OK" };
      },
    });
    const leaving = await createManagementServer(ports, SERVER);
    try {
      for (const token of ["token-of-wall", "token-of-anna"])
        await post(leaving.url, { jsonrpc: "2.0", id: 1, method: "lb_status", params: [1, 0] }, [["Authorization", `Bearer ${token}`]]);
      assert.deepEqual(told, [{ method: "lb_status", params: [1, 0], name: "anna", client: "127.0.0.1" }]);
    } finally {
      await leaving.close();
    }
  });
});

describe("what becomes of requests", () => {
  it("is counted: let in, refused by reason, and changes by outcome", async () => {
    const counters = new ManagementCounters();
    const counted = await createManagementServer(fakePorts({ counters }), SERVER);
    async function send(token: string, method: string, more: readonly (readonly [string, string])[] = []): Promise<void> {
      await post(counted.url, { jsonrpc: "2.0", id: 1, method, params: [] }, [["Authorization", token], ...more]);
    }
    try {
      await send("Bearer token-of-anna", "lb_reload");
      await send("Bearer token-of-anna", "lb_resize");
      await send("Bearer token-of-wall", "lb_reload");
      await send("Bearer token-of-wall", "lb_list");
      const asBrowser = `Basic ${Buffer.from("anna:token-of-anna").toString("base64")}`;
      await send(asBrowser, "lb_list", [["Origin", "http://evil.example"]]);
      for (let i = 0; i < FAILED_LOGIN_BURST + 2; i++) await send("Bearer guess", "lb_list");
      assert.deepEqual(
        { ...counters },
        {
          ...{ requests: 4, unauthorized: FAILED_LOGIN_BURST, forbidden: 1, too_many: 2 },
          ...{ changes_done: 1, changes_failed: 0, changes_forbidden: 1 },
        },
      );
    } finally {
      await counted.close();
    }
  });
});

describe("a token", () => {
  const version = '{"jsonrpc":"2.0","id":1,"method":"version"}';
  const type = ["Content-Type", "application/json"] as const;
  const basic = ["Authorization", `Basic ${Buffer.from("anna:token-of-anna").toString("base64")}`] as const;

  it("may stand in the URL of a command, as opensips-cli needs it, and of nothing else", async () => {
    const path = "/mi?access_token=token-of-wall";
    assert.equal((await request(server.url, { path, headers: [type], body: version })).status, 200);
    assert.equal((await request(server.url, { method: "GET", path: "/events?access_token=token-of-wall" })).status, 401);
  });

  it("that a browser sends by itself counts on our own pages only", async () => {
    const { host } = new URL(server.url);
    const ask = async (...headers: (readonly [string, string])[]) =>
      (await request(server.url, { headers: [type, basic, ...headers], body: version })).status;
    assert.equal(await ask(), 200);
    assert.equal(await ask(["Origin", `http://${host}`]), 200);
    assert.equal(await ask(["Sec-Fetch-Site", "same-origin"]), 200);
    assert.equal(await ask(["Origin", "http://evil.example"]), 403);
    assert.equal(await ask(["Origin", "null"]), 403);
    assert.equal(await ask(["Sec-Fetch-Site", "cross-site"]), 403);
  });

  it("is asked for in a way that a browser shows a person, for a GET only", async () => {
    const got = await request(server.url, { method: "GET", path: "/events" });
    assert.match(got.headers.get("www-authenticate") ?? "", /Bearer .*Basic /);
    const posted = await request(server.url, { headers: [type], body: version });
    assert.doesNotMatch(posted.headers.get("www-authenticate") ?? "", /Basic/);
  });
});

describe("every answer", () => {
  const cases: [string, Parameters<typeof request>[1]][] = [
    ["to a command without a token", { body: "{}" }],
    ["to GET", { method: "GET", path: "/mi" }],
    ["to an unknown path", { method: "GET", path: "/nothing" }],
    ["to a path that is none", { method: "GET", path: "/%" }],
  ];
  for (const [name, options] of cases) {
    it(`${name} has the headers that keep browsers from harm`, async () => {
      const { headers } = await request(server.url, options);
      for (const [header, value] of Object.entries(SECURITY_HEADERS)) assert.equal(headers.get(header), value, header);
    });
  }
});

describe("limits of one client", () => {
  it("are 429 with Retry-After", async () => {
    const limited = await createManagementServer(fakePorts(), { ...SERVER, bearerTokens: [], tokens: [], requestsPerSecond: 1 });
    try {
      const answers = await Promise.all([1, 2, 3, 4, 5].map((id) => post(limited.url, { jsonrpc: "2.0", id, method: "pwd" })));
      const refused = answers.filter(({ status }) => status === 429);
      assert.ok(refused.length >= 2);
      assert.equal(refused[0]?.headers.get("retry-after"), "1");
    } finally {
      await limited.close();
    }
  });

  it("hold for paths that are none and for methods of HTTP that are not answered, too", async () => {
    const limited = await createManagementServer(fakePorts(), { ...SERVER, requestsPerSecond: 1 });
    try {
      for (const options of [{ path: "/nothing" }, { method: "PUT" }]) {
        const answers = await Promise.all([1, 2, 3, 4, 5].map(() => request(limited.url, options)));
        assert.ok(answers.some(({ status }) => status === 429));
      }
    } finally {
      await limited.close();
    }
  });

  it("keep nobody out whose token was right there before, whatever the others send", async () => {
    const limited = await createManagementServer(fakePorts(), { ...SERVER, requestsPerSecond: 5 });
    const statusOf = async (headers: readonly (readonly [string, string])[]) =>
      (await post(limited.url, { jsonrpc: "2.0", id: 1, method: "pwd" }, headers)).status;
    const anna = [["Authorization", "Bearer token-of-anna"]] as const;
    try {
      assert.equal(await statusOf(anna), 200);
      const strangers = await Promise.all(Array.from({ length: 30 }, () => statusOf([])));
      assert.ok(strangers.includes(429));
      assert.equal(await statusOf(anna), 200);
    } finally {
      await limited.close();
    }
  });

  it("keep who guesses from trying, and nobody out whose token was right there before", async () => {
    const guarded = fakePorts();
    const other = await createManagementServer(guarded, SERVER);
    const statusOf = async (token: string) =>
      (await post(other.url, { jsonrpc: "2.0", id: 1, method: "pwd" }, [["Authorization", `Bearer ${token}`]])).status;
    try {
      assert.equal(await statusOf("token-of-anna"), 200);
      for (let i = 0; i < FAILED_LOGIN_BURST; i++) assert.equal(await statusOf(`guess-${i}`), 401);
      assert.equal(await statusOf("guess"), 429);
      assert.equal(await statusOf("token-of-wall"), 429);
      assert.equal(await statusOf("token-of-anna"), 200);
      assert.equal(
        guarded.logged.filter(({ message }) => message === "management was asked with a wrong token").length,
        FAILED_LOGIN_BURST,
      );
    } finally {
      await other.close();
    }
  });
});
