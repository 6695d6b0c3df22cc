import { invalidParams, MiError } from "./jsonrpc.ts";
import type { Params } from "./params.ts";
import type { ClusterPort, MethodParams } from "./ports.ts";

/** A method to be run on other nodes. */
export interface RemoteCall {
  readonly cluster: ClusterPort;
  readonly method: string;
  readonly params: MethodParams | undefined;
}

/** What {@link readRemoteCall} refuses besides wrong parameters. */
export const REMOTE_FAILURES = [
  { code: 400, message: "Bad value for 'cluster_id'" },
  { code: 404, message: "Cluster ID not found" },
] as const;

/** Reads `cluster_id`, `cmd_name` and `cmd_params`: a list or, unlike in OpenSIPS, named ones. Errors as in OpenSIPS (`clusterer_mod.c`). */
export function readRemoteCall(params: Params, cluster: ClusterPort | undefined): RemoteCall {
  const id = params.int("cluster_id");
  if (id < 1) throw new MiError(400, "Bad value for 'cluster_id'");
  if (id !== cluster?.clusterId) throw new MiError(404, "Cluster ID not found");
  const method = params.text("cmd_name");
  if (method === "") throw invalidParams("Bad value for parameter 'cmd_name': want the name of a method");
  return { cluster, method, params: params.has("cmd_params") ? params.structured("cmd_params") : undefined };
}
