import type { Balancer } from "../../src/balancer/index.ts";
import type { OutcomeSettings } from "../../src/health/index.ts";
import type { Network, ProxyCore, Router } from "../../src/proxy/index.ts";

/** What the wire does to messages; all chances are from 0 to 1. */
export interface LinkFaults {
  readonly loss: number;
  readonly duplication: number;
  /** Each message takes 1 to this many ticks of 10 ms, so that messages overtake each other. */
  readonly delayTicks: number;
}

export interface SimOptions {
  readonly seed?: number;
  /** Without it messages arrive at once, in order, each once. */
  readonly faults?: LinkFaults;
  /** Addresses of the destinations in group 1. */
  readonly destinations?: readonly string[];
  readonly resources?: string;
  readonly router?: (balancer: Balancer) => Router;
  /** Source addresses that may send initial requests; all without it. */
  readonly allowed?: readonly string[];
  /** Address of a host name; names have none without it. */
  readonly resolve?: (host: string) => string | undefined | Promise<string | undefined>;
  /** All addresses of a name, in place of the one that `resolve` answers. */
  readonly locate?: Network["locate"];
  readonly maxDialogs?: number;
  /** Answers REGISTER; nobody may register without it. */
  readonly registrar?: ProxyCore["registrar"];
  /** Calls of other nodes; there are none without it. */
  readonly elsewhere?: ProxyCore["elsewhere"];
  /** Hosts of other nodes, port 5060. */
  readonly peerNodes?: readonly string[];
  /** Begins each token, so that those of two networks differ. */
  readonly tokens?: string;
  /** Limits of what is taken; there are none without it. */
  readonly overload?: ProxyCore["overload"];
  /** How often calls are pinged that ask for it; none are without it. */
  readonly pings?: ProxyCore["pings"];
  /** Breakers and rests; nobody judges calls without it. */
  readonly outcomes?: OutcomeSettings;
}

/** A line of the log. */
export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly fields: object;
  readonly message: string;
}
