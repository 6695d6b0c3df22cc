import { BlockList, isIP, isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

/** Interfaces may come and go (floating addresses): what was read is used for this long, in milliseconds. */
const REFRESH_MS = 5_000;
/** They are read again this soon, in milliseconds, for an address that is not known: a floating address whose node has died brings its calls at once. */
const REFRESH_UNKNOWN_MS = 250;
const FALLBACK = { 4: "127.0.0.1", 6: "::1" } as const;

interface Local {
  readonly address: string;
  readonly internal: boolean;
  readonly subnet: BlockList;
}

/** The addresses of this machine, for listeners that are bound to a wildcard. */
export class LocalAddresses {
  readonly #nowMs: () => number;
  readonly #interfaces: typeof networkInterfaces;
  #readAtMs = Number.NEGATIVE_INFINITY;
  #locals: { 4: Local[]; 6: Local[] } = { 4: [], 6: [] };
  #known = new Set<string>();
  #chosen = new Map<string, string>();

  constructor(nowMs: () => number, interfaces: typeof networkInterfaces = networkInterfaces) {
    this.#nowMs = nowMs;
    this.#interfaces = interfaces;
  }

  /** Whether the address is one of this machine. The whole of 127.0.0.0/8 is. */
  has(address: string): boolean {
    this.#refresh(REFRESH_MS);
    if (this.#known.has(address) || (address.startsWith("127.") && isIPv4(address))) return true;
    return isIP(address) !== 0 && this.#refresh(REFRESH_UNKNOWN_MS) && this.#known.has(address);
  }

  /** The address by which a peer reaches this machine: that of the interface in its subnet, else of the first one that is not internal. */
  towards(remoteAddress: string): string {
    this.#refresh(REFRESH_MS);
    const known = this.#chosen.get(remoteAddress);
    if (known !== undefined) return known;
    const chosen = this.#choose(remoteAddress);
    if (this.#chosen.size < MAX_CHOSEN) this.#chosen.set(remoteAddress, chosen);
    return chosen;
  }

  #choose(remoteAddress: string): string {
    const family = isIPv6(remoteAddress) ? 6 : 4;
    if (remoteAddress.startsWith("127.")) return FALLBACK[4];
    if (remoteAddress === "::1") return FALLBACK[6];
    const locals = this.#locals[family];
    const kind = family === 6 ? "ipv6" : "ipv4";
    const near = locals.find((local) => local.subnet.check(remoteAddress, kind));
    return (near ?? locals.find((local) => !local.internal) ?? locals[0])?.address ?? FALLBACK[family];
  }

  /** Reads the interfaces, unless that was done within `ms`. */
  #refresh(ms: number): boolean {
    const now = this.#nowMs();
    if (now - this.#readAtMs < ms) return false;
    this.#readAtMs = now;
    this.#locals = { 4: [], 6: [] };
    this.#known = new Set();
    this.#chosen = new Map();
    for (const addresses of Object.values(this.#interfaces())) {
      for (const { address, family, internal, cidr } of addresses ?? []) {
        const kind = family === "IPv6" ? 6 : 4;
        const subnet = new BlockList();
        const prefix = Number(cidr?.slice(cidr.indexOf("/") + 1) ?? (kind === 6 ? 128 : 32));
        subnet.addSubnet(address, prefix, kind === 6 ? "ipv6" : "ipv4");
        this.#locals[kind].push({ address, internal, subnet });
        this.#known.add(address);
      }
    }
    return true;
  }
}

/** Peers whose choice is remembered; others are worked out each time. */
const MAX_CHOSEN = 10_000;
