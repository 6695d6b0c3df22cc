import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { freeUdpPort, waitFor } from "../support/net.ts";
import { headerOf, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { type Sipp, startCallee } from "../support/sipp.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const PROXY = "127.0.48.2";
const CALLER = "127.0.48.3";
const MORTAL = "127.0.48.4";
const SOUND = "127.0.48.5";
/** What the dead destination may cost a call, as was promised. */
const MAX_EXTRA_MS = 50;
const FR_TIMEOUT_S = 5;
const ROUNDS = 3;
const RULE = "group: 1, resources: pstn, failover_on: [timeout], max_failovers: 3, disable_on: []";

/** A caller that notes when its calls begin to ring, without polling. */
class StopWatch {
  readonly #socket: Socket;
  readonly #waiting = new Map<string, (status: number) => void>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (bytes) => {
      const text = bytes.toString("latin1");
      if (statusOf(text) > 100) this.#waiting.get(headerOf(text, "Call-ID"))?.(statusOf(text));
    });
  }

  static async open(): Promise<StopWatch> {
    const socket = createSocket("udp4").unref();
    socket.bind(0, CALLER);
    await once(socket, "listening");
    return new StopWatch(socket);
  }

  /** Post-dial delay of a new call: from its INVITE to the first response but 100, in milliseconds. */
  async call(headroom: Headroom): Promise<number> {
    const callId = unique("pdd");
    const invite = request({
      sentBy: `${CALLER}:${this.#socket.address().port}`,
      uri: `sip:service@${headroom.address}:${headroom.port}`,
      callId,
    });
    const sinceMs = performance.now();
    const answered = new Promise<number>((resolve) => this.#waiting.set(callId, resolve));
    this.#socket.send(invite, headroom.port, headroom.address);
    const status = await answered;
    this.#waiting.delete(callId);
    assert.ok(status < 300, `the call failed with ${status}`);
    return performance.now() - sinceMs;
  }

  close(): void {
    this.#socket.close();
  }
}

function middle(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] as number;
}

async function statistic(headroom: Headroom, name: string): Promise<number> {
  return Number(((await headroom.mi("get_statistics", [[name]])) as Record<string, unknown>)[name]);
}

describe("a destination over UDP whose process is killed", () => {
  for (const listen of [PROXY, "0.0.0.0"]) {
    it(`costs the next call, taken on ${listen}, less than ${MAX_EXTRA_MS} ms: the call goes on to another destination`, async () => {
      const sound = await startCallee({ scenario: "callee", address: SOUND });
      let mortal: Sipp = await startCallee({ scenario: "callee", address: MORTAL });
      const rows = [
        { uri: mortal.uri, resources: "pstn=1000" },
        { uri: sound.uri, resources: "pstn=100" },
      ];
      const port = await freeUdpPort(PROXY);
      const headroom = await startHeadroom(
        `{ sip: { listen: ["udp:${listen}:${port}"] }, tm: { fr_timeout: ${FR_TIMEOUT_S} }, routing: { rules: [{ ${RULE} }] } }`,
        rows,
        PROXY,
      );
      const at = { ...headroom, address: PROXY, port } as Headroom;
      const watch = await StopWatch.open();
      const [usual, next, later]: number[][] = [[], [], []];
      try {
        for (let round = 0; round < ROUNDS; round++) {
          for (let i = 0; i < 5; i++) usual!.push(await watch.call(at));
          const loads = await headroom.loads();
          await mortal.kill();
          next!.push(await watch.call(at));
          for (let i = 0; i < 5; i++) later!.push(await watch.call(at));
          assert.deepEqual(
            await headroom.loads(),
            [loads[0], loads[1]! + 6],
            "calls of a dead destination stay counted, and the six go elsewhere",
          );
          mortal = await startCallee({ scenario: "callee", address: MORTAL, port: mortal.port });
        }
        const extraMs = Math.min(...next!) - middle(usual!);
        const figures = `post-dial delay in ms, usual: ${shown(usual!)}; of the next call: ${shown(next!)}; of those behind it: ${shown(later!)}`;
        assert.ok(extraMs < MAX_EXTRA_MS, `it cost ${extraMs} ms; ${figures}`);
        assert.ok(middle(later!) - middle(usual!) < MAX_EXTRA_MS, figures);
        assert.ok(Math.max(...next!, ...later!) < 500, `none waited for a second copy of its INVITE; ${figures}`);
        assert.ok((await statistic(headroom, "net:icmp_refused")) >= ROUNDS * 6);
        assert.equal(await statistic(headroom, "net:peer_sockets"), 2);
      } finally {
        watch.close();
        await headroom.stop();
        await Promise.all([mortal.kill(), sound.kill()]);
      }
    });
  }

  it("leaves a call alone that rings already, and one whose destination starts again and says so", async () => {
    const ringing = await UdpPeer.open(MORTAL);
    const headroom = await startHeadroom(
      `{ tm: { fr_timeout: ${FR_TIMEOUT_S} }, routing: { rules: [{ ${RULE} }] } }`,
      [{ uri: `sip:${ringing.sentBy}`, resources: "pstn=10" }],
      PROXY,
    );
    const caller = await UdpPeer.open(CALLER);
    const port = ringing.port;
    let again: Socket | undefined;
    const place = async (): Promise<string> => {
      const callId = unique("ring");
      caller.send(request({ sentBy: caller.sentBy, uri: `sip:service@${headroom.address}:${headroom.port}`, callId }), headroom);
      return callId;
    };
    try {
      const first = await place();
      const invite = await ringing.nextRequest("INVITE");
      ringing.send(responseTo(invite, 180, { toTag: "r" }), headroom);
      await caller.next("180", (text) => statusOf(text) === 180 && headerOf(text, "Call-ID") === first);
      await ringing.close();
      const second = await place();
      const final = await caller.next("408", (text) => statusOf(text) >= 300 && headerOf(text, "Call-ID") === second);
      assert.equal(statusOf(final), 408, "as if nobody had answered");
      again = createSocket("udp4");
      again.bind(port, MORTAL);
      await once(again, "listening");
      again.send(responseTo(invite, 486, { toTag: "r" }), headroom.port, headroom.address);
      const answer = await caller.next(
        "the answer of the first call",
        (text) => statusOf(text) >= 300 && headerOf(text, "Call-ID") === first,
      );
      assert.equal(statusOf(answer), 486);
    } finally {
      again?.close();
      await caller.close();
      await headroom.stop();
    }
  });
});

describe("two programs on one port", () => {
  it("the second Headroom ends with an error, and the first goes on", async () => {
    const first = await startHeadroom("", [], PROXY);
    try {
      await assert.rejects(
        startHeadroom(`{ sip: { listen: ["udp:${first.address}:${first.port}"] } }`, [], PROXY),
        /another program uses this address and port/,
      );
      await waitFor("the first answers", 2_000, async () => (await first.list()).length === 0);
    } finally {
      await first.stop();
    }
  });
});

function shown(values: readonly number[]): string {
  return values.map((value) => value.toFixed(1)).join(" ");
}
