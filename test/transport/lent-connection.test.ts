import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LentConnection } from "../../src/transport/lent-connection.ts";

describe("a connection that another process has", () => {
  it("hands over what is sent, and tells of its end once, later, those who watch it and those who have sent requests", async () => {
    const written: string[] = [];
    const told: string[] = [];
    const connection = new LentConnection((text) => written.push(text));
    const gone = { connectionEnded: () => void told.push("gone") };
    const left = { connectionEnded: () => void told.push("left") };
    connection.watch(gone);
    connection.watch(left);
    connection.unwatch(left);
    connection.send("a", { transportError: (reason) => void told.push(reason) });
    connection.send("b", undefined);
    connection.end();
    connection.end();
    assert.equal(connection.isOpen, false);
    assert.deepEqual(told, []);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(written, ["a", "b"]);
    assert.deepEqual(told, ["gone", "the connection ended with the process that had it"]);
  });

  it("remembers the last requests alone", async () => {
    let told = 0;
    const connection = new LentConnection(() => undefined);
    for (let i = 0; i < 5_000; i++) connection.send("x", { transportError: () => void told++ });
    connection.end();
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(told >= 512 && told <= 1_024, `${told} were told`);
  });
});
