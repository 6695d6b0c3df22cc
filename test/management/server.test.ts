import assert from "node:assert/strict";
import { createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { after, before, describe, it } from "node:test";
import { isForeignHost, isLoopback } from "../../src/management/access.ts";
import { createManagementServer, type ManagementConfig, type ManagementPorts, type ManagementServer } from "../../src/management/index.ts";
import { MAX_BATCH, MAX_BODY_BYTES } from "../../src/management/limits.ts";
import { type FakePorts, fakePorts } from "./fake-ports.ts";
import { call, parseResponse, post, request, sendRaw } from "./raw-http.ts";

const CONFIG: ManagementConfig = { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] };
const JSON_TYPE = ["Content-Type", "application/json"] as const;

/** Runs `use` with a server of its own. */
async function withServer(
  ports: ManagementPorts,
  config: Partial<ManagementConfig>,
  use: (server: ManagementServer) => Promise<void>,
): Promise<void> {
  const server = await createManagementServer(ports, { ...CONFIG, ...config });
  try {
    await use(server);
  } finally {
    await server.close();
  }
}

describe("a request", () => {
  let ports: FakePorts;
  let server: ManagementServer;
  before(async () => {
    ports = fakePorts();
    server = await createManagementServer(ports, CONFIG);
  });
  after(() => server.close());

  it("answers a notification with 202 and nothing, after it ran", async () => {
    const answer = await post(server.url, { jsonrpc: "2.0", method: "lb_status", params: [2, 0] });
    assert.deepEqual([answer.status, answer.body, answer.headers.get("content-length")], [202, "", "0"]);
    assert.deepEqual(await call(server.url, "lb_status", [2]), { enable: "no", attrs: "id=2" });
    ports.balancer.setStatus(2, true, "mi");
  });

  it("answers a batch of notifications with 202 and nothing", async () => {
    const answer = await post(server.url, [
      { jsonrpc: "2.0", method: "lb_list" },
      { jsonrpc: "2.0", method: "nosuch" },
    ]);
    assert.deepEqual([answer.status, answer.body], [202, ""]);
  });

  it("runs a batch in its order", async () => {
    const resize = { jsonrpc: "2.0", method: "lb_resize", params: [3, "conference", 70], id: 1 };
    const { body } = await post(server.url, [
      resize,
      { jsonrpc: "2.0", method: "lb_list", id: 2 },
      { ...resize, params: [3, "conference", 7] },
    ]);
    assert.match(body, /^\[\{"jsonrpc":"2.0","result":"OK","id":1\},.*"max":70,.*,\{"jsonrpc":"2.0","result":"OK","id":1\}\]$/);
  });

  it("refuses a batch that is too long, and runs nothing of it", async () => {
    const disable = { jsonrpc: "2.0", method: "lb_status", params: [1, 0], id: 1 };
    const { body } = await post(server.url, Array(MAX_BATCH + 1).fill(disable));
    assert.match(
      body,
      /^\{"jsonrpc":"2.0","error":\{"code":-32600,"message":"Invalid Request","data":"Cannot run a batch of 101 requests: at most 100 are accepted"\},"id":null\}$/,
    );
    assert.deepEqual(await call(server.url, "lb_status", [1]), { enable: "yes", attrs: "id=1" });
  });

  it("refuses a body that is too long", async () => {
    const { status, body } = await post(server.url, " ".repeat(MAX_BODY_BYTES + 1));
    assert.equal(status, 413);
    assert.match(body, /Cannot read a body of more than 65536 bytes/);
    const chunked = await request(server.url, {
      headers: [JSON_TYPE, ["Transfer-Encoding", "chunked"]],
      body: " ".repeat(MAX_BODY_BYTES + 1),
    });
    assert.equal(chunked.status, 413);
  });

  const unparsable: [string, string | Buffer][] = [
    ["deep nesting that never ends", "[".repeat(MAX_BODY_BYTES)],
    ["a cut string", '{"jsonrpc":"2.0","method":"lb_l'],
    ["comments", '{"jsonrpc":"2.0",/* x */"method":"lb_list","id":1}'],
    ["a NUL at the end", '{"jsonrpc":"2.0","method":"lb_list","id":1}\0'],
    ["bytes that are no UTF-8", Buffer.from('{"jsonrpc":"2.0","method":"\xff\xfe","id":1}', "latin1")],
    ["white space only", " \r\n"],
  ];
  for (const [name, body] of unparsable) {
    it(`answers -32700 to ${name}`, async () => {
      const head = `POST /mi HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
      const answer = parseResponse(await sendRaw(server.url, Buffer.concat([Buffer.from(head), Buffer.from(body)])));
      assert.deepEqual([answer.status, answer.body], [200, '{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}']);
    });
  }

  const hostile: [string, string, number][] = [
    ["deep nesting", `${"[".repeat(30_000)}${"]".repeat(30_000)}`, -32600],
    [
      "deep nesting in a parameter",
      `{"jsonrpc":"2.0","method":"lb_status","id":1,"params":[${"[".repeat(20_000)}${"]".repeat(20_000)}]}`,
      -32602,
    ],
    ["__proto__ as the request", '{"__proto__":{"jsonrpc":"2.0","method":"lb_list","id":1}}', -32600],
    ["__proto__ as the parameters", '{"jsonrpc":"2.0","method":"lb_status","id":1,"params":{"__proto__":{"destination_id":1}}}', -32602],
    ["__proto__ as the method", '{"jsonrpc":"2.0","method":"__proto__","id":1}', -32601],
    ["constructor as the method", '{"jsonrpc":"2.0","method":"constructor","id":1}', -32601],
    ["a method of 60,000 characters", `{"jsonrpc":"2.0","method":"${"m".repeat(60_000)}","id":1}`, -32601],
    ["a number beyond all bounds", '{"jsonrpc":"2.0","method":"lb_status","id":1e999,"params":[1e999]}', 404],
    ["a resource that is __proto__", '{"jsonrpc":"2.0","method":"lb_resize","id":1,"params":[1,"__proto__",1]}', 404],
  ];
  for (const [name, body, code] of hostile) {
    it(`answers ${code} to ${name}`, async () => {
      const answer = JSON.parse((await post(server.url, body)).body);
      assert.equal((Array.isArray(answer) ? answer[0] : answer).error.code, code);
      assert.equal(Object.getPrototypeOf({}).jsonrpc, undefined);
    });
  }

  it("echoes a huge string id, and a BOM does no harm", async () => {
    const id = "i".repeat(50_000);
    const { body } = await post(server.url, `\uFEFF{"jsonrpc":"2.0","method":"core:pwd","id":"${id}"}`);
    assert.equal(JSON.parse(body).id, id);
  });

  it("takes white space around, and other members", async () => {
    const { body } = await post(server.url, '\r\n {"jsonrpc":"2.0","method":"lb_status","params":["3"],"id":"a","x":[]} \n');
    assert.equal(body, '{"jsonrpc":"2.0","result":{"enable":"yes"},"id":"a"}');
  });

  const types: [string, number][] = [
    ["application/json", 200],
    ["Application/JSON ; charset=UTF-8", 200],
    ["text/plain", 415],
    ["application/xml", 415],
    ["multipart/form-data; boundary=x", 415],
    ["application/jsonp", 415],
    ["nonsense", 415],
    ["application/x-www-form-urlencoded", 400],
  ];
  for (const [type, status] of types) {
    it(`answers ${status} to Content-Type ${type}`, async () => {
      const answer = await request(server.url, { headers: [["Content-Type", type]], body: '{"jsonrpc":"2.0","method":"pwd","id":1}' });
      assert.equal(answer.status, status);
    });
  }

  const paths: [string, string, number][] = [
    ["POST", "/mi", 200],
    ["POST", "/mi/any/thing?x=%zz", 200],
    ["POST", "/mix", 400],
    ["POST", "/", 400],
    ["POST", "/%", 400],
    ["POST", "/../etc/passwd", 400],
    ["GET", "/mi", 405],
    ["GET", "/mi/x", 405],
    ["PATCH", "/mi", 406],
    ["PROPFIND", "/mi", 406],
    ["TRACE", "/mi", 406],
  ];
  for (const [method, path, status] of paths) {
    it(`answers ${status} to ${method} ${path}`, async () => {
      const answer = await request(server.url, { method, path, headers: [JSON_TYPE], body: '{"jsonrpc":"2.0","method":"pwd","id":1}' });
      assert.equal(answer.status, status);
      if (status === 405 || status === 406) assert.equal(answer.headers.get("allow"), "POST");
    });
  }

  it("answers 400 to what is no HTTP, and goes on", async () => {
    for (const bytes of [
      "INVITE sip:x@y SIP/2.0\r\n\r\n",
      "\0\0\0\0\r\n\r\n",
      "POST /mi HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
      "POST /mi HTTP/9.9\r\n\r\n",
    ]) {
      assert.match(await sendRaw(server.url, bytes), /^HTTP\/1\.1 4\d\d /);
    }
    assert.equal((await post(server.url, { jsonrpc: "2.0", method: "pwd", id: 1 })).status, 200);
  });

  it("is refused when a web page of somebody else sent it", async () => {
    const body = { jsonrpc: "2.0", method: "lb_status", params: [1, 0], id: 1 };
    for (const origin of ["http://evil.example", "null", "http://127.0.0.1.evil.example"]) {
      const answer = await post(server.url, body, [["Origin", origin]]);
      assert.deepEqual([answer.status, JSON.parse(answer.body).error.code], [403, 403]);
    }
    assert.deepEqual(await call(server.url, "lb_status", [1]), { enable: "yes", attrs: "id=1" });
    assert.equal((await post(server.url, { ...body, method: "pwd", params: [] }, [["Origin", server.url]])).status, 200);
  });
});

describe("without tokens, the Host of a request", () => {
  const hosts: [string | undefined, boolean][] = [
    [undefined, false],
    ["localhost", false],
    ["LOCALHOST:8888", false],
    ["127.0.0.1:8888", false],
    ["127.1.2.3", false],
    ["[::1]:8888", false],
    ["[::ffff:127.0.0.1]", false],
    ["mi.lan:8888", false],
    ["", true],
    ["evil.example", true],
    ["evil.example:8888", true],
    ["localhost.evil.example", true],
    ["127.0.0.1.evil.example:8888", true],
    ["evil.example@127.0.0.1", true],
    ["127.0.0.1/evil.example", true],
    ["192.0.2.1:8888", true],
    ["0.0.0.0:8888", true],
    ["[2001:db8::1]", true],
    ["not a host", true],
  ];
  for (const [host, foreign] of hosts) {
    it(`${foreign ? "must not be" : "may be"} ${host === undefined ? "left out" : `"${host}"`}`, () => {
      assert.equal(isForeignHost(host, "mi.lan"), foreign);
    });
  }

  it("keeps a page whose name leads here from every path, whatever the verb; with a token it may", async () => {
    const body = '{"jsonrpc":"2.0","id":1,"method":"version"}';
    const ports = fakePorts({ streams: { "/events": (_request, response) => void response.end("told") } });
    const ask = async (url: string, host: string, head: string, rest: string): Promise<number> => {
      const type = "Connection: close\r\nContent-Type: application/json\r\n";
      return parseResponse(await sendRaw(url, `${head} HTTP/1.1\r\nHost: ${host}\r\n${type}${rest}`)).status;
    };
    const posted = `Content-Length: ${body.length}\r\n\r\n${body}`;
    const authorized = "Authorization: Bearer secret\r\n";
    await withServer(ports, {}, async ({ url }) => {
      for (const [host, status] of [
        ["evil.example", 403],
        ["localhost:1", 200],
      ] as const) {
        assert.equal(await ask(url, host, "GET /events", "\r\n"), status);
        assert.equal(await ask(url, host, "POST /mi", posted), status);
        assert.equal(await ask(url, host, "POST /mi/any", posted), status);
      }
    });
    await withServer(ports, { bearerTokens: ["secret"] }, async ({ url }) => {
      assert.equal(await ask(url, "panel.example", "GET /events", `${authorized}\r\n`), 200);
      assert.equal(await ask(url, "panel.example", "GET /events", "\r\n"), 401);
    });
  });
});

describe("a method that fails", () => {
  it("is answered -32000, logged, and told nothing of its inside", async () => {
    const ports = fakePorts({ processes: () => assert.fail("secret detail") });
    await withServer(ports, {}, async ({ url }) => {
      await assert.rejects(call(url, "ps"), { code: -32000, message: "Server error", data: "Command failed, the log says why" });
      const { body } = await post(url, { jsonrpc: "2.0", method: "ps" });
      assert.equal(body, "");
      assert.equal(ports.logged.filter(({ level, fields }) => level === "error" && fields["method"] === "ps").length, 2);
      assert.equal(await call(url, "lb_reload"), "OK");
    });
  });

  it("is given up when it takes too long, its late failure is logged, and the rest of its batch is not run", async () => {
    const { promise, reject: fail } = Promise.withResolvers<void>();
    const ports = fakePorts({ reload: () => promise });
    await withServer(ports, { methodTimeoutMs: 30 }, async ({ url }) => {
      const disable = { jsonrpc: "2.0", method: "lb_status", params: [1, 0], id: 2 };
      const answers = JSON.parse((await post(url, [{ jsonrpc: "2.0", method: "lb_reload", id: 1 }, disable])).body);
      assert.deepEqual(
        answers.map(({ error }: { error: { code: number; data: string } }) => [error.code, error.data]),
        [
          [-32000, "No answer from load_balancer:reload within 30 ms: it may still finish"],
          [-32000, "Not run: the batch took longer than 30 ms"],
        ],
      );
      fail(new Error("too late"));
      await call(url, "pwd");
      assert.ok(ports.logged.some(({ message }) => message === "management method failed after its time was over"));
    });
  });
});

describe("bearer tokens", () => {
  const tokens = ["first-token", "second-token"];
  const asked: [string, readonly (readonly [string, string])[], number][] = [
    ["none", [], 401],
    ["a wrong one", [["Authorization", "Bearer wrong"]], 401],
    ["a part of one", [["Authorization", "Bearer first"]], 401],
    ["an empty one", [["Authorization", "Bearer "]], 401],
    ["Basic with a wrong one", [["Authorization", `Basic ${Buffer.from("x:first").toString("base64")}`]], 401],
    ["Basic, as browsers and curl -u send it", [["Authorization", `Basic ${Buffer.from("x:first-token").toString("base64")}`]], 200],
    ["the first", [["Authorization", "Bearer first-token"]], 200],
    ["the second, scheme in lower case", [["Authorization", "bearer  second-token"]], 200],
    [
      "a right one, from a page of any origin",
      [
        ["Authorization", "Bearer first-token"],
        ["Origin", "https://panel.example"],
      ],
      200,
    ],
  ];
  let server: ManagementServer;
  before(async () => {
    server = await createManagementServer(fakePorts(), { ...CONFIG, host: "0.0.0.0", bearerTokens: tokens });
  });
  after(() => server.close());

  for (const [name, headers, status] of asked) {
    it(`answers ${status} to ${name}`, async () => {
      const answer = await post(server.url, { jsonrpc: "2.0", method: "pwd", id: 1 }, headers);
      assert.equal(answer.status, status);
      assert.equal(answer.headers.has("www-authenticate"), status === 401);
      if (status === 401) assert.equal(JSON.parse(answer.body).error.message, "Unauthorized");
    });
  }

  it("are judged before the body is read", async () => {
    const answer = parseResponse(
      await sendRaw(server.url, "POST /mi HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"),
    );
    assert.equal(answer.status, 401);
  });

  it("are wanted where others can reach us", async () => {
    await assert.rejects(createManagementServer(fakePorts(), { ...CONFIG, host: "0.0.0.0" }), {
      message: "Cannot open management on 0.0.0.0:0: an address that is not loopback wants at least one bearer token",
    });
  });
});

describe("listening", () => {
  it("says which address is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    await assert.rejects(
      createManagementServer(fakePorts(), { ...CONFIG, port }),
      new RegExp(
        `^Error: Cannot open management on 127.0.0.1:${port}: another program uses this address and port; stop it, or change mi_http.listen$`,
      ),
    );
    await new Promise((resolve) => other.close(resolve));
  });

  it("serves another root, no root, and IPv6 where the machine has it", async () => {
    const hasIpv6 = networkInterfaces()["lo"]?.some(({ address }) => address === "::1") ?? false;
    for (const [root, host, path] of [
      ["/api/mi/", "127.0.0.1", "/api/mi"],
      ["", "127.0.0.1", ""],
      ["mi", hasIpv6 ? "::1" : "127.0.0.1", "/mi"],
    ] as const) {
      await withServer(fakePorts(), { root, host }, async ({ url }) => {
        assert.ok(url.endsWith(path));
        const response = await fetch(url, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: '{"jsonrpc":"2.0","method":"lb_status","params":[3],"id":1}',
        });
        assert.equal(await response.text(), '{"jsonrpc":"2.0","result":{"enable":"yes"},"id":1}');
      });
    }
  });

  it("ends idle connections when it closes", async () => {
    const server = await createManagementServer(fakePorts(), CONFIG);
    const open = sendRaw(server.url, "POST /mi HTTP/1.1\r\nHost: x\r\n");
    await fetch(server.url, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
    await server.close();
    assert.doesNotMatch(await open, /200 OK/);
  });
});

describe("addresses", () => {
  for (const host of ["127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST", "::1", "[::1]", "0:0:0:0:0:0:0:1"])
    it(`${host} is loopback`, () => assert.ok(isLoopback(host)));
  for (const host of [
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "128.0.0.1",
    "::2",
    "::ffff:10.0.0.1",
    "fe80::1",
    "1::1",
    "127.0.0.1.evil",
    "",
    "localhost.evil",
  ]) {
    it(`${host || "nothing"} is not`, () => assert.ok(!isLoopback(host)));
  }
});
