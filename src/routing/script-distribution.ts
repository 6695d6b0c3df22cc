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
  return mayAct(context, "distribute") ? startDistribution(context, context.proxyCall, list, { exceptions, resources }) : GENERIC_ERROR;
}

/** -1 also without a list before. */
export function distributeAgain(context: CallContext): LbCode {
  return mayAct(context, "distributeNext") ? nextDistribution(context, context.proxyCall) : GENERIC_ERROR;
}
