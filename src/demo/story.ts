import type { BalancerProcess } from "./balancer-process.ts";
import type { Callers } from "./callers.ts";
import type { MediaServer } from "./media-server.ts";
import type { SimulatedSwitch } from "./simulated-switch.ts";

const TOTAL_CAPACITY = 100;

/** One chapter: what is told, how long it lasts (a share of the whole), and what happens when it begins. */
export interface Chapter {
  readonly text: string;
  readonly share: number;
  begin(): Promise<void> | void;
}

/** Who takes part, and the length of a call. */
export interface StoryParts {
  readonly servers: readonly MediaServer[];
  readonly callers: Callers;
  readonly balancer: BalancerProcess;
  readonly holdMs: number;
}

/** So many calls a second that about `calls` are up at a time. */
function paceFor({ callers, holdMs }: StoryParts, calls: number): void {
  callers.pace((calls * 1000) / holdMs, holdMs);
}

/** Fixed capacities: calls spread, a server dies, it comes back, all are full. */
export function fixedStory(parts: StoryParts): readonly Chapter[] {
  const { servers, callers, balancer } = parts;
  const largest = servers.at(-1) as MediaServer;
  return [
    {
      text: "70 calls at a time spread over servers of 10, 20, 30 and 40 calls: free slots stay level",
      share: 0.3,
      begin: () => paceFor(parts, 70),
    },
    {
      text: `${largest.name} dies: its next call fails over, then it gets no more`,
      share: 0.28,
      begin: () => {
        largest.kill();
        paceFor(parts, 40);
      },
    },
    {
      text: `${largest.name} is back (lb_status 4 1), and 200 calls want in: all are full, the rest hear 503`,
      share: 0.28,
      begin: async () => {
        largest.start();
        await balancer.mi("lb_status", [4, 1]);
        paceFor(parts, 2 * TOTAL_CAPACITY);
      },
    },
    { text: "Everybody hangs up: every load goes back to zero", share: 0.14, begin: () => callers.hangUpAll() },
  ];
}

/** Capacities from heartbeats: they follow the CPU, a server gets busy with other things, another is paused. */
export function freeswitchStory(parts: StoryParts, switches: readonly SimulatedSwitch[]): readonly Chapter[] {
  const { servers, callers } = parts;
  const [, , third, fourth] = switches;
  return [
    {
      text: "30 calls at a time: each second heartbeats tell sessions and Idle-CPU, and capacities follow them",
      share: 0.3,
      begin: () => paceFor(parts, 30),
    },
    {
      text: `${servers[3]?.name} gets busy, its Idle-CPU falls. 12/6: the 12 that are up stay, it takes 6 now`,
      share: 0.28,
      begin: () => {
        if (fourth !== undefined) fourth.strain = 65;
      },
    },
    {
      text: `${servers[2]?.name} is paused: its calls stay, it takes no new ones, 0/0 in the end; ${servers[3]?.name} recovers`,
      share: 0.28,
      begin: () => {
        if (fourth !== undefined) fourth.strain = 0;
        if (third !== undefined) third.paused = true;
      },
    },
    {
      text: "Everybody hangs up: every load goes back to zero",
      share: 0.14,
      begin: () => {
        if (third !== undefined) third.paused = false;
        callers.hangUpAll();
      },
    },
  ];
}
