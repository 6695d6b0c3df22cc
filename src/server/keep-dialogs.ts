import type { ChildProcess } from "node:child_process";
import type { Config } from "../config/index.ts";
import type { Drains } from "../health/index.ts";
import type { Log } from "../proxy/index.ts";
import { awaitDialogs, databaseServer, type HandedCalls, openDialogStore } from "../store/index.ts";
import type { ClusterDialogs } from "./cluster-dialogs.ts";
import { DialogKeeper } from "./dialog-keeper.ts";
import type { FormerProcess } from "./handover/former-process.ts";
import { HandedStore } from "./handover/handed-store.ts";
import type { KeeperPorts, SharedCalls } from "./keeper-ports.ts";

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
  /** Runs when all is loaded and before SIP is taken: what takes a while holds up no call there. */
  readonly loaded?: () => void;
}

export interface KeepDialogsPorts extends Omit<KeeperPorts, "shared" | "store" | "former" | "earlyLifetimeMs"> {
  readonly config: Pick<Config, "cluster" | "dialog" | "load_balancer" | "tm">;
  /** Move a file of calls aside that is damaged, and start without them. */
  readonly forceEmpty: boolean;
  /** The calls of all nodes, once this node is one of a cluster that has them. */
  readonly replicated: () => Pick<ClusterDialogs, "stillOwn" | "regained" | "over"> | undefined;
  readonly drains: () => Pick<Drains, "adopted">;
  /** It tells its calls, and then leaves their file to this process. */
  readonly former: FormerProcess | undefined;
  readonly log: Log;
}

/**
 * Opens the calls that are written down; undefined when none are to be. Where nodes share their calls, Redis says who goes on with each.
 *
 * @throws {StoreError} when there are calls that cannot be read
 */
export async function keepDialogs({
  config,
  forceEmpty,
  former,
  replicated,
  drains,
  ...ports
}: KeepDialogsPorts): Promise<DialogKeeper | undefined> {
  if (config.dialog.persistence === "off") return undefined;
  const { db_url: dbUrl, local_db_url: localUrl } = config.load_balancer;
  const besideUrl = databaseServer(dbUrl) === undefined ? dbUrl : localUrl;
  const store =
    former === undefined
      ? await openDialogStore(besideUrl, { forceEmpty, wallMs: ports.wallMs, log: ports.log })
      : handedStore(former, awaitDialogs(besideUrl, ports), ports.dialogs);
  const isShared = config.cluster.redis_url !== null && config.cluster.replicate_dialogs;
  const shared = isShared ? sharedCalls(replicated, drains) : undefined;
  return store && new DialogKeeper({ ...ports, shared, store, former, earlyLifetimeMs: config.tm.fr_inv_timeout * 1000 });
}

function handedStore(former: FormerProcess, file: HandedCalls | undefined, dialogs: KeepDialogsPorts["dialogs"]): HandedStore | undefined {
  const { released } = former;
  const isKept = (did: string): boolean => (dialogs.byDid(did) ?? dialogs.lingering(did)) !== undefined;
  return file && new HandedStore({ file, released, isKept, capacities: () => former.capacities });
}

function sharedCalls(replicated: KeepDialogsPorts["replicated"], drains: KeepDialogsPorts["drains"]): SharedCalls {
  return {
    stillOwn: (dids) => replicated()?.stillOwn(dids) ?? Promise.resolve(dids),
    regained: (dialog) => {
      replicated()?.regained(dialog);
      drains().adopted(dialog.did, dialog.load, dialog.startedAtMs);
    },
    over: (did) => replicated()?.over(did),
  };
}
