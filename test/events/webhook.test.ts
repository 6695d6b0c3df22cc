import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import { EventBus, Webhook } from "../../src/events/index.ts";
import { ANSWER_TIMEOUT_MS, FIRST_WAIT_MS, LONGEST_WAIT_MS, MAX_BATCH, MAX_TRIES, type WebhookOptions } from "../../src/events/webhook.ts";
import { FakeClock } from "../support/fake-clock.ts";

interface Sent {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly serials: number[];
}

let bus: EventBus;
let clock: FakeClock;
let webhook: Webhook;
let sent: Sent[];
let logged: string[];
/** What the receiver answers: a status, no answer ever, or no connection. */
let answer: number | "silence" | "refused" | Error;

beforeEach(() => {
  clock = new FakeClock();
  bus = new EventBus({ history: 0, wallMs: clock.now, run: "abc", onFault: (error) => assert.fail(String(error)) });
  sent = [];
  logged = [];
  answer = 204;
});

afterEach(() => webhook.close());

function create(overrides: Partial<WebhookOptions> = {}): void {
  const log = (_fields: object, message: string): void => void logged.push(message);
  webhook = new Webhook({
    bus,
    label: "events.webhooks[0]",
    url: "https://hooks.example/secret",
    events: [],
    secret: null,
    queue: 1000,
    userAgent: "headroom/1",
    fetch: (url, init) => {
      const body = String(init.body);
      const serials = (JSON.parse(body) as { events: { id: string }[] }).events.map(({ id }) => Number(id.slice(4)));
      sent.push({ url, headers: init.headers as Record<string, string>, body, serials });
      if (answer === "refused") return Promise.reject(new TypeError("fetch failed"));
      if (answer instanceof Error) return Promise.reject(answer);
      if (answer === "silence") {
        return new Promise((_resolve, reject) => init.signal?.addEventListener("abort", () => reject(new Error("aborted"))));
      }
      return Promise.resolve(new Response(answer === 204 ? null : "text", { status: answer }));
    },
    wallMs: clock.now,
    after: (ms, run) => clock.after(ms, run),
    random: () => 1,
    log: { info: log, warn: log },
    ...overrides,
  });
}

/** Moves the clock on, and lets promises have their turn. */
async function pass(ms: number): Promise<void> {
  clock.advance(ms);
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

/** What fetch throws, made of what broke. */
function failedFetch(code: string): Error {
  return new TypeError("fetch failed", { cause: Object.assign(new Error("https://hooks.example/secret"), { code }) });
}

function publish(count = 1): void {
  for (let i = 0; i < count; i++) bus.publish("E_LOAD_BALANCER_STATUS", { group: 1 });
}

describe("a webhook", () => {
  it("gets events with POST, as JSON, never within the call that publishes", async () => {
    create();
    publish();
    assert.equal(sent.length, 0);
    await pass(0);
    assert.deepEqual(JSON.parse(sent[0]!.body), {
      events: [{ id: "abc-1", event: "E_LOAD_BALANCER_STATUS", at: "1970-01-01T00:00:00.000Z", params: { group: 1 } }],
    });
    assert.deepEqual(sent[0]!.headers, { "content-type": "application/json", "user-agent": "headroom/1" });
    assert.deepEqual(webhook.counters, { webhook_delivered: 1, webhook_failures: 0, webhook_lost: 0 });
    assert.equal(webhook.pending, 0);
  });

  it("is signed with HMAC-SHA256 of its time and its body when there is a secret, each try anew", async () => {
    create({ secret: "between us", wallMs: () => 1_700_000_000_999 + clock.now() });
    answer = 500;
    publish();
    await pass(0);
    await pass(FIRST_WAIT_MS);
    const signed = sent.map(({ headers }) => [headers["headroom-timestamp"], headers["headroom-signature"]]);
    const expected = ["1700000000", "1700000001"].map((timestamp) => {
      const signature = createHmac("sha256", "between us").update(`${timestamp}.${sent[0]!.body}`).digest("hex");
      return [timestamp, `sha256=${signature}`];
    });
    assert.deepEqual(signed, expected);
  });

  it("gets only the events that it wants", async () => {
    create({ events: ["E_LOAD_BALANCER_DRAIN"] });
    publish();
    bus.publish("E_LOAD_BALANCER_DRAIN", {});
    await pass(0);
    assert.deepEqual(
      sent.map(({ serials }) => serials),
      [[2]],
    );
  });

  it("gets many events in order, a bounded number in a request", async () => {
    create();
    publish(MAX_BATCH + 5);
    await pass(0);
    await pass(0);
    assert.deepEqual(
      sent.flatMap(({ serials }) => serials),
      Array.from({ length: MAX_BATCH + 5 }, (_, i) => i + 1),
    );
    assert.deepEqual(
      sent.map(({ serials }) => serials.length),
      [MAX_BATCH, 5],
    );
  });

  it("that is down is tried again with waits that double up to a limit, and nothing is lost", async () => {
    create();
    answer = "refused";
    publish();
    await pass(0);
    publish();
    for (let wait = FIRST_WAIT_MS, tries = 1; tries < 8; tries++, wait = Math.min(LONGEST_WAIT_MS, wait * 2)) {
      await pass(wait - 1);
      assert.equal(sent.length, tries);
      await pass(1);
      assert.equal(sent.length, tries + 1);
    }
    answer = 200;
    await pass(LONGEST_WAIT_MS);
    await pass(0);
    assert.deepEqual(sent.at(-1)!.serials, [2]);
    assert.deepEqual(webhook.counters, { webhook_delivered: 2, webhook_failures: 8, webhook_lost: 0 });
    assert.deepEqual(logged, ["events.webhooks[0] does not take events: no answer", "events.webhooks[0] takes events again"]);
  });

  it("that does not answer in time is tried again", async () => {
    create();
    answer = "silence";
    publish();
    await pass(0);
    await pass(ANSWER_TIMEOUT_MS);
    assert.equal(webhook.counters.webhook_failures, 1);
    answer = 204;
    await pass(FIRST_WAIT_MS);
    assert.equal(webhook.counters.webhook_delivered, 1);
  });

  for (const [name, error, reason] of [
    ["nobody listens", failedFetch("ECONNREFUSED"), "ECONNREFUSED"],
    ["its certificate is not trusted", failedFetch("DEPTH_ZERO_SELF_SIGNED_CERT"), "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["the code is no code", failedFetch("https://hooks.example/secret"), "no answer"],
    ["it is not known why", new TypeError("https://hooks.example/secret"), "no answer"],
    ["it does not answer in time", "silence", "timeout"],
  ] as const) {
    it(`says why it fails, and never its address, when ${name}`, async () => {
      create();
      answer = error;
      publish();
      await pass(0);
      await pass(ANSWER_TIMEOUT_MS);
      assert.deepEqual(logged, [`events.webhooks[0] does not take events: ${reason}`]);
    });
  }

  it("that is slower than what happens says once that events are lost, and how many it were when it has caught up", async () => {
    let requests = 0;
    create({
      queue: 150,
      fetch: async () => {
        if (++requests <= 4) publish(150);
        return new Response(null, { status: 204 });
      },
    });
    publish();
    await pass(0);
    await pass(0);
    assert.ok(requests > 4);
    const { webhook_lost } = webhook.counters;
    assert.ok(webhook_lost > 100);
    assert.deepEqual(logged, [
      "events.webhooks[0] loses an event: 150 wait for it already",
      `events.webhooks[0] takes events again: ${webhook_lost} were lost`,
    ]);
  });

  for (const [status, isRetried] of [
    [500, true],
    [503, true],
    [408, true],
    [429, true],
    [400, false],
    [404, false],
    [301, false],
  ] as const) {
    it(`${isRetried ? "gets a request again" : "loses a request"} that it answers with ${status}, and gets the next one`, async () => {
      create();
      answer = status;
      publish();
      await pass(0);
      answer = 204;
      publish();
      await pass(FIRST_WAIT_MS);
      await pass(0);
      assert.deepEqual(webhook.counters.webhook_lost, isRetried ? 0 : 1);
      assert.deepEqual(
        sent.map(({ serials }) => serials),
        isRetried ? [[1], [1], [2]] : [[1], [2]],
      );
    });
  }

  it("loses events that it could not be given after many tries, so that the others get through", async () => {
    create();
    answer = 500;
    publish();
    await pass(0);
    publish();
    for (let i = 1; i < MAX_TRIES; i++) await pass(LONGEST_WAIT_MS);
    assert.equal(webhook.counters.webhook_lost, 1);
    assert.deepEqual(sent.at(-1)!.serials, [2]);
    for (let i = 1; i < MAX_TRIES; i++) await pass(LONGEST_WAIT_MS);
    publish();
    answer = 204;
    await pass(LONGEST_WAIT_MS);
    assert.deepEqual(logged, [
      "events.webhooks[0] does not take events: status 500",
      `events.webhooks[0] loses an event: ${MAX_TRIES} tries, the last one: status 500`,
      "events.webhooks[0] takes events again: 2 were lost",
    ]);
  });

  it("that is down loses the oldest events beyond its queue, and counts them", async () => {
    create({ queue: 3 });
    answer = "silence";
    publish();
    await pass(0);
    publish(10_000);
    assert.equal(webhook.pending, 3);
    assert.equal(webhook.counters.webhook_lost, 9_998);
    answer = 204;
    await pass(ANSWER_TIMEOUT_MS);
    await pass(FIRST_WAIT_MS);
    assert.deepEqual(
      sent.map(({ serials }) => serials),
      [[1], [1], [10_000, 10_001]],
    );
    assert.equal(webhook.pending, 0);
  });

  it("loses changes of calls before anything else, and keeps the order of what is left", async () => {
    create({ queue: 6 });
    answer = "silence";
    publish();
    await pass(0);
    const names = { c: "E_DLG_STATE_CHANGED", S: "E_LOAD_BALANCER_STATUS", G: "E_LOAD_BALANCER_GROUP" } as const;
    for (const letter of "ccSccccGccSc") bus.publish(names[letter as keyof typeof names], {}); // serials 2 to 13
    assert.deepEqual([webhook.pending, webhook.counters.webhook_lost], [6, 7]);
    answer = 204;
    await pass(ANSWER_TIMEOUT_MS);
    await pass(FIRST_WAIT_MS);
    assert.deepEqual(sent.at(-1)?.serials, [4, 9, 11, 12, 13]);
  });

  it("that has no change of a call to lose loses the oldest of the others, never for a change of a call", async () => {
    create({ queue: 3 });
    answer = "silence";
    publish();
    await pass(0);
    publish(3);
    bus.publish("E_DLG_STATE_CHANGED", {});
    answer = 204;
    await pass(ANSWER_TIMEOUT_MS);
    await pass(FIRST_WAIT_MS);
    assert.deepEqual([sent.at(-1)?.serials, webhook.counters.webhook_lost], [[3, 4], 2]);
  });

  it("with a queue of 1 loses what comes while one is being sent", async () => {
    create({ queue: 1 });
    answer = "silence";
    publish();
    await pass(0);
    publish(2);
    assert.deepEqual([webhook.pending, webhook.counters.webhook_lost], [1, 2]);
  });

  it("that is closed leaves no timer and no request", async () => {
    create();
    answer = "silence";
    publish(2);
    await pass(0);
    webhook.close();
    await pass(0);
    publish();
    assert.equal(clock.pending, 0);
    assert.equal(webhook.counters.webhook_lost, 2);
  });

  it("works over HTTP", async () => {
    const bodies: string[] = [];
    const receiver = createServer((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (part: string) => {
        body += part;
      });
      request.on("end", () => {
        bodies.push(body);
        response.writeHead(204).end();
      });
    }).listen(0, "127.0.0.1");
    await once(receiver, "listening");
    const { port } = receiver.address() as AddressInfo;
    const delivered = Promise.withResolvers<void>();
    create({
      url: `http://127.0.0.1:${port}/hook`,
      fetch: async (url, init) => {
        const response = await fetch(url, init);
        delivered.resolve();
        return response;
      },
    });
    publish();
    clock.advance(0);
    await delivered.promise;
    receiver.closeAllConnections();
    receiver.close();
    assert.match(bodies[0] ?? "", /^\{"events":\[\{"id":"abc-1",/);
  });
});
