import type { Destination } from "../balancer/index.ts";
import type { SipResponse } from "../sip/index.ts";
import type { Listener } from "../transaction/index.ts";
import { Measured } from "./call-measures.ts";
import { NO_FORKS } from "./forks.ts";
import type { FailureCause, ForkTarget, TargetGuard } from "./ports.ts";
import { ResponseContext } from "./response-context.ts";

const NONE: readonly never[] = [];

/** What routers read and set of a request that they decide on, before and between its branches; see `ProxyCall`. */
export abstract class RoutedRequest extends ResponseContext {
  abstract requestUri: string;
  destinationUri: string | undefined = undefined;
  guard: TargetGuard | undefined = undefined;
  exemptUri: string | undefined = undefined;
  sendFrom: Listener | undefined = undefined;
  forkTo: readonly ForkTarget[] = NO_FORKS;
  response: SipResponse | undefined = undefined;
  status = 0;
  failureCause: FailureCause | undefined = undefined;
  failovers = 0;
  answerWithinMs: number | undefined = undefined;
  cutShort = false;
  measured: Measured = Measured.Nothing;
  protected target: Destination | undefined;
  protected addHeaders: readonly (readonly [string, string])[] = NONE;
  protected removeHeaders: readonly string[] = NONE;
  #variables: Map<string, unknown> | undefined;

  get variables(): Map<string, unknown> {
    this.#variables ??= new Map();
    return this.#variables;
  }

  protected noteFailover(): void {
    this.core.counters.failovers++;
    this.core.measures?.failedOver(this.failureCause);
  }

  setTarget(destination: Destination | undefined): void {
    this.target = destination;
  }

  addHeader(name: string, value: string): void {
    this.addHeaders = [...this.addHeaders, [name, value]];
  }

  removeHeader(name: string): void {
    this.removeHeaders = [...this.removeHeaders, name];
    this.addHeaders = this.addHeaders.filter(([added]) => added.toLowerCase() !== name.toLowerCase());
  }

  /** The destination that the request goes to. The script may have sent it elsewhere than to its pick: then no destination is concerned. */
  protected get addressee(): Destination | undefined {
    return this.target?.uri === this.destinationUri ? this.target : undefined;
  }

  /** Whether the guard has no say in where the request goes: the balancer or the configuration chose it. */
  protected get isExempt(): boolean {
    return this.addressee !== undefined || (this.exemptUri !== undefined && this.exemptUri === (this.destinationUri ?? this.requestUri));
  }
}
