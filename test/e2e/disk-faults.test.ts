import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import Database from "better-sqlite3";
import { CallStorm, type StormCall } from "../support/call-storm.ts";
import { CountingCallee } from "../support/counting-callee.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";

const BALANCER = "127.0.78.1";
const CALLER = "127.0.78.2";
const CALLEE = "127.0.78.3";
const CONFIG = "{ tm: { fr_timeout: 5 }, routing: { rules: [{ group: 1, resources: pstn, disable_on: [] }] } }";
/** A call waits for no disk: SQLite waits 250 ms for a lock, and each of its attempts would show. A busy machine may take a while for itself. */
const CALL_MS = 5_000;
/** Between two attempts to write it is 1 s at most; the rest is for a busy machine. */
const RETRY_MS = 10_000;

async function counter(headroom: Headroom, name: string): Promise<number> {
  const full = `dialog:persist_${name}`;
  return ((await headroom.mi("get_statistics", [[full]])) as Record<string, number>)[full] ?? Number.NaN;
}

async function untilWritten(headroom: Headroom): Promise<void> {
  await waitFor("all is written", RETRY_MS, async () => (await counter(headroom, "pending")) === 0);
}

/** Largest file that the process may make, bytes: beyond it a write fails as on a full disk (EFBIG, SIGXFSZ). */
function limitFiles(headroom: Headroom, bytes: number | "unlimited"): void {
  execFileSync("prlimit", [`--pid=${headroom.pid}`, `--fsize=${bytes}:unlimited`]);
}

describe("a disk that fails under a running program", () => {
  it("holds up no call, is told of and counted, and has all calls once it works again", async () => {
    const callee = await CountingCallee.open(CALLEE);
    const storm = await CallStorm.open(CALLER);
    const headroom = await startHeadroom(CONFIG, [{ uri: callee.uri, resources: "pstn=1000" }], BALANCER);
    const file = join(headroom.folder, "headroom.db.calls");
    const calls: StormCall[] = [];
    const call = async (count: number): Promise<void> => {
      const sinceMs = performance.now();
      const made = await Promise.all(Array.from({ length: count }, () => storm.call(headroom)));
      assert.ok(performance.now() - sinceMs < CALL_MS);
      for (const one of made) calls.push(one!);
    };
    const hangUp = async (count: number): Promise<void> => void (await Promise.all(calls.splice(0, count).map((one) => storm.hangUp(one))));
    const failing = async (): Promise<void> => {
      const before = await counter(headroom, "failures");
      await call(15);
      await hangUp(10);
      await waitFor("writing fails", RETRY_MS, async () => (await counter(headroom, "failures")) >= before + 3);
      assert.ok((await counter(headroom, "pending")) > 0);
    };
    /** What a crash leaves is what the destination has. */
    const crash = async (): Promise<void> => {
      await untilWritten(headroom);
      await headroom.restart("SIGKILL");
      assert.deepEqual(await headroom.loads(), [callee.calls]);
      assert.equal(callee.calls, calls.length);
    };
    try {
      await call(20);
      await untilWritten(headroom);
      limitFiles(headroom, 0);
      await failing();
      await headroom.untilLogged(/Cannot write calls down, trying again: a crash loses them/);
      limitFiles(headroom, "unlimited");
      await crash();
      assert.match(headroom.log(), /Calls can be written down again/);

      // Somebody takes the file away, and another program has the one that stands there then.
      for (const name of [file, `${file}-wal`]) rmSync(name, { force: true });
      const other = new Database(file);
      try {
        other.pragma("locking_mode = EXCLUSIVE");
        other.exec("BEGIN EXCLUSIVE");
        await failing();
      } finally {
        other.close();
      }
      const another = "The file of calls is another one now: all calls are written into it";
      await waitFor(another, RETRY_MS, () => headroom.log().includes(another));
      await crash();

      await hangUp(calls.length);
      await headroom.untilIdle();
      assert.equal(storm.counts.silent, 0);
    } finally {
      await headroom.stop();
      await storm.close();
      await callee.close();
    }
  });
});
