import { NO_FORKS } from "../proxy/forks.ts";
import type { ProxyCall } from "../proxy/ports.ts";

/** Sends the call to the balancer's current pick: sets the destination URI and the resolved address that goes with it. */
export function pointAtPick(call: ProxyCall): void {
  const { destination } = call.load;
  if (!destination) return;
  call.destinationUri = destination.uri;
  call.sendFrom = undefined;
  call.forkTo = NO_FORKS;
  call.setTarget(destination);
}

/** Sends the call to a URI of the configuration: what the caller is kept from does not concern it. */
export function pointAtConfigured(call: ProxyCall, uri: string): void {
  call.destinationUri = uri;
  call.exemptUri = uri;
  call.sendFrom = undefined;
  call.forkTo = NO_FORKS;
  call.setTarget(undefined);
}
