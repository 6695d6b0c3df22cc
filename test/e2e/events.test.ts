import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { headerOf, request, responseTo, statusOf, unique } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

interface Told {
  readonly id: string;
  readonly event: string;
  readonly params: Record<string, unknown>;
}

/** What receivers do with a request, by path; each is a webhook of the program. */
const RECEIVERS: Record<string, (request: IncomingMessage, response: ServerResponse) => void> = {
  "/good": (_request, response) => response.writeHead(204).end(),
  "/hangs": () => undefined,
  "/resets": (request) => request.socket.destroy(),
  "/broken": (_request, response) => response.writeHead(500).end("no"),
  "/redirects": (_request, response) => response.writeHead(307, { location: "/elsewhere" }).end(),
  "/endless": (_request, response) => {
    response.writeHead(200);
    const pour = (): void => {
      while (!response.destroyed && response.write("x".repeat(65_536)));
    };
    response.on("drain", pour);
    pour();
  },
  "/slow": (_request, response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write("x"), 100);
    response.on("close", () => clearInterval(timer));
  },
  "/garbage": (request) => request.socket.end("HTTP/9.9 banana\r\n\r\n"),
};

describe("events of the running program", () => {
  let receiver: Server;
  let got: Map<string, Told[]>;
  let headroom: Headroom;
  let caller: UdpPeer;
  let sick: UdpPeer;
  let sound: UdpPeer;
  let leaving: AbortController;
  let told: Told[];

  before(async () => {
    got = new Map();
    receiver = createServer((incoming, response) => void take(incoming, response)).listen(0, "127.0.0.1");
    await once(receiver, "listening");
    const base = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
    caller = await UdpPeer.open("127.0.0.1");
    sick = await UdpPeer.open("127.0.0.1");
    sound = await UdpPeer.open("127.0.0.1");
    headroom = await startHeadroom(
      `
routing: { rules: [{ group: 1, resources: pstn, failover_on: ["503"], disable_on: [] }] }
health:
  retry_after_max: 2
  breaker: { window: 30, min_calls: 2, failure_ratio: 0.5, open_for: 1, trial_calls: 1 }
events: { webhooks: [${Object.keys(RECEIVERS).map((path) => `{ url: "${base}${path}" }`)}] }
`,
      [
        { uri: `sip:${sick.sentBy}`, resources: "pstn=90" },
        { uri: `sip:${sound.sentBy}`, resources: "pstn=10" },
      ],
    );
    leaving = new AbortController();
    told = [];
    const url = new URL("/events", headroom.miUrl);
    const response = await fetch(url, { signal: leaving.signal });
    assert.equal(response.status, 200);
    void read(response, told).catch(() => undefined);
  });

  after(async () => {
    leaving.abort();
    receiver.closeAllConnections();
    receiver.close();
    await headroom.stop();
    await Promise.all([caller, sick, sound].map((peer) => peer.close()));
  });

  async function take(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = incoming.url ?? "";
    response.on("error", () => undefined);
    let body = "";
    for await (const part of incoming.setEncoding("utf8")) body += part;
    const { events } = JSON.parse(body) as { events: Told[] };
    got.set(path, [...(got.get(path) ?? []), ...events]);
    (RECEIVERS[path] ?? RECEIVERS["/good"])?.(incoming, response);
  }

  async function read(response: Response, into: Told[]): Promise<void> {
    let text = "";
    for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
      text += part;
      const messages = text.split("\n\n");
      text = messages.pop() ?? "";
      for (const message of messages) {
        const [, data] = /^data: (.*)$/m.exec(message) ?? [];
        if (data !== undefined) into.push(JSON.parse(data) as Told);
      }
    }
  }

  /** A call that the sick destination answers with 503, if it gets it, and the sound one with 486. @returns whether the sick one was asked */
  async function call(answer: 503 | 486 = 503, headers: readonly string[] = []): Promise<boolean> {
    const callId = unique("call");
    const asked = (text: string): boolean => text.startsWith("INVITE ") && headerOf(text, "Call-ID") === callId;
    const before = sick.received.length;
    caller.send(request({ uri: `sip:service@${headroom.address}:${headroom.port}`, sentBy: caller.sentBy, callId }), headroom);
    const taker = await waitFor("an INVITE", 3_000, () => [sick, sound].find((peer) => peer.received.some(asked)));
    const first = taker.received.find(asked)!;
    if (taker === sick) sick.send(responseTo(first, answer, { toTag: "sick", headers }), headroom);
    if (taker === sound || answer === 503) {
      const invite = await waitFor("the INVITE at the sound one", 3_000, () => sound.received.find(asked));
      sound.send(responseTo(invite, 486, { toTag: "sound" }), headroom);
    }
    await caller.next("486", (text) => headerOf(text, "Call-ID") === callId && statusOf(text) === 486);
    return sick.received.slice(before).some(asked);
  }

  /** Events of destinations, as `name` and what matters of it. That the group has some may be told before the test begins, or after. */
  function texts(events: readonly Told[]): string[] {
    return events
      .filter(({ event }) => event.startsWith("E_LOAD_BALANCER_") && event !== "E_LOAD_BALANCER_GROUP")
      .map(({ event, params }) =>
        `${event.slice(16)} ${params["state"] ?? params["status"] ?? params["seconds"]} ${params["cause"] ?? ""}`.trim(),
      );
  }

  it("tell of a rest, of the breaker, and that it takes the destination out and brings it back", async () => {
    assert.equal(await call(503, ["Retry-After: 1"]), true);
    await waitFor("the rest", 3_000, () => texts(told).includes("REST 1"));
    await waitFor("the end of the rest", 5_000, async () => await call());
    await waitFor("the breaker opens", 3_000, () => texts(told).includes("BREAKER open"));
    await waitFor("a trial call passes", 8_000, async () => await call(486));
    await waitFor("the breaker closes", 3_000, () => texts(told).includes("STATUS enabled breaker"));
    assert.deepEqual(texts(told), [
      "REST 1",
      "BREAKER open",
      "STATUS disabled breaker",
      "BREAKER trials",
      "BREAKER closed",
      "STATUS enabled breaker",
    ]);
    const { params } = told.find(({ event }) => event === "E_LOAD_BALANCER_STATUS")!;
    assert.deepEqual(params, { group: 1, uri: `sip:${sick.sentBy}`, status: "disabled", cause: "breaker", id: 1 });
  });

  it("reach a webhook that takes them, in order and once, beside seven that do not", async () => {
    await waitFor("all came", 3_000, () => texts(got.get("/good") ?? []).includes("STATUS enabled breaker"));
    const ids = got.get("/good")!.map(({ id }) => id);
    const first = ids.indexOf(told[0]!.id); // the stream began later
    assert.deepEqual(
      ids.slice(first, first + told.length),
      told.map(({ id }) => id),
    );
  });

  it("wait for no receiver: calls are as fast beside them, and what is lost or waits is counted", async () => {
    const startMs = performance.now();
    for (let i = 0; i < 20; i++) await call(486);
    assert.ok(performance.now() - startMs < 5_000, "20 calls within 5 s");
    await headroom.untilIdle();
    const counted = (await headroom.mi("get_statistics", { statistics: ["events:"] })) as Record<string, number>;
    assert.ok(counted["events:webhook_delivered"]! > 0);
    assert.ok(counted["events:webhook_failures"]! > 0);
    assert.ok(counted["events:webhook_lost"]! > 0, "a redirect is final");
    assert.ok(counted["events:webhook_pending"]! > 0, "those who hang, reset or answer 500 are asked again");
    assert.equal(got.has("/elsewhere"), false, "no redirect is followed");
    assert.ok(got.get("/endless")!.length > 1 && got.get("/slow")!.length > 1, "an endless or slow body keeps nothing waiting");
    for (const path of ["/resets", "/broken", "/garbage"]) {
      const ids = got.get(path)!.map(({ id }) => id);
      assert.ok(new Set(ids).size < ids.length, `${path} gets the same events again`);
    }
    await headroom.untilLogged(/events\.webhooks\[2\] does not take events: (?:ECONNRESET|UND_ERR_SOCKET)"/);
    await headroom.untilLogged(/events\.webhooks\[3\] does not take events: status 500/);
  });

  it("are given again to one that comes back; nonsense as Last-Event-ID harms nothing", async () => {
    const again: Told[] = [];
    const leaving = new AbortController();
    const open = (lastId: string): Promise<Response> =>
      fetch(new URL("/events?events=E_LOAD_BALANCER_BREAKER", headroom.miUrl), {
        headers: { "last-event-id": lastId },
        signal: leaving.signal,
      });
    void read(await open(told[0]!.id), again).catch(() => undefined);
    await waitFor("three events", 3_000, () => again.length === 3);
    for (const garbage of ["", "-", "\u00e4\u00f6", "x".repeat(4_000), "0-99999999999999999999", `${told[0]!.id} OR 1=1`]) {
      const lost: Told[] = [];
      const response = await open(garbage);
      assert.equal(response.status, 200);
      void read(response, lost).catch(() => undefined);
      await waitFor(`all events for "${garbage.slice(0, 20)}"`, 3_000, () => lost.length === 4);
      assert.equal(lost[0]?.event, "E_EVENTS_LOST");
    }
    leaving.abort();
  });

  it("go to 16 clients at most; hundreds more are refused and calls go on", async () => {
    const leaving = new AbortController();
    const statuses = await Promise.all(
      Array.from({ length: 300 }, () =>
        fetch(new URL("/events", headroom.miUrl), { signal: leaving.signal }).then(
          ({ status }) => status,
          () => 0,
        ),
      ),
    );
    assert.ok(statuses.filter((status) => status === 200).length <= 16);
    assert.equal(await call(486), true);
    leaving.abort();
    await waitFor("the places are free", 3_000, async () => {
      const { "events:clients": clients } = (await headroom.mi("get_statistics", { statistics: ["events:clients"] })) as Record<
        string,
        number
      >;
      return clients === 1;
    });
  });
});
