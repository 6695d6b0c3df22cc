import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { RPC_LIST, RPC_SCRIPT } from "../support/dispatcher-rpc-script.ts";
import { exchange, type RpcExchange, startRpcPeer } from "./kamailio-rpc.ts";

const RECORDING = new URL("../fixtures/kamailio-rpc/dispatcher.json", import.meta.url);

describe("Kamailio 5.6 is the judge of its RPC", () => {
  it("answers the commands of its dispatcher as it is recorded; RECORD=1 records it anew", async () => {
    const { peer, url } = await startRpcPeer("127.0.0.1", RPC_LIST, { ds_ping_latency_stats: 1 });
    try {
      const answers: RpcExchange[] = [];
      for (const { body } of RPC_SCRIPT) answers.push(await exchange(url, body));
      if (process.env["RECORD"] === "1") writeFileSync(RECORDING, `${JSON.stringify(answers, undefined, 1)}\n`);
      assert.deepEqual(answers, JSON.parse(readFileSync(RECORDING, "utf8")));
    } finally {
      await peer.stop();
    }
  });
});
