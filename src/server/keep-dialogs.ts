import type { Config } from "../config/index.ts";
import type { Log } from "../proxy/index.ts";
import { openDialogStore } from "../store/index.ts";
import { DialogKeeper, type KeeperPorts } from "./dialog-keeper.ts";

/** What holds for one start only. */
export interface StartOptions {
  /** Move a file of calls aside that is damaged, and start without them. */
  readonly forceEmpty?: boolean;
}

export interface KeepDialogsPorts extends Omit<KeeperPorts, "store" | "earlyLifetimeMs"> {
  readonly config: Pick<Config, "cluster" | "dialog" | "load_balancer" | "tm">;
  /** Move a file of calls aside that is damaged, and start without them. */
  readonly forceEmpty: boolean;
  readonly log: Log;
}

/**
 * Opens the calls that are written down; undefined when none are to be. Where nodes share their calls, Redis says who goes on with each.
 *
 * @throws {StoreError} when there are calls that cannot be read
 */
export function keepDialogs({ config, forceEmpty, shared, ...ports }: KeepDialogsPorts): DialogKeeper | undefined {
  if (config.dialog.persistence === "off") return undefined;
  const store = openDialogStore(config.load_balancer.db_url, { forceEmpty, wallMs: ports.wallMs, log: ports.log });
  const isShared = config.cluster.redis_url !== null && config.cluster.replicate_dialogs;
  return (
    store && new DialogKeeper({ ...ports, shared: isShared ? shared : undefined, store, earlyLifetimeMs: config.tm.fr_inv_timeout * 1000 })
  );
}
