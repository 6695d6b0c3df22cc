import type { Balancer } from "../../src/balancer/index.ts";
import { DialogState } from "../../src/dialog/index.ts";
import type { Router } from "../../src/proxy/index.ts";
import { delivered, type SimCall } from "./sim-call.ts";
import { balancingRouter, SimNetwork } from "./sim-network.ts";
import type { SimOptions } from "./sim-options.ts";

export const OPTIONS_MS = 30_000;
export const REINVITE_MS = 60_000;
export const SDP = ["Content-Type: application/sdp"];
export const offer = (who: string): string => `v=0\r\no=${who} 1 1 IN IP4 192.0.2.9\r\ns=-\r\n`;
export const bodyOf = (text: string): string => text.slice(text.indexOf("\r\n\r\n") + 4);

/** Routes as {@link balancingRouter}, and asks for these pings. */
export function pingingRouter(flags: number): (balancer: Balancer) => Router {
  return (balancer) => {
    const router = balancingRouter(balancer);
    return {
      ...router,
      request: (call) => {
        call.openDialog(flags);
        return router.request(call);
      },
    };
  };
}

/** A network whose route asks for these pings. */
export function pingingNetwork(flags: number, options: SimOptions = {}): SimNetwork {
  return new SimNetwork({
    pings: { optionsMs: OPTIONS_MS, reinviteMs: REINVITE_MS },
    router: pingingRouter(flags),
    ...options,
  });
}

/** A network whose route asks for these pings, and a call that is up; first pings have not been sent. */
export function pinged(
  flags: number,
  options: SimOptions & { headers?: readonly string[] } = {},
): { net: SimNetwork; call: SimCall; ended: string[] } {
  const { headers = [], ...rest } = options;
  const net = pingingNetwork(flags, rest);
  const ended: string[] = [];
  const told = net.dialogs.onState;
  net.dialogs.onState = (dialog, before) => {
    told?.(dialog, before);
    if (dialog.state === DialogState.Deleted) ended.push(dialog.endReason);
  };
  const call = delivered(net, { cseq: 7, headers: SDP, body: offer("caller") });
  call.respond(200, { headers: [...SDP, ...headers], body: offer("callee") });
  call.answer = call.caller.take(200);
  call.caller.send(call.fromCaller("ACK", 7));
  call.callee.take("ACK");
  return { net, call, ended };
}

/** Lets time pass until the next ping goes out. */
export function untilPing(net: SimNetwork): void {
  const { counters } = net.dialogs;
  const before = counters.options_pings + counters.reinvite_pings;
  for (let ms = 0; ms <= REINVITE_MS && counters.options_pings + counters.reinvite_pings === before; ms += 10) net.run(10);
}
