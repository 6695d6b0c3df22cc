import type { Listener } from "../../src/transaction/index.ts";

/** A listener of whom nobody asks anything but its family. */
export function silentListener(address: string): Listener {
  return { transport: "udp", address, port: 0, family: address.includes(":") ? 6 : 4, sentByFor: () => address };
}
