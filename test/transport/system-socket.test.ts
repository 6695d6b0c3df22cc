import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import type { SendOwner } from "../../src/transaction/index.ts";
import type { DatagramHandler, DatagramSocket, DatagramSockets } from "../../src/transport/datagram-socket.ts";
import { chooseSockets } from "../../src/transport/datagram-sockets.ts";
import { SocketMemory } from "../../src/transport/socket-memory.ts";
import { SourceTable } from "../../src/transport/source-table.ts";
import { EAGAIN, loadSystemCalls, type SystemCalls } from "../../src/transport/system-calls.ts";
import { MAX_WAITING, SystemSockets } from "../../src/transport/system-socket.ts";
import { allSockets } from "../support/datagram-sockets.ts";
import { loopbacks } from "../support/loopback.ts";
import { waitFor } from "../support/net.ts";
import { silentListener } from "../support/silent-listener.ts";

const TIMEOUT_MS = 5_000;
const BURST = 10_000;
const EMFILE = 24;
const toClose: { close(): unknown }[] = [];

afterEach(async () => {
  for (const open of toClose.splice(0)) await open.close();
});

/** Keeps all that a socket tells. */
class Heard implements DatagramHandler {
  readonly texts: string[] = [];
  readonly ports = new Set<number>();
  readonly failures: string[] = [];
  lostCount = 0;
  onText: (text: string) => void = () => undefined;

  received(bytes: Buffer, start: number, end: number, source: { readonly port: number }): void {
    const text = bytes.toString("latin1", start, end);
    this.texts.push(text);
    this.ports.add(source.port);
    this.onText(text);
  }

  receiveFailed(error: NodeJS.ErrnoException): void {
    this.failures.push(`${error.syscall} ${error.code}`);
  }

  sendFailed(_text: string, _owner: SendOwner | undefined, error: NodeJS.ErrnoException, again?: NodeJS.ErrnoException | null): void {
    this.failures.push(again === undefined ? error.message : `${error.code}, then ${again?.code ?? "sent"}`);
  }

  lost(): void {
    this.lostCount++;
  }
}

async function open(sockets: DatagramSockets, address = "127.0.0.1"): Promise<{ socket: DatagramSocket; heard: Heard; port: number }> {
  const socket = await sockets.bind(address, 0, false);
  toClose.push(socket);
  const heard = new Heard();
  socket.start(heard, new SourceTable(silentListener(address)));
  socket.enlargeBuffers();
  return { socket, heard, port: socket.address().port };
}

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

const noise = (length: number): string => {
  let state = length + 1;
  const next = (): number => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223;
    return state >>> 24;
  };
  return Array.from({ length }, () => String.fromCharCode(next())).join("");
};

for (const { name, sockets } of await allSockets()) {
  describe(`a UDP socket on ${name}`, () => {
    for (const address of loopbacks()) {
      it(`carries datagrams of every size on ${address} as they are`, async () => {
        const { heard, socket, port } = await open(sockets, address);
        const want = [0, 1, 2, 7, 8, 512, 1_299, 1_500, 9_000, 32_768, 65_000, 65_507].map(noise);
        for (const text of want) {
          socket.send(text, address, port, undefined);
          await waitFor(`${text.length} bytes`, TIMEOUT_MS, () => heard.texts.at(-1)?.length === text.length);
        }
        assert.ok(heard.texts.every((text, i) => text === want[i]));
        assert.deepEqual([heard.failures, [...heard.ports]], [[], [port]]);
      });
    }

    it(`reads a burst of ${BURST} in order, each once, but for what the system threw away`, async () => {
      const { heard, socket, port } = await open(sockets);
      for (let i = 0; i < BURST; i++) socket.send(`datagram ${i}`, "127.0.0.1", port, undefined);
      socket.send("the end", "127.0.0.1", port, undefined);
      await waitFor("some of them", TIMEOUT_MS, () => heard.texts.length > 1_000);
      const numbers = heard.texts.filter((text) => text !== "the end").map((text) => Number(text.slice("datagram ".length)));
      assert.ok(numbers.every((number, i) => i === 0 || number > numbers[i - 1]!));
      assert.deepEqual(heard.failures, []);
    });

    it("tells 1,000 sources apart", async () => {
      const { heard, port } = await open(sockets);
      const ports = new Set<number>();
      for (let i = 0; i < 1_000; i++) {
        const source = createSocket("udp4");
        source.bind(0, "127.0.0.1");
        await once(source, "listening");
        ports.add(source.address().port);
        source.send("hello", port, "127.0.0.1", () => source.close());
      }
      await waitFor("all", TIMEOUT_MS, () => heard.texts.length === 1_000);
      assert.deepEqual([...heard.ports].sort(), [...ports].sort());
    });

    it("goes on with what a message left to a promise and to the next tick at once", async () => {
      const { heard, socket, port } = await open(sockets);
      const done: string[] = [];
      heard.onText = () => {
        void Promise.resolve().then(() => done.push("promise"));
        process.nextTick(() => done.push("tick"));
        setImmediate(() => done.push("immediate"));
      };
      socket.send("hello", "127.0.0.1", port, undefined);
      await waitFor("all", TIMEOUT_MS, () => done.length === 3);
      assert.equal(done.at(-1), "immediate");
    });

    it("says nothing more once it is closed, though much waits in it, and though it is closed by what came", async () => {
      const { heard, socket, port } = await open(sockets);
      heard.onText = () => void socket.close();
      for (let i = 0; i < 100; i++) socket.send(`datagram ${i}`, "127.0.0.1", port, undefined);
      await waitFor("the first", TIMEOUT_MS, () => heard.texts.length > 0);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await socket.close();
      socket.send("too late", "127.0.0.1", port, undefined);
      assert.deepEqual([heard.texts, heard.failures], [["datagram 0"], []]);
    });

    it("tells of each ICMP message of a peer, time after time", async () => {
      const gone = await sockets.bind("127.0.0.1", 0, false);
      const peer = gone.address();
      await gone.close();
      const socket = sockets.connect({ address: "127.0.0.1", port: 0 }, peer, false);
      toClose.push(socket);
      const heard = new Heard();
      socket.start(heard, new SourceTable(silentListener("127.0.0.1")));
      for (let i = 1; i <= 20; i++) {
        socket.sendConnected("refused", undefined);
        await waitFor(`refusal ${i}`, TIMEOUT_MS, () => heard.failures.length === i);
      }
      assert.deepEqual(new Set(heard.failures), new Set(["recvmsg ECONNREFUSED"]));
      const back = createSocket("udp4");
      toClose.push(back);
      back.bind({ ...peer, exclusive: true });
      await once(back, "listening");
      back.send("here again", socket.address().port, "127.0.0.1");
      await waitFor("its sign of life", TIMEOUT_MS, () => heard.texts.length === 1);
    });

    it("keeps no descriptor that was closed, nor one that could not be bound", async () => {
      const { port } = await open(sockets);
      const before = descriptors();
      for (let i = 0; i < 50; i++) {
        const socket = await sockets.bind("127.0.0.1", 0, false);
        socket.start(new Heard(), new SourceTable(silentListener("127.0.0.1")));
        await socket.close();
        await assert.rejects(sockets.bind("127.0.0.1", port, false), { code: "EADDRINUSE", message: `bind EADDRINUSE 127.0.0.1:${port}` });
        assert.throws(() => sockets.connect({ address: "127.0.0.1", port: 0 }, { address: "192.0.2.1", port: 5060 }, false));
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(descriptors(), before);
    });

    it("can be handed on as one of Node.js, and taken from there, without letting in others", async () => {
      const { heard, socket, port } = await open(sockets);
      const given = createSocket("udp4");
      given.bind({ fd: await descriptorOf(socket) });
      const taken = sockets.adopt(given);
      const other = new Heard();
      taken.start(other, new SourceTable(silentListener("127.0.0.1")));
      toClose.push(taken);
      await socket.close();
      const sender = await open(sockets);
      sender.socket.send("to the new one", "127.0.0.1", port, undefined);
      await waitFor("the message", TIMEOUT_MS, () => other.texts.length === 1);
      taken.send("from the new one", "127.0.0.1", sender.port, undefined);
      await waitFor("the answer", TIMEOUT_MS, () => sender.heard.texts.length === 1);
      assert.deepEqual([[...sender.heard.ports], heard.texts], [[port], []]);
      if (name === "system calls") await assert.rejects(bindWithReuse(port), { code: "EADDRINUSE" });
    });

    it("has a socket of Node.js for another process, beside which it goes on until both are closed", async () => {
      const { heard, socket, port } = await open(sockets);
      const handle = socket.handle();
      assert.equal(socket.handle(), handle);
      assert.deepEqual([handle.address().address, handle.address().port], ["127.0.0.1", port]);
      for (let i = 0; i < 100; i++) socket.send(`datagram ${i}`, "127.0.0.1", port, undefined);
      await waitFor("all, each once", TIMEOUT_MS, () => heard.texts.length === 100);
      assert.equal(new Set(heard.texts).size, 100);
      if (name === "system calls") await assert.rejects(bindWithReuse(port), { code: "EADDRINUSE" });
      await socket.close();
      assert.throws(() => handle.address());
      await bindWithReuse(port);
    });
  });
}

/** Another descriptor of a socket, as a process gets it that it is handed to. */
async function descriptorOf(socket: DatagramSocket): Promise<number> {
  const calls = await loadSystemCalls();
  const memory = new SocketMemory(calls);
  const { address, port } = socket.address();
  for (const name of readdirSync("/proc/self/fd")) {
    const place = memory.nameOf(Number(name), "getsockname");
    if (place?.address === address && place.port === port) return calls.duplicate(Number(name));
  }
  return assert.fail("no descriptor");
}

async function bindWithReuse(port: number): Promise<void> {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  toClose.push(socket);
  socket.bind({ address: "127.0.0.1", port, exclusive: true });
  await once(socket, "listening");
}

const calls = await loadSystemCalls().catch(() => undefined);
if (calls !== undefined) {
  const withCalls = (changed: Partial<SystemCalls>): SystemSockets => {
    const all = { ...calls, ...changed };
    return new SystemSockets(all, new SocketMemory(all));
  };

  describe("a UDP socket on system calls", () => {
    it("keeps what there is no room for, in order, sends it when there is, and lets what is beyond the bound be lost", async () => {
      let isFull = true;
      const sockets = withCalls({
        sendto: (...args) => (isFull ? -1 : calls.sendto(...args)),
        errno: () => (isFull ? EAGAIN : calls.errno()),
      });
      const { heard, socket, port } = await open(sockets);
      const want = Array.from({ length: MAX_WAITING }, (_, i) => `datagram ${i}`);
      for (const text of want) socket.send(text, "127.0.0.1", port, undefined);
      socket.send("too much", "127.0.0.1", port, undefined);
      assert.deepEqual([heard.lostCount, heard.texts.length], [1, 0]);
      isFull = false;
      socket.send("still behind them, and too much", "127.0.0.1", port, undefined);
      assert.equal(heard.lostCount, 2);
      await waitFor("all", TIMEOUT_MS, () => heard.texts.length === MAX_WAITING);
      socket.send("the last", "127.0.0.1", port, undefined);
      await waitFor("the last", TIMEOUT_MS, () => heard.texts.length === MAX_WAITING + 1);
      assert.deepEqual([heard.texts, heard.failures], [[...want, "the last"], []]);
    });

    it("says in the words of Node.js that there is no further descriptor", async () => {
      const sockets = withCalls({ socket: () => -1, errno: () => EMFILE });
      await assert.rejects(sockets.bind("127.0.0.1", 5060, false), {
        code: "EMFILE",
        syscall: "bind",
        message: "bind EMFILE 127.0.0.1:5060",
      });
    });

    it("is not chosen, with the reason, where it is not wanted or does not work", async () => {
      assert.equal((await chooseSockets("off")).reason, "sip.udp_system_calls is off");
      const missing = chooseSockets("auto", () => Promise.reject(new Error("no such library")));
      assert.equal((await missing).reason, "no such library");
      const broken = chooseSockets("auto", async () => ({ ...calls, sendto: () => -1, errno: () => 1 }));
      assert.match((await broken).reason ?? "", /^send EPERM 127\.0\.0\.1:\d+$/);
      assert.equal((await chooseSockets("auto")).reason, undefined);
    });

    it("serves each of several threads, which end when they have closed theirs", async () => {
      const code = `
        const { parentPort } = require("node:worker_threads");
        void (async () => {
          const { chooseSockets } = await import(${JSON.stringify(new URL("../../src/transport/datagram-sockets.ts", import.meta.url).href)});
          const { SourceTable } = await import(${JSON.stringify(new URL("../../src/transport/source-table.ts", import.meta.url).href)});
          const { reason, sockets } = await chooseSockets("auto");
          const socket = await sockets.bind("127.0.0.1", 0, false);
          const received = (bytes, start, end) => parentPort.postMessage(bytes.toString("latin1", start, end));
          socket.start({ received, receiveFailed() {}, sendFailed() {}, lost() {} }, new SourceTable({ family: 4 }));
          parentPort.once("message", () => socket.close());
          parentPort.postMessage(reason ?? socket.address().port);
        })();`;
      const { socket } = await open(withCalls({}));
      for (let i = 0; i < 3; i++) {
        const worker = new Worker(code, { eval: true });
        const [port] = (await once(worker, "message")) as [number];
        socket.send(`to thread ${i}`, "127.0.0.1", port, undefined);
        assert.deepEqual(await once(worker, "message"), [`to thread ${i}`]);
        worker.postMessage("close");
        assert.deepEqual(await once(worker, "exit"), [0]);
      }
    });
  });
}
