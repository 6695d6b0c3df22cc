import type { DialogState } from "../../src/dialog/index.ts";
import { DialogKeeper } from "../../src/server/dialog-keeper.ts";
import type { MemoryDialogs } from "./memory-dialogs.ts";
import { settled } from "./settled.ts";
import { FR_INVITE_MS, SimNetwork } from "./sim-network.ts";

const ONE = ["203.0.113.1"];

/**
 * A whole proxy that keeps its calls; another one with the rows of the same store is what comes after a crash.
 *
 * @param former whose calls it takes over
 */
export function kept(
  store: MemoryDialogs,
  tokens: string,
  listeners?: SimNetwork["listener4"][],
  destinations = ONE,
  former?: { hasSwitched: boolean; readonly released: Promise<unknown> },
) {
  const net = new SimNetwork({ destinations, tokens, resources: "pstn=1000" });
  const keeper = new DialogKeeper({
    ...{ store, former },
    dialogs: net.dialogs,
    balancer: net.balancer,
    listeners: () => listeners ?? [net.listener4, net.listener6],
    earlyLifetimeMs: FR_INVITE_MS,
    nowMs: () => net.wheel.nowMs,
    wallMs: () => 1_700_000_000_000 + net.wheel.nowMs,
    after: (ms, run) => {
      const timer = net.wheel.schedule(ms, { timerFired: run }, 0, net.wheel.nowMs);
      return () => void net.wheel.cancel(timer);
    },
    log: net.core.log,
  });
  net.dialogs.onState = (dialog: { did: string; state: DialogState }) => keeper.stateChanged(dialog as never);
  keeper.tableChanged();
  return { net, keeper };
}

/** Time passes, and what is written meanwhile is written. */
export async function pass(net: SimNetwork, ms: number): Promise<void> {
  await net.runAsync(ms);
  await settled();
}
