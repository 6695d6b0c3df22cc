import type { Config } from "../config/index.ts";
import type { ProxyCall, Router, TargetGuard } from "../proxy/index.ts";
import {
  createBlacklists,
  createDefaultRouter,
  createScriptRouter,
  denyTargets,
  type RoutingPorts,
  routeOutbound,
} from "../routing/index.ts";
import { loadScript } from "../script-loader.ts";
import type { SipResponse } from "../sip/index.ts";

/** The router that a configuration asks for. @throws Error when its script cannot be loaded, or something that it names cannot be used */
export async function createRouter({ routing, load_balancer }: Config, common: RoutingPorts): Promise<Router> {
  const ports = { ...common, blacklists: createBlacklists(load_balancer.lb_define_blacklist, common.balancer) };
  const router =
    routing.script === null
      ? routeOutbound(createDefaultRouter(routing, ports), routing.outbound, routing.reject, ports)
      : createScriptRouter(await loadScript(routing.script), ports);
  return denyTargets(router, routing.deny_targets, ports);
}

/** The router in use. Calls that are under way go on with the new one. */
export class ReplaceableRouter implements Router {
  current: Router;

  constructor(current: Router) {
    this.current = current;
  }

  request(call: ProxyCall): void | Promise<void> {
    return this.current.request(call);
  }

  failure(call: ProxyCall): void | Promise<void> {
    return this.current.failure(call);
  }

  reply(call: ProxyCall, response: SipResponse): void {
    this.current.reply?.(call, response);
  }

  handles(method: string): boolean {
    return this.current.handles(method);
  }

  get forgetsCalls(): boolean | undefined {
    return this.current.forgetsCalls;
  }

  get guard(): TargetGuard | undefined {
    return this.current.guard;
  }
}
