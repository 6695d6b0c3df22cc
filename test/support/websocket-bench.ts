import type { Endpoint } from "../../src/transaction/index.ts";
import {
  type ConnectionLimits,
  ConnectionTable,
  DEFAULT_CONNECTION_LIMITS,
  type TableConnection,
} from "../../src/transport/connection-table.ts";
import { LocalAddresses } from "../../src/transport/local-address.ts";
import { bracketed, TransportCounters } from "../../src/transport/udp.ts";
import { WebSocketListener, type WebSocketListenerOptions } from "../../src/transport/websocket.ts";

/** A table that shows its connections. */
class OpenTable extends ConnectionTable {
  readonly seen: TableConnection[] = [];

  override add(connection: TableConnection): void {
    this.seen.push(connection);
    super.add(connection);
  }
}

export interface WebSocketBench {
  readonly listener: WebSocketListener;
  readonly table: OpenTable;
  readonly counters: TransportCounters;
  readonly locals: LocalAddresses;
  readonly received: { readonly text: string; readonly source: Endpoint }[];
  readonly faults: string[];
  /** It stands still unless it is moved. */
  readonly clock: { ms: number };
  readonly url: string;
}

/** A listener on loopback, with whatever came. */
export async function listenForWebSockets(
  options: Partial<WebSocketListenerOptions> = {},
  limits: Partial<ConnectionLimits> = {},
): Promise<WebSocketBench> {
  const received: WebSocketBench["received"] = [];
  const faults: string[] = [];
  const counters = new TransportCounters();
  const table = new OpenTable({ ...DEFAULT_CONNECTION_LIMITS, ...limits });
  const clock = { ms: 0 };
  const locals = new LocalAddresses(() => 0);
  const listener = await WebSocketListener.open({
    ...{ tls: undefined, origins: [], address: "127.0.0.1", port: 0, advertised: null, locals, table, counters },
    nowMs: () => clock.ms,
    receive: (text, source) => received.push({ text, source }),
    fault: (error, action) => faults.push(`${action}: ${String(error)}`),
    ...options,
  });
  const url = `${options.tls === undefined ? "ws" : "wss"}://${bracketed(listener.address)}:${listener.port}/`;
  return { listener, table, counters, locals, received, faults, clock, url };
}
