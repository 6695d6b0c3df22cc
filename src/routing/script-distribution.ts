import type { LbCode } from "../balancer/index.ts";
import { type CallContext, mayAct } from "./call-context.ts";
import { type DistributeOptions, nextDistribution, startDistribution } from "./distribute.ts";
import { checkString, checkStrings } from "./script-values.ts";

const GENERIC_ERROR = -1;

/**
 * Begins to distribute the call, unless it is too late for that: then -1.
 *
 * @throws {RoutingError} for a list or options that are of another type
 */
export function distributeCall(context: CallContext, list: string, options: DistributeOptions): LbCode {
  const { exceptions = [], resources = "" } = options ?? {};
  checkString("distribute", "list", list);
  checkStrings("distribute", "exceptions", exceptions);
  checkString("distribute", "resources", resources);
  return distributed(context, "distribute", () => startDistribution(context, context.proxyCall, list, { exceptions, resources }));
}

/** -1 also without a list before. */
export function distributeAgain(context: CallContext): LbCode {
  return distributed(context, "distributeNext", () => nextDistribution(context, context.proxyCall));
}

/** What a selection of the dispatcher has counted is given back as soon as the call goes elsewhere. */
function distributed(context: CallContext, action: string, run: () => LbCode): LbCode {
  const code = mayAct(context, action) ? run() : GENERIC_ERROR;
  if (code === 1) context.dispatching?.dispatcher.release(context.proxyCall.load);
  return code;
}
