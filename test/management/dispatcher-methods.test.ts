import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { createManagementServer } from "../../src/management/index.ts";
import { RPC_LIST, RPC_SCRIPT } from "../support/dispatcher-rpc-script.ts";
import { dispatchPorts } from "./dispatch-ports.ts";
import { fakePorts } from "./fake-ports.ts";

/** What Kamailio 5.6.3 answered to the script. */
const RECORDED = JSON.parse(
  readFileSync(new URL("../fixtures/kamailio-rpc/dispatcher.json", import.meta.url), "utf8"),
) as readonly Answer[];
const LIST = "1 sip:192.0.2.1 8 0 duid=one\n1 sip:192.0.2.2 0\n";

interface Answer {
  readonly sent: string;
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

type Post = (body: string | object, headers?: Record<string, string>, path?: string) => Promise<Answer>;

/** Runs with a management server whose dispatcher has a list. */
async function withServer(
  list: string,
  run: (post: Post, parts: ReturnType<typeof dispatchPorts>) => Promise<void>,
  options: Parameters<typeof dispatchPorts>[1] & { tokens?: readonly string[] } = {},
): Promise<void> {
  const parts = dispatchPorts(list, options);
  const ports = fakePorts({ dispatch: parts.dispatch });
  const server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: options.tokens ?? [] });
  try {
    const post: Post = async (body, headers = {}, path = "/RPC") => {
      const sent = typeof body === "string" ? body : JSON.stringify({ jsonrpc: "2.0", id: 1, ...body });
      const response = await fetch(new URL(path, server.url), {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: sent,
      });
      return { sent, status: response.status, type: response.headers.get("content-type") ?? "", text: await response.text() };
    };
    await run(post, parts);
  } finally {
    await server.close();
  }
}

/** An answer without what may differ: the order of sets, and the sentence of an error. */
function comparable({ sent, status, type, text }: Answer): unknown {
  const answer = JSON.parse(text) as { result?: { RECORDS?: { SET: { ID: number } }[] }; error?: { data?: unknown } };
  answer.result?.RECORDS?.sort((a, b) => a.SET.ID - b.SET.ID);
  delete answer.error?.data;
  return [sent, status, type, JSON.stringify(answer)]; // as text: the order of members counts
}

describe("/RPC", () => {
  it("answers the commands of Kamailio's dispatcher member for member, but where it says why not", async () => {
    await withServer(RPC_LIST, async (post) => {
      const differing = new Set<string>();
      for (const [i, { body, differs }] of RPC_SCRIPT.entries()) {
        const answer = await post(body);
        if (differs === undefined) assert.deepEqual(comparable(answer), comparable(RECORDED[i]!));
        else {
          assert.notDeepEqual(comparable(answer), comparable(RECORDED[i]!), `${body} does not differ`);
          differing.add(differs);
        }
        if (answer.status !== 200) assert.match(answer.text, /"data":"[A-Z][^"]+[^.]"|Method Not Found|Invalid Request/, "has a sentence");
      }
      assert.equal(differing.size, 5);
    });
  });

  it("answers one failure as each HTTP status that it is", async () => {
    await withServer(LIST, async (post) => {
      const statusOf = async (body: string | object) => (await post(body)).status;
      assert.equal(await statusOf({ method: "dispatcher.list" }), 200);
      assert.equal(await statusOf({ method: "dispatcher.oclist", params: [9] }), 404);
      assert.equal(await statusOf({ method: "nothing" }), 500);
      assert.equal(await statusOf("no json"), 400);
      assert.equal(await statusOf("5"), 400);
      assert.equal(await statusOf([]), 400);
    });
  });

  it("reads a number as a text, and refuses what is none", async () => {
    await withServer(LIST, async (post, { bench }) => {
      assert.match((await post({ method: "dispatcher.set_state", params: ["dp", "1", "sip:192.0.2.1"] })).text, /Ok\./);
      assert.equal(bench.at(1).flags, 4);
      const refused = await post({ method: "dispatcher.set_state", params: ["a", "one", "sip:192.0.2.1"] });
      assert.equal(refused.status, 500);
      assert.match(refused.text, /"code":500,"message":"Invalid Parameters","data":"Bad type for parameter 'group'"/);
    });
  });

  it("takes parameters by our names in any order, else by their order", async () => {
    await withServer(LIST, async (post, { bench }) => {
      await post({ method: "dispatcher.set_state", params: { address: "sip:192.0.2.2", group: 1, state: "ip" } });
      assert.equal(bench.at(0).flags, 9);
      await post({ method: "dispatcher.set_state", params: { x: "t", y: 1, z: "sip:192.0.2.2" } });
      assert.equal(bench.at(0).flags, 2);
    });
  });

  it("runs every other method, too, and a batch of them", async () => {
    await withServer(LIST, async (post) => {
      assert.match((await post({ method: "lb_list" })).text, /"Destinations"/);
      assert.equal((await post({ method: "lb_status", params: [99] })).status, 404);
      const batch = JSON.stringify([
        { jsonrpc: "2.0", id: 1, method: "version" },
        { jsonrpc: "2.0", method: "no such" },
      ]);
      const { status, text } = await post(batch);
      assert.equal(status, 200);
      assert.deepEqual(
        (JSON.parse(text) as { id?: number }[]).map(({ id }) => id),
        [1, undefined],
      );
    });
  });

  it("reads what curl sends without a type, and nothing that a page of somebody else sends", async () => {
    await withServer(LIST, async (post) => {
      const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "dispatcher.ping_active" });
      assert.equal((await post(body, { "content-type": "application/x-www-form-urlencoded" })).status, 200);
      assert.equal((await post(body, { "content-type": "text/plain" })).status, 415);
      assert.equal((await post(body, { "content-type": "application/x-www-form-urlencoded" }, "/mi")).status, 400);
      assert.equal((await post(body, { origin: "http://example.com", "content-type": "application/x-www-form-urlencoded" })).status, 403);
    });
  });

  it("wants the token that /mi wants", async () => {
    const tokens = ["secret-of-sixteen-characters"];
    await withServer(
      LIST,
      async (post) => {
        const call = { method: "dispatcher.ping_active" };
        assert.equal((await post(call)).status, 401);
        assert.equal((await post(call, { authorization: `Bearer ${tokens[0]}` })).status, 200);
      },
      { tokens },
    );
  });
});

describe("the commands of the dispatcher at /mi", () => {
  const result = async (post: Post, method: string, params?: unknown) =>
    JSON.parse((await post({ method: `dispatcher.${method}`, ...(params !== undefined && { params }) }, {}, "/mi")).text) as {
      result?: unknown;
      error?: { code: number; message: string; data?: string };
    };

  it("answer as at /RPC; what does not fit is told in OpenSIPS's words", async () => {
    await withServer(LIST, async (post) => {
      assert.deepEqual((await result(post, "hash", [4, "abc"])).result, { hashid: 7167810, slot: 2 });
      assert.equal((await result(post, "set_state", { state: "i", group: "1", address: "all" })).result, "Ok. Dispatcher state updated.");
      assert.equal((await result(post, "set_state", ["i"])).error?.code, -32602);
      assert.equal((await result(post, "set_state", ["i", 1, "sip:nobody"])).error?.message, "State Update Failed");
    });
  });

  it("leave latency out while nothing is measured, and round it as Kamailio's JSON does", async () => {
    const destOf = async (post: Post) => {
      const { RECORDS } = (await result(post, "list", ["short"])).result as {
        RECORDS: [{ SET: { TARGETS: [unknown, { DEST: object }] } }];
      };
      return RECORDS[0].SET.TARGETS[1].DEST;
    };
    await withServer(LIST, async (post) => assert.equal("LATENCY" in (await destOf(post)), false), { isMeasured: false });
    await withServer(LIST, async (post, { bench }) => {
      for (const ms of [1, 1, 2]) bench.dispatcher.probed(bench.at(1), 200, ms);
      bench.dispatcher.probed(bench.at(1), 408, 5_000);
      assert.deepEqual(await destOf(post), {
        URI: "sip:192.0.2.1",
        FLAGS: "IX",
        PRIORITY: 0,
        LATENCY: { AVG: 1.333333, STD: 0.57735, EST: 1.333333, MAX: 2, TIMEOUT: 1 },
        RUNTIME: { DLGLOAD: 0 },
      });
    });
  });

  it("list what overload control keeps", async () => {
    await withServer(LIST, async (post, { bench }) => {
      bench.dispatcher.setOverload(1, "sip:192.0.2.1", 30, 2_000, 7);
      const rows = (await result(post, "oclist", [1])).result as Record<string, unknown>[];
      const at = Date.UTC(2026, 10, 21, 23, 44, 10) / 1000;
      assert.deepEqual(
        rows.map(({ uri, ocrate, ocseq, octime_sec }) => [uri, ocrate, ocseq, octime_sec]),
        [
          ["sip:192.0.2.2", 0, 0, 0],
          ["sip:192.0.2.1", 30, 7, at],
        ],
      );
      assert.equal((await result(post, "oclist", [2])).error?.code, 404);
    });
  });

  it("say why a reload failed, why a destination cannot be added, and that there is no set", async () => {
    const reload = async () => Promise.reject(new Error('Cannot read the list "x"'));
    await withServer(
      LIST,
      async (post) => {
        assert.deepEqual((await result(post, "reload")).error, { code: 500, message: "Reload Failed", data: 'Cannot read the list "x"' });
        const { error } = await result(post, "add", [1, "bogus uri"]);
        assert.equal(error?.message, "Adding dispatcher dst failed");
        assert.match(error?.data ?? "", /^Cannot use the destination "bogus uri" of dispatcher\.add: want a SIP URI/);
      },
      { reload },
    );
    await withServer("", async (post) => assert.equal((await result(post, "list")).error?.message, "No Destination Sets"));
  });
});
