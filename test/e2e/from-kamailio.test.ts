import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import Database from "better-sqlite3";
import { parse, stringify } from "yaml";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { establish } from "../support/raw-call.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const ROOT = resolve(import.meta.dirname, "../..");
const TEXT = readFileSync(join(ROOT, "docs/from-kamailio.md"), "utf8");
/** Addresses of the document, and those that take their places. Each tutorial has some of its own: both run at port 5060. */
const DOCUMENTED = "192.0.2.";
const TIMEOUT_MS = 8_000;

/** The block of the document behind this name, with addresses that are there. */
function block(tutorial: number, file: string, net: string): string {
  const marker = `<!-- tutorial ${tutorial}: ${file} -->\n`;
  const start = TEXT.indexOf(marker);
  const found = /^```\w+\n([\s\S]*?)^```$/m.exec(TEXT.slice(start + marker.length));
  assert.ok(start !== -1 && found?.index === 0, `docs/from-kamailio.md has no block behind ${marker}`);
  return found[1]!.replaceAll(DOCUMENTED, net);
}

/** Runs the command line. @returns what it prints, behind its exit code */
async function run(words: readonly string[], cwd: string): Promise<string> {
  const child = spawn(process.execPath, [join(ROOT, "src/main.ts"), ...words], { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (printed += text));
  const [code] = (await once(child, "close")) as [number];
  return `${code} ${printed}`;
}

/** A media server at port 5060. It answers OPTIONS with 200 and calls with what it is told to; with 0 it answers nothing at all. */
class Server {
  readonly #socket: Socket;
  status = 486;
  readonly calls: string[] = [];
  readonly froms = new Set<string>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (bytes, from) => {
      const text = bytes.toString("latin1");
      if (statusOf(text) !== 0 || text.startsWith("ACK ")) return;
      if (text.startsWith("INVITE ")) this.calls.push(headerOf(text, "Call-ID"));
      if (text.startsWith("OPTIONS ")) this.froms.add(headerOf(text, "From").replace(/;tag=.*/, ""));
      if (this.status === 0) return;
      const answer = responseTo(text, text.startsWith("OPTIONS ") ? 200 : this.status, { toTag: "there" });
      socket.send(Buffer.from(answer, "latin1"), from.port, from.address);
    });
  }

  static async open(address: string): Promise<Server> {
    const socket = createSocket("udp4").unref();
    socket.bind(5060, address);
    await once(socket, "listening");
    return new Server(socket);
  }

  close(): void {
    this.#socket.close();
  }
}

/** Sends a call. @returns its final answer, acknowledged */
async function call(caller: UdpPeer, proxy: { address: string; port: number }): Promise<string> {
  const invite = request({ uri: `sip:100@${proxy.address}`, sentBy: caller.sentBy });
  caller.send(invite, proxy);
  const callId = headerOf(invite, "Call-ID");
  const final = await caller.next("its final answer", (text) => statusOf(text) >= 200 && headerOf(text, "Call-ID") === callId);
  const ack = { method: "ACK", uri: `sip:100@${proxy.address}`, sentBy: caller.sentBy, from: headerOf(final, "From"), callId };
  caller.send(request({ ...ack, to: headerOf(final, "To"), branch: /branch=([^;\r]+)/.exec(invite)![1]! }), proxy);
  return final;
}

describe("the tutorials of docs/from-kamailio.md, as they stand there", { concurrency: true }, () => {
  describe("with two media servers in turn", { concurrency: false }, () => {
    const net = "127.0.85.";
    const proxy = { address: `${net}10`, port: 5060 };
    const folder = mkdtempSync(join(tmpdir(), "headroom-tutorial-"));
    let headroom: Headroom;
    let caller: UdpPeer;
    let servers: UdpPeer[] = [];

    before(async () => {
      caller = await UdpPeer.open(`${net}2`);
      servers = await Promise.all([21, 22].map((n) => UdpPeer.open(`${net}${n}`, 5060)));
      headroom = await startHeadroom(block(1, "headroom.yaml", net), [], proxy.address);
    });
    after(async () => {
      await headroom?.stop();
      await Promise.all([caller, ...servers].map((peer) => peer?.close()));
      rmSync(folder, { recursive: true });
    });

    it("passes the check", async () => {
      writeFileSync(join(folder, "headroom.yaml"), block(1, "headroom.yaml", net));
      assert.match(await run(["check", "--config", "headroom.yaml"], folder), /^0 [\s\S]*headroom\.yaml can be used\n$/);
    });

    it("answers 404 while the set is empty", async () => {
      assert.equal(statusOf(await call(caller, proxy)), 404);
    });

    it("sends calls to the servers in turn once they are inserted, and BYE to that which has the call", async () => {
      const database = new Database(join(headroom.folder, "headroom.db"));
      database.exec(block(1, "destinations.sql", net));
      database.close();
      assert.match(await run(["ds", "reload", "--url", headroom.miUrl], folder), /^0 /);
      const shown = await run(["ds", "show", "--url", headroom.miUrl], folder);
      assert.match(shown, new RegExp(`${net}22:5060[^\\n]*\\n[\\s\\S]*${net}21:5060`));
      for (const n of [1, 0, 1, 0]) {
        const callee = servers[n]!;
        const one = await establish(proxy, caller, callee);
        caller.send(one.fromCaller("BYE", 2), proxy);
        const bye = await callee.next("BYE", (text) => text.startsWith("BYE ") && headerOf(text, "Call-ID") === one.callId);
        callee.send(responseTo(bye, 200), proxy);
        await caller.nextFinal("BYE");
      }
    });
  });

  describe("with weights, pings and failover", { concurrency: true }, () => {
    const folder = mkdtempSync(join(tmpdir(), "headroom-tutorial-"));
    after(() => rmSync(folder, { recursive: true }));

    for (const [way, net] of [
      ["by rules", "127.0.86."],
      ["by a route module", "127.0.87."],
    ] as const) {
      describe(way, { concurrency: false }, () => {
        const proxy = { address: `${net}10`, port: 5060 };
        const own = join(folder, net);
        let headroom: Headroom;
        let caller: UdpPeer;
        let servers: Server[] = [];
        const flagsOf = async (n: number): Promise<string> => {
          const printed = JSON.stringify(await headroom.mi("dispatcher.list", ["short"]));
          return new RegExp(`"URI":"sip:${net}${31 + n}:5060","FLAGS":"(\\w+)"`).exec(printed)?.[1] ?? printed;
        };
        const settings = (): string => {
          const config = parse(block(2, "headroom.yaml", net)) as { dispatcher: Record<string, string>; routing: object };
          config.dispatcher.list_file = `${own}dispatcher.list`;
          if (way === "by a route module") config.routing = { script: `${own}dispatch.mjs` };
          return stringify(config);
        };

        before(async () => {
          caller = await UdpPeer.open(`${net}2`);
          servers = await Promise.all([31, 32, 33].map((n) => Server.open(`${net}${n}`)));
          writeFileSync(`${own}dispatcher.list`, block(2, "dispatcher.list", net));
          writeFileSync(`${own}dispatch.mjs`, block(2, "dispatch.mjs", net));
          headroom = await startHeadroom(settings(), [], proxy.address);
        });
        after(async () => {
          await headroom?.stop();
          await caller?.close();
          for (const server of servers) server.close();
        });

        it("passes the check, with three destinations", async () => {
          writeFileSync(`${own}headroom.yaml`, settings());
          const printed = await run(["check", "--config", `${own}headroom.yaml`], folder);
          assert.match(printed, /^0 3 destinations in 1 sets of the dispatcher can be used\n[\s\S]*headroom\.yaml can be used\n$/);
        });

        it("gives each server a third of the calls, and tells callers that one is busy", async () => {
          for (let i = 0; i < 30; i++) assert.equal(statusOf(await call(caller, proxy)), 486);
          assert.deepEqual(
            servers.map(({ calls }) => calls.length),
            [10, 10, 10],
          );
        });

        it("goes on to the next server when one does not answer, and leaves it out once it is inactive", async () => {
          const [silent] = servers;
          silent!.status = 0;
          for (let i = 0; i < 3; i++) assert.equal(statusOf(await call(caller, proxy)), 486);
          await waitFor("two probes have failed", TIMEOUT_MS, async () => (await flagsOf(0)) === "IP");
          assert.match(await run(["ds", "list", "--url", headroom.miUrl], folder), /^0 [\s\S]*FLAGS: IP/);
          const before = silent!.calls.length;
          for (let i = 0; i < 4; i++) assert.equal(statusOf(await call(caller, proxy)), 486);
          assert.equal(silent!.calls.length, before);
          assert.deepEqual([...servers[1]!.froms], [`<sip:headroom@${net}10>`]);
        });

        it("tells callers when all refuse, and takes the server back when it answers again", async () => {
          for (const server of servers) server.status = 503;
          assert.equal(statusOf(await call(caller, proxy)), way === "by rules" ? 500 : 503);
          await waitFor("two probes were answered", TIMEOUT_MS, async () => (await flagsOf(0)) === "AP");
        });
      });
    }
  });
});
