import type { ChildProcess } from "node:child_process";
import type { Config } from "../config/index.ts";
import type { Log } from "../proxy/index.ts";
import { openDialogStore } from "../store/index.ts";
import type { FormerProcess } from "./handover/former-process.ts";
import { HandedStore } from "./handover/handed-store.ts";
import { DialogKeeper, type KeeperPorts } from "./dialog-keeper.ts";

/** What holds for one start only. */
export interface StartOptions {
  /** Move a file of calls aside that is damaged, and start without them. */
  readonly forceEmpty?: boolean;
  /** A process that this one takes over from. */
  readonly former?: FormerProcess | undefined;
  /** Starts the program once more, with a channel to it. Absent: it cannot be restarted without a stop. */
  readonly spawn?: () => ChildProcess;
  /** Ends this process, when another one has taken over and nothing is left to do. */
  readonly leave?: (code: number) => void;
}

export interface KeepDialogsPorts extends Omit<KeeperPorts, "store" | "earlyLifetimeMs"> {
  readonly config: Pick<Config, "cluster" | "dialog" | "load_balancer" | "tm">;
  /** Move a file of calls aside that is damaged, and start without them. */
  readonly forceEmpty: boolean;
  /** It tells its calls, and then leaves their file to this process. */
  readonly former: FormerProcess | undefined;
  readonly log: Log;
}

/**
 * Opens the calls that are written down; undefined when none are to be. In a cluster Redis has them, and says who goes on with a call: a file beside it
 * would bring back calls that another node has taken meanwhile, and count them twice.
 *
 * @throws {StoreError} when there are calls that cannot be read
 */
export function keepDialogs({ config, forceEmpty, former, ...ports }: KeepDialogsPorts): DialogKeeper | undefined {
  if (config.dialog.persistence === "off" || config.cluster.redis_url !== null) return undefined;
  const open = () => openDialogStore(config.load_balancer.db_url, { forceEmpty, wallMs: Date.now, log: ports.log });
  const store =
    former === undefined
      ? open()
      : new HandedStore({
          released: former.released,
          capacities: () => former.capacities,
          open,
          isOngoing: (did) => ports.dialogs.byDid(did) !== undefined,
        });
  return store && new DialogKeeper({ ...ports, store, earlyLifetimeMs: config.tm.fr_inv_timeout * 1000 });
}
