import type { SipListener } from "../../transport/connection-listener.ts";
import { bracketed } from "../../transport/udp.ts";

/** A listener of a SIP thread, as the main thread knows it: it names a place, and sends nothing. */
export class PostedListener implements SipListener {
  readonly transport = "udp";
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;

  constructor(address: string, port: number) {
    this.address = address;
    this.port = port;
    this.family = address.includes(":") ? 6 : 4;
  }

  get isWildcard(): boolean {
    return this.address === "0.0.0.0" || this.address === "::";
  }

  sentByFor(): string {
    return `${bracketed(this.address)}:${this.port}`;
  }

  send(): void {
    // Calls are the threads': the main thread has nothing to say to their parties.
  }

  async close(): Promise<void> {
    // The socket is the thread's.
  }
}
