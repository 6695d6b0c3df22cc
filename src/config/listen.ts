import { isIP, isIPv6 } from "node:net";

/** What a socket speaks. `ws` and `wss` are SIP over WebSocket (RFC 7118). */
export type ListenTransport = "udp" | "tcp" | "tls" | "ws" | "wss";

/** A socket to open. `address` is an IP address without brackets; `port` 0 lets the system choose. */
export interface Listen {
  readonly transport: ListenTransport;
  readonly address: string;
  readonly port: number;
}

const LISTEN_TRANSPORTS: readonly string[] = ["udp", "tcp", "tls", "ws", "wss"] satisfies ListenTransport[];
const MAX_PORT = 65_535;
const LISTEN_FORM = 'a transport, an IP address and a port, such as "udp:0.0.0.0:5060" or "udp:[::1]:5060"';
const HTTP_FORM = 'an IP address and a port, such as "127.0.0.1:8888" or "[::1]:8888"';

/**
 * Parses an entry of `sip.listen` such as `udp:0.0.0.0:5060` or `udp:[::1]:5060`.
 *
 * @throws {RangeError} for anything else; the message says what is wanted
 */
export function parseListen(text: string): Listen {
  const colon = text.indexOf(":");
  const transport = text.slice(0, Math.max(colon, 0)).toLowerCase();
  const socket = parseSocket(text.slice(colon + 1));
  if (!isListenTransport(transport) || !socket) throw new RangeError(`Cannot listen on "${text}": want ${LISTEN_FORM}`);
  return { transport, ...socket };
}

/**
 * Parses `mi_http.listen`, such as `127.0.0.1:8888` or `[::1]:8888`. `localhost` stands for 127.0.0.1.
 *
 * @throws {RangeError} for anything else; the message says what is wanted
 */
export function parseHttpListen(text: string): { address: string; port: number } {
  const socket = parseSocket(text.replace(/^localhost:/i, "127.0.0.1:"));
  if (!socket) throw new RangeError(`Cannot listen on "${text}": want ${HTTP_FORM}`);
  return socket;
}

/** Whether only this machine reaches an IP address: 127.0.0.0/8, ::1 and 127.0.0.0/8 mapped into IPv6. */
export function isLoopback(address: string): boolean {
  if (isIPv6(address)) {
    const canonical = new URL(`http://[${address}]`).hostname;
    return canonical === "[::1]" || /^\[::ffff:7f[0-9a-f]{2}:/.test(canonical);
  }
  return address.startsWith("127.");
}

function isListenTransport(text: string): text is ListenTransport {
  return LISTEN_TRANSPORTS.includes(text);
}

function parseSocket(text: string): { address: string; port: number } | undefined {
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (!parts) return undefined;
  const [, v6, v4, digits] = parts;
  const address = v6 ?? v4 ?? "";
  const port = Number(digits);
  // A zone such as %eth0 is a name of this machine only, so it may stand in an address to listen on.
  if (isIP(address) !== (v6 === undefined ? 4 : 6) || port > MAX_PORT) return undefined;
  return { address, port };
}
