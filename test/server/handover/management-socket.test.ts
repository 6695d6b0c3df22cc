import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, createServer, request, type Server } from "node:http";
import { type AddressInfo, connect, Socket } from "node:net";
import { after, describe, it } from "node:test";
import { LeavingManagement } from "../../../src/server/handover/management-socket.ts";

const LIMIT_MS = 10_000;

describe("the management interface of a process that is relieved", () => {
  const open: { close(): void }[] = [];
  after(() => {
    for (const part of open) part.close();
  });

  async function serve(answerMs: number): Promise<{ server: Server; port: number }> {
    const server = createServer((_request, response) => void setTimeout(() => response.end("done"), answerMs));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    open.push({ close: () => server.closeAllConnections() });
    return { server, port: (server.address() as AddressInfo).port };
  }

  /** @returns what is said of the connection in the answer */
  async function ask(port: number, agent: Agent): Promise<string | undefined> {
    const asked = request({ host: "127.0.0.1", port, agent });
    asked.end();
    const [response] = await once(asked, "response");
    response.resume();
    await once(response, "end");
    return response.headers.connection;
  }

  function kept(): Agent {
    const agent = new Agent({ keepAlive: true });
    open.push({ close: () => agent.destroy() });
    return agent;
  }

  it("answers what comes on a connection that was kept, ends that with the answer, and is empty then", async () => {
    const { server, port } = await serve(20);
    const agent = kept();
    assert.equal(await ask(port, agent), "keep-alive");
    const leaving = new LeavingManagement(server, () => true);
    leaving.leave();
    let isEmpty = false;
    const empty = leaving.untilEmpty(LIMIT_MS).then(() => {
      isEmpty = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(isEmpty, false);
    assert.equal(await ask(port, agent), "close");
    await empty;
  });

  it("waits for who has come before it left and asks only now, and takes nobody after it", async () => {
    const { server, port } = await serve(0);
    const early = connect(port, "127.0.0.1");
    open.push({ close: () => early.destroy() });
    await once(server, "connection");
    const leaving = new LeavingManagement(server, () => true);
    leaving.leave();
    const late = new Socket();
    const [error] = await Promise.all([once(late, "error"), late.connect(port, "127.0.0.1")]);
    assert.equal(error[0].code, "ECONNREFUSED");
    const empty = leaving.untilEmpty(LIMIT_MS);
    early.write("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    let said = "";
    early.setEncoding("utf8").on("data", (text: string) => (said += text));
    await Promise.all([once(early, "end"), empty]);
    assert.match(said, /^HTTP\/1\.1 200 [\s\S]*Connection: close[\s\S]*done/);
  });

  it("tells whoever asks to open another connection as soon as a restart begins, and no more when it was given up", async () => {
    const { server, port } = await serve(0);
    const leaving = new LeavingManagement(server, () => true);
    assert.equal(await ask(port, kept()), "close");
    leaving.stay();
    assert.equal(await ask(port, kept()), "keep-alive");
    await leaving.untilEmpty(LIMIT_MS); // nobody is asked to go
    server.close();
  });

  it("waits no longer than it may", async () => {
    const { server } = await serve(0);
    const leaving = new LeavingManagement(server, () => false);
    const sinceMs = performance.now();
    await leaving.untilEmpty(120);
    assert.ok(performance.now() - sinceMs >= 120);
    server.close();
  });
});
