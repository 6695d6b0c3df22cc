import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatResult } from "../../src/cli/mi-format.ts";
import { createManagementServer } from "../../src/management/index.ts";
import type { BindingView } from "../../src/registrar/index.ts";
import { fakePorts } from "./fake-ports.ts";

const ACTIVE: BindingView = {
  id: 2,
  key: "fs sip:127.0.0.22:5080",
  group: 1,
  uri: "sip:127.0.0.22:5080",
  account: "*",
  user: "media-2",
  contact: "sip:gw+headroom@10.0.0.2:5080;gw=headroom",
  source: { address: "2001:db8::2", port: 5080, transport: "udp" },
  state: "active",
  cause: undefined,
  expiresS: 87,
};
const LEAVING: BindingView = { ...ACTIVE, id: 1, uri: "sip:127.0.0.21:5080", state: "leaving", cause: "expired", expiresS: 0 };

/** What a method answers while these are registered. */
async function answerOf(method: string, bindings: readonly BindingView[]): Promise<unknown> {
  const server = await createManagementServer(fakePorts({ registrations: () => bindings }), {
    host: "127.0.0.1",
    port: 0,
    root: "mi",
    bearerTokens: [],
  });
  try {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method });
    const reply = await fetch(server.url, { method: "POST", headers: { "content-type": "application/json" }, body });
    return ((await reply.json()) as { result: unknown }).result;
  } finally {
    await server.close();
  }
}

describe("lb_registrations", () => {
  it("lists who has registered and who leaves, by id", async () => {
    const { Registrations } = (await answerOf("lb_registrations", [ACTIVE, LEAVING])) as { Registrations: object[] };
    assert.deepEqual(Registrations[1], {
      id: 2,
      group: 1,
      uri: "sip:127.0.0.22:5080",
      account: "*",
      user: "media-2",
      contact: "sip:gw+headroom@10.0.0.2:5080;gw=headroom",
      source: "udp:[2001:db8::2]:5080",
      state: "active",
      expires: 87,
      cause: null,
    });
    const [leaving] = Registrations as [Record<string, unknown>];
    assert.deepEqual([leaving["id"], leaving["state"], leaving["cause"], leaving["expires"]], [1, "leaving", "expired", 0]);
    assert.match(formatResult({ Registrations }), /^id {2}group {2}uri/);
  });

  it("has no destinations without one, and an empty list says so", async () => {
    assert.deepEqual(await answerOf("lb_registrations", []), { Registrations: [] });
    assert.equal(formatResult({ Registrations: [] }), "No registrations");
  });
});

describe("lb_list", () => {
  it("tells of each destination that registered how long it lasts, or why it leaves; of others nothing", async () => {
    const elsewhere = { ...ACTIVE, id: 3, uri: "sip:192.0.2.3:5060" };
    const listed = (await answerOf("lb_list", [ACTIVE, LEAVING, elsewhere])) as { Destinations: Record<string, unknown>[] };
    const told = listed.Destinations.map(({ registered, registration_left, registration_end }) => [
      registered,
      registration_left,
      registration_end,
    ]);
    assert.deepEqual(told, [
      ["leaving", undefined, "expired"],
      ["yes", 87, undefined],
      [undefined, undefined, undefined],
    ]);
    assert.match(formatResult(listed), / leaving /);
  });
});
