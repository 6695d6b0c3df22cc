import type { LbCode } from "../balancer/index.ts";
import { type CallContext, mayAct } from "./call-context.ts";
import { pointAtPick } from "./point-at.ts";
import { checkGroup, checkString } from "./script-values.ts";

/** A destination as scripts see it: a row of the table. */
export interface LbDestination {
  readonly id: number;
  readonly group: number;
  readonly uri: string;
  readonly attrs: string | undefined;
  readonly description: string | undefined;
}

const DONE = 1;
const GENERIC_ERROR = -1;

/**
 * The functions of OpenSIPS' load_balancer module, for one call.
 *
 * Each answers true for OpenSIPS' 1 and false for its negative codes, so that `if (call.lb.start(…))` reads as it does there;
 * `code` tells which one it was. Without effect (-1) in reply(), and once the call was relayed, answered, dropped or cancelled.
 */
export class LoadBalancing {
  readonly #context: CallContext;
  #code: LbCode | 0 = 0;

  constructor(context: CallContext) {
    this.#context = context;
  }

  /**
   * The code of the latest function here, OpenSIPS' `$rc`: 1 done; -1 no session, or an ill-formed list; -2 no capacity;
   * -3 no destination left or available; -4 a resource that no destination has. 0 before the first.
   */
  get code(): LbCode | 0 {
    return this.#code;
  }

  /** Attributes of the destination selected last; "" when there are none, or none is selected. */
  get attrs(): string {
    const { balancer, proxyCall } = this.#context;
    return balancer.attrs(proxyCall.load);
  }

  /**
   * `lb_start`: selects the least loaded destination of a group that has all the resources, counts the call there and sets
   * `call.destinationUri`. The Request-URI stays.
   *
   * @param resources names with semicolons between them
   * @param flags `n` also beyond capacity, `r` relative to capacity, `s` random among equals
   */
  start(group: number, resources: string, flags = ""): boolean {
    checkGroup("lb.start", group);
    checkString("lb.start", "resources", resources);
    checkString("lb.start", "flags", flags);
    return this.#select("lb.start", (balancer, load) => balancer.start(load, group, resources, flags));
  }

  /**
   * Where loads are counted exactly in a cluster: asks what calls the other nodes have now. True: a `start()` that answered -2 may find a place. It takes
   * 50 ms at most; await it. False at once where nothing is counted exactly.
   */
  async refresh(group: number, resources: string): Promise<boolean> {
    checkGroup("lb.refresh", group);
    checkString("lb.refresh", "resources", resources);
    return (await this.#context.admission?.refresh(group, resources)) ?? false;
  }

  /** `lb_next`: gives up the current destination and selects the next best that this session has not tried. */
  next(): boolean {
    return this.#select("lb.next", (balancer, load) => balancer.next(load));
  }

  /** `lb_start_or_next`: `next()` when a session is under way, else `start()`. */
  startOrNext(group: number, resources: string, flags = ""): boolean {
    checkGroup("lb.startOrNext", group);
    checkString("lb.startOrNext", "resources", resources);
    checkString("lb.startOrNext", "flags", flags);
    return this.#select("lb.startOrNext", (balancer, load) => balancer.startOrNext(load, group, resources, flags));
  }

  /** `load_balance`: the old name of `startOrNext()`. */
  loadBalance(group: number, resources: string, flags = ""): boolean {
    return this.startOrNext(group, resources, flags);
  }

  /** `lb_reset`: ends the session and un-counts the call; a new `start()` may select any destination again. */
  reset(): boolean {
    return this.#act("lb.reset", (balancer, load) => balancer.reset(load));
  }

  /** `lb_is_started`: whether a session is under way. */
  isStarted(): boolean {
    const { balancer, proxyCall } = this.#context;
    return balancer.isStarted(proxyCall.load);
  }

  /**
   * `lb_disable_dst`: disables the destination selected last, for every call, until it is enabled again. One that was enabled after this call
   * selected it stays enabled; the answer is true all the same.
   */
  disableDst(): boolean {
    return this.#act("lb.disableDst", (balancer, load) => balancer.disableDestination(load));
  }

  /**
   * `lb_is_destination`: the destination that has this address, or `undefined`.
   *
   * @param port 0 matches any port
   * @param group -1 matches any group
   * @param active whether it has to be enabled
   */
  isDestination(ip: string, port: number, group = -1, active = false): LbDestination | undefined {
    checkString("lb.isDestination", "ip", ip);
    checkGroup("lb.isDestination", group);
    const found = this.#context.balancer.isDestination(ip, port, group, active);
    this.#code = found ? DONE : GENERIC_ERROR;
    return found;
  }

  /**
   * `lb_count_call`: counts the call on the destination that has this address, without routing it there.
   *
   * @param group -1 for any
   * @param undo takes back what was counted for these resources
   */
  countCall(ip: string, port: number, group: number, resources: string, undo = false): boolean {
    checkString("lb.countCall", "ip", ip);
    checkGroup("lb.countCall", group);
    checkString("lb.countCall", "resources", resources);
    return this.#act("lb.countCall", (balancer, load) => balancer.countCall(load, ip, port, group, resources, undo), true);
  }

  #select(action: string, run: LbAction): boolean {
    const done = this.#act(action, run, true);
    if (done) {
      const { dispatching, proxyCall } = this.#context;
      dispatching?.dispatcher.release(proxyCall.load); // the call goes elsewhere than where a selection of the dispatcher has counted it
      pointAtPick(proxyCall);
    }
    return done;
  }

  /** @param counts every lease needs a dialog to own it, so that is made first: it brings the call's load with it */
  #act(action: string, run: LbAction, counts = false): boolean {
    const { balancer, proxyCall } = this.#context;
    this.#code = GENERIC_ERROR;
    if (mayAct(this.#context, action)) {
      if (counts) proxyCall.openDialog();
      this.#code = run(balancer, proxyCall.load);
    }
    return this.#code === DONE;
  }
}

type LbAction = (balancer: CallContext["balancer"], load: CallContext["proxyCall"]["load"]) => LbCode;
