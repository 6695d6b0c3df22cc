import { TICK_MS, type TimerWheel } from "../transaction/index.ts";

/** A tick that comes this much too late tells that the process, or the machine, stood still. */
const LATE_MS = 500;
/** Turns of the event loop that are given to the sockets then: each reads some thirty datagrams of every socket. */
const CATCH_UP_TURNS = 64;

/**
 * Drives the timer wheel. After a standstill what has arrived meanwhile is processed first: else the timers would declare peers silent
 * whose answers wait in our own sockets, and healthy destinations would be disabled for it.
 *
 * @param nowMs monotonic milliseconds
 * @returns how to stop it
 */
export function startTicker(wheel: TimerWheel, nowMs: () => number): () => void {
  let lastMs = nowMs();
  let catchingUp = false;
  const interval = setInterval(() => {
    const now = nowMs();
    const late = now - lastMs > LATE_MS;
    lastMs = now;
    if (catchingUp) return;
    if (late) catchUp(CATCH_UP_TURNS);
    else wheel.advance(now);
  }, TICK_MS);

  function catchUp(turns: number): void {
    catchingUp = turns > 0;
    if (catchingUp) setImmediate(() => catchUp(turns - 1));
    else wheel.advance(nowMs());
  }

  return () => clearInterval(interval);
}
