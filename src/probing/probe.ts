import { type Address, canonicalIp } from "../balancer/index.ts";
import type { SipResponse } from "../sip/index.ts";
import type { ClientTransaction, ClientUser, Endpoint } from "../transaction/index.ts";
import type { Asked } from "./turns.ts";

/** How a probe ended without a reply. */
export type ProbeFailure = "timeout" | "transport-error";

/**
 * Errors of sending that tell of this machine, not of the destination: no route or address, a firewall or a policy of our own, no memory. Others, such
 * as ECONNREFUSED and EHOSTUNREACH, tell of the destination.
 */
const OUR_ERRORS =
  /\b(?:EINVAL|ENETUNREACH|ENETDOWN|EADDRNOTAVAIL|EAFNOSUPPORT|EPERM|EACCES|ENOBUFS|ENOMEM|EAGAIN|EMSGSIZE|EMFILE|ENFILE|too many connections|stopped)\b/;

/** Is told of the end of each probe, once. */
export interface ProbeOwner<A extends Asked = Asked> {
  probeAnswered(probe: Probe<A>, status: number): void;
  probeFailed(probe: Probe<A>, failure: ProbeFailure): void;
  /** It did not leave this machine. `reason` names the error of the system. */
  probeUnsent(probe: Probe<A>, reason: string): void;
}

/** One probe under way. */
export class Probe<A extends Asked = Asked> implements ClientUser {
  readonly asked: A;
  readonly address: Address;
  readonly branch: string;
  readonly sentAtMs: number;
  /** Set as soon as it is sent. */
  transaction: ClientTransaction | undefined;
  readonly #owner: ProbeOwner<A>;

  constructor(owner: ProbeOwner<A>, asked: A, address: Address, branch: string, sentAtMs: number) {
    this.#owner = owner;
    this.asked = asked;
    this.address = address;
    this.branch = branch;
    this.sentAtMs = sentAtMs;
  }

  /** Whether a message comes from where the probe went: a reply with `rport` has to (RFC 3581 §4). */
  isFrom(source: Endpoint): boolean {
    if (source.port !== this.address.port) return false;
    return source.address === this.address.ip || canonicalIp(source.address) === canonicalIp(this.address.ip);
  }

  response(_transaction: ClientTransaction, { status }: SipResponse): void {
    if (status >= 200) this.#owner.probeAnswered(this, status);
  }

  timeout(): void {
    this.#owner.probeFailed(this, "timeout");
  }

  transportError(_transaction: ClientTransaction, reason: string): void {
    if (OUR_ERRORS.test(reason)) this.#owner.probeUnsent(this, reason);
    else this.#owner.probeFailed(this, "transport-error");
  }
}
