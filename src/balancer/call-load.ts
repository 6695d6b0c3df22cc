import type { Destination } from "./destination.ts";
import type { Holdings } from "./holdings.ts";

/** What a call remembers between start, next and reset: the OpenSIPS AVPs `__lb_grp`, `__lb_res`, `__lb_flg` and `__lb_mask`. */
export class LbSession {
  group = 0;
  /** The list as start was given it. */
  resources = "";
  /** Bit set of `FLAG_*`. */
  flags = 0;
  /** Identities ({@link Destination.key}) that this session has chosen: they outlive a reload, where row numbers would not. */
  readonly tried: string[];

  constructor(tried: string[] = []) {
    this.tried = tried;
  }
}

/** What a call counts, and why. Calls that are up share one of these with all others that count the same: see {@link Holdings}. */
export class Holding {
  readonly leases: number[];
  readonly picked: number[];
  readonly session: LbSession;
  isShared = false;
  /** The same session of a call that holds nothing any more, for all calls that have shared this and are over. */
  #ended: Holding | undefined = undefined;

  constructor(leases: number[] = [], picked: number[] = [], session = new LbSession()) {
    this.leases = leases;
    this.picked = picked;
    this.session = session;
  }

  /** What is left of it once a call is over: to be asked of one that is shared. */
  get ended(): Holding {
    if (this.#ended === undefined) {
      this.#ended = new Holding([], [], this.session);
      this.#ended.isShared = true;
    }
    return this.#ended;
  }

  /** The same, for one call alone. */
  copy(): Holding {
    const { group, resources, flags, tried } = this.session;
    const session = new LbSession([...tried]);
    [session.group, session.resources, session.flags] = [group, resources, flags];
    return new Holding([...this.leases], [...this.picked], session);
  }
}

/** What is or is not so of what a call has counted, a bit each: a field each would be eight bytes. */
const Mark = { Opened: 1, Closed: 2, Started: 4 } as const;

/** What {@link CallLoad.passedOver} is unless it is set. */
export const NOBODY: readonly string[] = [];

/**
 * What one call has counted, and its LB session. A **lease** is one unit of load: an entry of a cell in {@link leases}.
 * Only the balancer changes it, apart from `opened`, `closed`, `callId` and `name`, which belong to the call's dialog.
 */
export class CallLoad {
  /** What the call is called outside, its Call-ID: the balancer does not look at it. */
  callId = "";
  /** What the call is called in the cluster, the same on every node that has it: the balancer does not look at it. */
  name = "";
  /** Identities ({@link Destination.key}) that no session of this call chooses: those that the call comes from. */
  passedOver: readonly string[] = NOBODY;
  /** Set by the balancer: the current pick. */
  currentDestination: Destination | undefined = undefined;
  /** Set by the balancer: how many enablings of destinations there had been when it chose the current pick. */
  pickedAt = 0;
  /** Set by the balancer: the audit that has counted the call last. */
  tallied = 0;
  /** Bits of {@link Mark}. */
  #marks = 0;
  /** Made with the call, so that a start allocates nothing. */
  #holding = new Holding();

  /** A dialog exists for this call, as `lb_reset` demands. */
  get opened(): boolean {
    return (this.#marks & Mark.Opened) !== 0;
  }

  set opened(is: boolean) {
    this.#marks = is ? this.#marks | Mark.Opened : this.#marks & ~Mark.Opened;
  }

  /** The call is up, or over for good: start, next, reset and counting answer -1, so that a route that wakes up late changes nothing of what it counts. */
  get closed(): boolean {
    return (this.#marks & Mark.Closed) !== 0;
  }

  set closed(is: boolean) {
    this.#marks = is ? this.#marks | Mark.Closed : this.#marks & ~Mark.Closed;
  }

  /** Set by the balancer: there is an LB session. */
  get started(): boolean {
    return (this.#marks & Mark.Started) !== 0;
  }

  set started(is: boolean) {
    this.#marks = is ? this.#marks | Mark.Started : this.#marks & ~Mark.Started;
  }

  /** The cells in which this call is counted, once for each unit; in no order. Whoever changes them has called {@link own}. */
  get leases(): number[] {
    return this.#holding.leases;
  }

  /** Those of {@link leases} that the current pick holds. A unit that was undone stands here no more, so nothing ends it twice. */
  get picked(): number[] {
    return this.#holding.picked;
  }

  /** The LB session, while there is one. */
  get session(): LbSession | undefined {
    return this.started ? this.#holding.session : undefined;
  }

  /** To be called before anything of what the call holds is changed: it may share that with others. */
  own(): this {
    if (this.#holding.isShared) this.#holding = this.#holding.copy();
    return this;
  }

  /** What it holds is settled: it shares that with the calls that hold the same. */
  share(holdings: Holdings): void {
    if (!this.#holding.isShared) this.#holding = holdings.find(this.#holding);
  }

  /** It holds nothing any more: what it holds is not to be ended one by one. The session stays readable. */
  letGo(): void {
    const holding = this.#holding;
    if (holding.isShared) this.#holding = holding.ended;
    else {
      while (holding.picked.length > 0) holding.picked.pop();
      while (holding.leases.length > 0) holding.leases.pop();
    }
  }

  /** The destination that the last start or next chose; none after a failure or a reset. */
  get destination(): Destination | undefined {
    return this.currentDestination;
  }

  /** Begins a new LB session; what another one has counted is the balancer's to end first. */
  beginSession(group: number, resources: string, flags: number): LbSession {
    const { session } = this.own().#holding;
    session.group = group;
    session.resources = resources;
    session.flags = flags;
    while (session.tried.length > 0) session.tried.pop();
    this.started = true;
    return session;
  }

  /** Forgets the LB session. */
  endSession(): void {
    this.started = false;
    this.currentDestination = undefined;
  }
}
