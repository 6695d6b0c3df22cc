import { EventSocket, type SwitchFigures } from "./event-socket.ts";
import type { MediaServer } from "./media-server.ts";

/** What all calls that the server can have cost of its CPU, in percent. */
const COST_OF_ALL_CALLS = 40;
/** What else keeps its CPU busy rises and falls slowly, in percent. */
const OTHER_WORK = 10;
const SWING = 8;
const SWING_MS = 4_000;

/** The side of a media server that FreeSWITCH shows on its event socket: how busy its CPU is, and whether it is paused. */
export class SimulatedSwitch {
  /** CPU that something else takes away, in percent. */
  strain = 0;
  paused = false;
  readonly #server: MediaServer;
  readonly #phase: number;
  #socket: EventSocket | undefined;

  private constructor(server: MediaServer, phase: number) {
    this.#server = server;
    this.#phase = phase;
  }

  /** @param phase where its other work begins to rise and fall, 0 to 1 */
  static async open(server: MediaServer, phase: number): Promise<SimulatedSwitch> {
    const opened = new SimulatedSwitch(server, phase);
    opened.#socket = await EventSocket.open(() => opened.figures);
    return opened;
  }

  get url(): string {
    return this.#socket?.url ?? "";
  }

  get figures(): SwitchFigures {
    const { calls, capacity } = this.#server;
    const swing = SWING * Math.sin(2 * Math.PI * (performance.now() / SWING_MS + this.#phase));
    const busy = OTHER_WORK + swing + this.strain + (COST_OF_ALL_CALLS * calls) / capacity;
    return { sessions: calls, maxSessions: capacity, idleCpuPercent: Math.min(100, Math.max(0, 100 - busy)), paused: this.paused };
  }

  /** What stands beside its bar. */
  get note(): string {
    return `idle CPU ${Math.round(this.figures.idleCpuPercent)} %${this.paused ? ", paused" : ""}`;
  }

  close(): void {
    this.#socket?.close();
  }
}
