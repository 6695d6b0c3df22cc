import { type Config, readDistributorSetup } from "../config/index.ts";
import type { Log } from "../proxy/index.ts";
import type { Announcer } from "./announcer.ts";
import type { Dispatching } from "./dispatching.ts";
import type { ConfiguredDistribution } from "./distribution.ts";
import { keysForRestart } from "./keys-for-restart.ts";
import type { Listeners } from "./listeners.ts";
import type { TableLoader } from "./load-table.ts";
import type { OverloadGuard } from "./overload-guard.ts";
import type { ReplaceableRouter } from "./routers.ts";

export interface ReloadsPorts {
  /** What the program started with. */
  readonly config: Config;
  readonly loader: Pick<TableLoader, "load">;
  readonly listeners: Pick<Listeners, "reload">;
  /** Reads the certificate of management again. */
  readonly readCertificate: () => void;
  readonly router: ReplaceableRouter;
  /** The router of a configuration. Rejects when it cannot be made. */
  readonly routerOf: (config: Config) => Promise<ReplaceableRouter["current"]>;
  readonly dispatching: Pick<Dispatching, "prepare">;
  readonly distribution: Pick<ConfiguredDistribution, "use">;
  readonly announcer: Pick<Announcer, "routingChanged">;
  readonly guard: Pick<OverloadGuard, "use">;
  readonly log: Log & { level: string };
}

/** Puts other destinations and another configuration into force, one at a time: the last one asked for is the one that stays. */
export class Reloads {
  readonly #ports: ReloadsPorts;
  #current: Config;
  #turn: Promise<void> = Promise.resolve();
  /** A reload of the destinations that has not begun: whoever asks for one meanwhile is served by it, so a server that hangs gathers no queue. */
  #waiting: Promise<void> | undefined;

  constructor(ports: ReloadsPorts) {
    this.#ports = ports;
    this.#current = ports.config;
  }

  /** Loads the destinations again, and the parts of a new configuration that can change while running. Rejects and changes nothing when they cannot be used. */
  reload(next?: Config): Promise<void> {
    if (next === undefined && this.#waiting !== undefined) return this.#waiting;
    const turn = this.#turn.then(() => {
      if (this.#waiting === turn) this.#waiting = undefined;
      return this.#reload(next);
    });
    this.#turn = turn.catch(() => undefined);
    this.#waiting = next === undefined ? turn : undefined;
    return turn;
  }

  async #reload(next: Config | undefined): Promise<void> {
    const { loader, router, routerOf, log } = this.#ports;
    const nextLists = next === undefined ? undefined : readDistributorSetup(next);
    const nextRouter = next === undefined ? undefined : await routerOf(next);
    const dispatch = await this.#ports.dispatching.prepare(next ?? this.#current);
    await loader.load(next ?? this.#current);
    await dispatch();
    if (next === undefined || nextRouter === undefined || nextLists === undefined) return;
    this.#ports.listeners.reload();
    this.#ports.readCertificate();
    router.current = nextRouter;
    this.#ports.distribution.use(next, nextLists);
    this.#current = next;
    this.#ports.announcer.routingChanged(next.routing);
    this.#ports.guard.use(next.overload);
    log.level = next.log.level;
    for (const notice of next.notices) log.warn({}, notice);
    for (const key of keysForRestart(this.#ports.config, next))
      log.warn({ key }, `${key} has changed: that takes effect at the next start`);
  }
}
