import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { describe, it } from "node:test";
import { HEARTBEAT_MS } from "../../src/events/index.ts";
import { IDLE_TIMEOUT_MS, MAX_CONNECTIONS, METHOD_TIMEOUT_MS } from "../../src/management/limits.ts";
import { type ConnectionTimes, createManagementServer, type ManagementServer } from "../../src/management/server.ts";
import { waitFor } from "../support/net.ts";
import { fakePorts } from "./fake-ports.ts";
import { call, post } from "./raw-http.ts";

const QUICK: ConnectionTimes = { receiveMs: 300, checkMs: 50, keepAliveMs: 200, idleMs: 60_000 };
const BODY = '{"jsonrpc":"2.0","id":1,"method":"version"}';
const POST = `POST /mi HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n`;
/** More than the buffers of a connection on both sides take. */
const LARGE = "x".repeat(16 * 1024 * 1024);

interface Answering {
  begun: number;
  closed: number;
}

async function withServer(
  connections: ConnectionTimes,
  use: (server: ManagementServer, answering: Answering) => Promise<void>,
): Promise<void> {
  const answering: Answering = { begun: 0, closed: 0 };
  const answer = (text: string, ends: boolean) => (_request: IncomingMessage, response: ServerResponse) => {
    answering.begun++;
    response.on("close", () => answering.closed++);
    response.writeHead(200).write(text);
    if (ends) response.end();
  };
  const ports = fakePorts({ streams: { "/large": answer(LARGE, true), "/quiet": answer("begun", false) } });
  const server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [], connections });
  try {
    await use(server, answering);
  } finally {
    await server.close();
  }
}

/** Opens connections that send `text` and then nothing; answers how many are still open. */
function open(server: ManagementServer, count: number, text: string, reads = true): { sockets: Socket[]; left: () => number } {
  const { hostname, port } = new URL(server.url);
  const sockets = Array.from({ length: count }, () => {
    const socket = connect(Number(port), hostname, () => {
      if (text !== "") socket.write(text);
    });
    socket.on("error", () => undefined);
    if (reads) socket.resume();
    return socket;
  });
  return { sockets, left: () => sockets.filter(({ closed }) => !closed).length };
}

describe("connections that take all places", () => {
  for (const [name, text] of [
    ["send nothing", ""],
    ["send half a request line", "POST /mi HT"],
    ["send headers that never end", "POST /mi HTTP/1.1\r\nHost: localhost\r\nX-A: "],
    ["send no body", POST],
    ["send nothing more after an answer", POST + BODY],
  ] as const) {
    it(`are closed when they ${name}, and others get through again`, async () => {
      await withServer(QUICK, async (server) => {
        const { sockets, left } = open(server, MAX_CONNECTIONS, text);
        try {
          await waitFor("all are connected", 2_000, () => sockets.every(({ connecting }) => !connecting));
          await waitFor("all are closed", 3_000, () => left() === 0);
          assert.equal(typeof (await call(server.url, "version")), "object");
        } finally {
          for (const socket of sockets) socket.destroy();
        }
      });
    });
  }

  it("make room at once for somebody who says who he is, however often they come", async () => {
    const config = {
      host: "127.0.0.1",
      port: 0,
      root: "mi",
      bearerTokens: ["operator-token"],
      connections: { ...QUICK, receiveMs: 60_000 },
    };
    const server = await createManagementServer(fakePorts(), config);
    const { sockets, left } = open(server, MAX_CONNECTIONS + 20, "POST /mi HT");
    try {
      await waitFor("all are connected or closed again", 2_000, () => sockets.every(({ connecting }) => !connecting));
      const headers = [["Authorization", "Bearer operator-token"]] as const;
      const { status } = await post(server.url, { jsonrpc: "2.0", id: 1, method: "version" }, headers);
      assert.equal(status, 200);
      await waitFor("those that are too many are closed", 2_000, () => left() <= MAX_CONNECTIONS);
    } finally {
      for (const socket of sockets) socket.destroy();
      await server.close();
    }
  });

  for (const [name, path] of [
    ["do not read their answer", "/large"],
    ["listen to something that has no heartbeat", "/quiet"],
  ] as const) {
    it(`are closed when they ${name}`, async () => {
      await withServer({ ...QUICK, idleMs: 300 }, async (server, answering) => {
        const { sockets } = open(server, 3, `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`, false);
        try {
          await waitFor("all get an answer", 2_000, () => answering.begun === 3);
          await waitFor("all are closed", 3_000, () => answering.closed === 3);
        } finally {
          for (const socket of sockets) socket.destroy();
        }
      });
    });
  }

  it("have time for what takes time: a method, and the next heartbeat of a stream", () => {
    assert.ok(IDLE_TIMEOUT_MS > METHOD_TIMEOUT_MS && IDLE_TIMEOUT_MS > 2 * HEARTBEAT_MS);
  });
});
