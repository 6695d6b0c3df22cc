import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { EventBus, Webhook } from "../../src/events/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { waitFor } from "../support/net.ts";

const SECRET = "between us two";
const DOCUMENT = readFileSync(join(import.meta.dirname, "..", "..", "docs", "events.md"), "utf8");
const HOUR_MS = 3_600_000;

let folder: string;
let receiver: ChildProcess;
let url: string;
let printed = "";

/** The receiver of the document, on a port that is free. */
before(async () => {
  const [, program = ""] = /```js\n(\/\/ receiver\.mjs:.*?)```/s.exec(DOCUMENT) ?? [];
  const port = await freeTcpPort();
  url = `http://127.0.0.1:${port}/`;
  folder = mkdtempSync(join(tmpdir(), "headroom-receiver-"));
  assert.match(program, /listen\(9000,/);
  writeFileSync(join(folder, "receiver.mjs"), program.replace("listen(9000,", `listen(${port},`));
  receiver = spawn(process.execPath, [join(folder, "receiver.mjs")], { env: { ...process.env, HEADROOM_WEBHOOK_SECRET: SECRET } });
  receiver.stdout?.on("data", (part: Buffer) => {
    printed += part.toString();
  });
  await waitFor("the receiver listens", 10_000, () =>
    fetch(url, { method: "POST" }).then(
      ({ status }) => status === 401,
      () => false,
    ),
  );
});

after(async () => {
  receiver.kill();
  await once(receiver, "exit");
  rmSync(folder, { recursive: true });
});

async function freeTcpPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : 0;
}

interface Signed {
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** What a webhook sends of one event at this time by its clock. */
async function signedAt(wallMs: number, secret = SECRET): Promise<Signed> {
  const clock = new FakeClock();
  const bus = new EventBus({ history: 0, wallMs: () => 0, run: "abc", onFault: (error) => assert.fail(String(error)) });
  const sent = Promise.withResolvers<Signed>();
  const webhook = new Webhook({
    bus,
    label: "events.webhooks[0]",
    url,
    events: [],
    secret,
    queue: 10,
    userAgent: "headroom/1",
    wallMs: () => wallMs,
    fetch: async (_url, init) => {
      sent.resolve({ headers: init.headers as Record<string, string>, body: String(init.body) });
      return new Response(null, { status: 204 });
    },
    after: (ms, run) => clock.after(ms, run),
    random: () => 1,
    log: { info() {}, warn() {} },
  });
  bus.publish("E_LOAD_BALANCER_STATUS", { group: 1, uri: "sip:ä@192.0.2.1" });
  clock.advance(0);
  try {
    return await sent.promise;
  } finally {
    webhook.close();
  }
}

async function statusOf({ headers, body }: Signed): Promise<number> {
  const response = await fetch(url, { method: "POST", headers, body });
  await response.body?.cancel();
  return response.status;
}

describe("the receiver of docs/events.md", () => {
  it("takes what a webhook sends, and prints it", async () => {
    assert.equal(await statusOf(await signedAt(Date.now())), 204);
    const line = '1970-01-01T00:00:00.000Z abc-1 E_LOAD_BALANCER_STATUS {"group":1,"uri":"sip:ä@192.0.2.1"}\n';
    await waitFor("it prints the event", 3_000, () => printed === line);
  });

  it("refuses what has no signature, another secret, another body, another time, or was sent long ago", async () => {
    const good = await signedAt(Date.now());
    const { "headroom-timestamp": timestamp, "headroom-signature": signature, ...headers } = good.headers;
    assert.ok(timestamp !== undefined && signature !== undefined);
    const refused: [string, Signed][] = [
      ["no signature", { ...good, headers: { ...headers, "headroom-timestamp": timestamp } }],
      ["no time", { ...good, headers: { ...headers, "headroom-signature": signature } }],
      ["another body", { ...good, body: good.body.replace("192.0.2.1", "192.0.2.2") }],
      ["another time", { ...good, headers: { ...good.headers, "headroom-timestamp": String(Number(timestamp) + 1) } }],
      ["a time that is none", { ...good, headers: { ...good.headers, "headroom-timestamp": "now" } }],
      ["another secret", await signedAt(Date.now(), "between others")],
      ["an hour ago", await signedAt(Date.now() - HOUR_MS)],
      ["in an hour", await signedAt(Date.now() + HOUR_MS)],
    ];
    for (const [what, signed] of refused) assert.equal(await statusOf(signed), 401, what);
    assert.equal(await statusOf(good), 204);
  });
});
