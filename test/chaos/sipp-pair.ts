import { ChaosRelay } from "../support/chaos-relay.ts";
import { freeUdpPort } from "../support/net.ts";
import { type Sipp, startCallee, startCaller } from "../support/sipp.ts";

/** Its callers make as many calls a second, held this long. */
export const SIPP_RATE = 3;
const HOLD_MS = 2_000;
/** More than any run makes. */
const CALLS = 100_000;
const TIMEOUT_MS = 3_600_000;
/** What lies between sipp's caller and the balancer. sipp's callee gets everything: it does not answer an INVITE that comes again. */
const QUALITY = { loss: 0.03, duplication: 0.02, reordering: 0.05, delayMs: 20 };

/** A real caller and a real callee, each a process of sipp, that can be killed. */
export class SippPair {
  /** Calls that the callees took in all their lives, and that callers made. */
  taken = 0;
  made = 0;
  kills = 0;
  readonly #relay: ChaosRelay;
  readonly #callerPlace: { address: string; port: number };
  readonly #calleePlace: { address: string; port: number };
  #caller: Sipp | undefined;
  #callee: Sipp | undefined;

  private constructor(relay: ChaosRelay, callerPlace: SippPair["callerPlace"], calleePlace: SippPair["callerPlace"]) {
    this.#relay = relay;
    this.#callerPlace = callerPlace;
    this.#calleePlace = calleePlace;
  }

  /** Takes places for both. @param net first three numbers of loopback addresses */
  static async open(
    net: string,
    seed: number,
    balancer: { readonly address: string; readonly port: number },
    port: number,
  ): Promise<SippPair> {
    const callerPlace = { address: `${net}.31`, port: await freeUdpPort(`${net}.31`) };
    const relay = await ChaosRelay.open({ address: `${net}.32`, target: balancer, port: callerPlace.port, quality: QUALITY, seed });
    return new SippPair(relay, callerPlace, { address: `${net}.33`, port });
  }

  get callerPlace(): { readonly address: string; readonly port: number } {
    return this.#callerPlace;
  }

  async startCallee(): Promise<void> {
    this.#callee ??= await startCallee({ scenario: "callee", ...this.#calleePlace, answersProbes: true });
  }

  async startCaller(): Promise<void> {
    this.#caller ??= await startCaller({
      ...{ scenario: "caller-patient", ...this.#callerPlace, target: this.#relay.front, calls: CALLS, rate: SIPP_RATE, holdMs: HOLD_MS },
      ...{ inviteRetransmissions: 9, timeoutMs: TIMEOUT_MS, answersProbes: true },
    });
  }

  async killCaller(): Promise<void> {
    const caller = this.#caller;
    this.#caller = undefined;
    if (caller === undefined) return;
    this.kills++;
    this.made += caller.statistics().created;
    await caller.kill();
  }

  async killCallee(): Promise<void> {
    const callee = this.#callee;
    this.#callee = undefined;
    if (callee === undefined) return;
    this.kills++;
    this.taken += callee.statistics().created;
    await callee.kill();
  }

  /** Calls that the callee has, as of the last whole second. */
  get held(): number {
    if (this.#callee === undefined) return 0;
    const { created, successful, failed } = this.#callee.statistics();
    return created - successful - failed;
  }

  async close(): Promise<void> {
    await this.killCaller();
    await this.killCallee();
    await this.#relay.close();
  }
}
