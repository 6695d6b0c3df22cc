import sip, { type Request, type Stack } from "sip";
import { LOOPBACK, startUserAgent } from "./user-agent.ts";

/** From ringing to the answer: long enough to be seen, short enough not to matter. */
const RING_MS = 40;

/** A simulated media server: rings, answers, takes the BYE. It refuses nothing; keeping to its capacity is the balancer's work. */
export class MediaServer {
  readonly name: string;
  readonly port: number;
  /** Calls that it can serve at a time. */
  readonly capacity: number;
  /** Most calls that it has served at a time. */
  peak = 0;
  #stack: Stack | undefined;
  #calls = new Set<string>();
  #lastTag = 0;

  constructor(name: string, port: number, capacity: number) {
    this.name = name;
    this.port = port;
    this.capacity = capacity;
  }

  get uri(): string {
    return `sip:${LOOPBACK}:${this.port}`;
  }

  /** Calls that it has now. */
  get calls(): number {
    return this.#calls.size;
  }

  get running(): boolean {
    return this.#stack !== undefined;
  }

  start(): void {
    this.#stack ??= startUserAgent(this.port, (request) => this.#take(request));
  }

  /** A power cut: nothing is answered from now on, and its calls are forgotten. */
  kill(): void {
    this.#stack?.destroy();
    this.#stack = undefined;
    this.#calls.clear();
  }

  #take(request: Request): void {
    const callId = request.headers["call-id"];
    switch (request.method) {
      case "INVITE":
        this.#ring(request);
        break;
      case "BYE":
      case "CANCEL":
        this.#answer(request, this.#calls.delete(callId) ? [200, "OK"] : [481, "Call/Transaction Does Not Exist"]);
        break;
      case "ACK":
        break;
      case "OPTIONS":
        this.#answer(request, [200, "OK"]);
        break;
      default:
        this.#answer(request, [501, "Not Implemented"]);
    }
  }

  #ring(request: Request): void {
    this.#lastTag += 1;
    request.headers.to = { ...request.headers.to, params: { ...request.headers.to.params, tag: `${this.name}-${this.#lastTag}` } };
    this.#calls.add(request.headers["call-id"]);
    this.peak = Math.max(this.peak, this.#calls.size);
    this.#answer(request, [180, "Ringing"]);
    setTimeout(() => this.#answer(request, [200, "OK"]), RING_MS);
  }

  #answer(request: Request, [status, reason]: readonly [number, string]): void {
    const response = sip.makeResponse(request, status, reason);
    const recordRoute = request.headers["record-route"];
    if (recordRoute !== undefined) response.headers["record-route"] = recordRoute;
    if (request.method === "INVITE") response.headers.contact = [{ uri: this.uri }];
    this.#stack?.send(response);
  }
}
