import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { performance } from "node:perf_hooks";
import { describe, it } from "node:test";
import { TimerWheel } from "../../src/transaction/index.ts";
import { startTicker } from "../../src/transport/ticker.ts";

/** Fits a socket's default receive buffer. */
const MESSAGES = 100;

const nowMs = (): number => performance.now();

function standStill(ms: number): void {
  const until = nowMs() + ms;
  while (nowMs() < until);
}

/** Runs a test with a ticking wheel that stops whatever happens. */
async function withTicker(run: (wheel: TimerWheel, stop: () => void) => Promise<void>): Promise<void> {
  const wheel = new TimerWheel(nowMs(), assert.ifError);
  const stop = startTicker(wheel, nowMs);
  try {
    await run(wheel, stop);
  } finally {
    stop();
  }
}

function fires(wheel: TimerWheel, delayMs: number, onFire = (): void => undefined): Promise<void> {
  return new Promise((resolve) => {
    const timerFired = (): void => {
      onFire();
      resolve();
    };
    wheel.schedule(delayMs, { timerFired }, 0, nowMs());
  });
}

describe("the ticker", () => {
  it("fires timers when they are due", () =>
    withTicker(async (wheel) => {
      const start = nowMs();
      await fires(wheel, 60);
      assert.ok(nowMs() - start >= 60);
    }));

  it("lets the sockets speak first after a standstill: an answer that came in time is not taken for silence", () =>
    withTicker(async (wheel) => {
      const socket = createSocket("udp4").bind(0, "127.0.0.1");
      const sender = createSocket("udp4");
      try {
        await once(socket, "listening");
        const events: string[] = [];
        socket.on("message", () => events.push("message"));
        const fired = fires(wheel, 100, () => events.push("timer"));
        const { port } = socket.address();
        await Promise.all(
          Array.from({ length: MESSAGES }, () => new Promise((resolve) => sender.send("answer", port, "127.0.0.1", resolve))),
        );
        events.length = 0; // what was read before the standstill does not count
        for (let i = 0; i < MESSAGES; i++) sender.send("answer", port, "127.0.0.1");
        standStill(700);
        await fired;
        const before = events.indexOf("timer");
        assert.ok(before >= MESSAGES, `${before} of at least ${MESSAGES} messages came before the timer`);
      } finally {
        sender.close();
        socket.close();
      }
    }));

  it("goes on ticking afterwards, and stops when told", () =>
    withTicker(async (wheel, stop) => {
      standStill(600);
      await fires(wheel, 50);
      stop();
      const before = wheel.nowMs;
      await new Promise((resolve) => setTimeout(resolve, 40));
      assert.equal(wheel.nowMs, before);
    }));
});
