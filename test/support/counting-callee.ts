import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { headerOf, responseTo } from "./sip-messages.ts";

/** Copies of a 200 to an INVITE that got no ACK (RFC 3261 §13.3.1.4), ms after the first. */
const COPIES_MS = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];

/** One change of the number of calls. */
export interface CountChange {
  /** Milliseconds on the clock of `performance.now()`. */
  readonly atMs: number;
  readonly calls: number;
}

/** A destination that answers every call at once, and knows better than anybody how many it has. */
export class CountingCallee {
  readonly #socket: Socket;
  readonly #calls = new Set<string>();
  /** Every change of the number of calls, oldest first. */
  readonly history: CountChange[] = [];
  /** Calls that were answered. */
  answered = 0;
  /** BYEs of calls that it does not have. */
  strangeByes = 0;
  /** Requests with OPTIONS, by where they came from. */
  readonly probes: { readonly atMs: number; readonly from: string }[] = [];
  most = 0;
  /** Answers OPTIONS; else it is silent to them. */
  answersProbes = true;
  /** Sends the 200 to an INVITE again until its ACK comes. */
  repeatsAnswers = false;
  readonly #copies = new Map<string, readonly NodeJS.Timeout[]>();
  /** Calls inside which it answers no OPTIONS, as if they were others behind its address that have vanished. */
  readonly vanished = new Set<string>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (bytes, { address, port }) => this.#take(bytes.toString("latin1"), address, port));
  }

  static async open(address: string): Promise<CountingCallee> {
    const socket = createSocket({ type: "udp4", recvBufferSize: 4_194_304 }).unref();
    socket.bind(0, address);
    await once(socket, "listening");
    return new CountingCallee(socket);
  }

  get uri(): string {
    const { address, port } = this.#socket.address();
    return `sip:${address}:${port}`;
  }

  /** Call-IDs of the calls that it has now. */
  get callIds(): readonly string[] {
    return [...this.#calls];
  }

  /** Calls that it has now. */
  get calls(): number {
    return this.#calls.size;
  }

  /** A call is over here, and what would tell of it was lost. */
  forget(callId: string): void {
    if (this.#calls.delete(callId)) this.#note();
  }

  async close(): Promise<void> {
    for (const callId of this.#copies.keys()) this.#acknowledged(callId);
    this.#socket.close();
    await once(this.#socket, "close");
  }

  #take(text: string, address: string, port: number): void {
    const send = (response: string): void => this.#socket.send(Buffer.from(response, "latin1"), port, address);
    const method = text.slice(0, text.indexOf(" "));
    const callId = headerOf(text, "Call-ID");
    if (method === "INVITE") {
      if (!headerOf(text, "To").includes(";tag=") && !this.#calls.has(callId)) {
        this.#calls.add(callId);
        this.answered++;
        this.#note();
      }
      const answer = responseTo(text, 200, { toTag: `callee-${callId}`, headers: [`Contact: <${this.uri}>`] });
      send(answer);
      if (this.repeatsAnswers && !this.#copies.has(callId))
        this.#copies.set(
          callId,
          COPIES_MS.map((ms) => setTimeout(() => send(answer), ms).unref()),
        );
    } else if (method === "BYE") {
      this.#acknowledged(callId);
      if (this.#calls.delete(callId)) this.#note();
      else this.strangeByes++;
      send(responseTo(text, 200));
    } else if (method === "OPTIONS") {
      this.probes.push({ atMs: performance.now(), from: `${address}:${port}` });
      const isOfNoCall = headerOf(text, "To").includes(";tag=") && !this.#calls.has(callId);
      if (this.answersProbes && !this.vanished.has(callId)) send(responseTo(text, isOfNoCall ? 481 : 200, { toTag: "callee" }));
    } else if (method === "ACK") this.#acknowledged(callId);
    else if (!text.startsWith("SIP/2.0")) send(responseTo(text, 200));
  }

  #acknowledged(callId: string): void {
    for (const timer of this.#copies.get(callId) ?? []) clearTimeout(timer);
    this.#copies.delete(callId);
  }

  #note(): void {
    this.most = Math.max(this.most, this.#calls.size);
    this.history.push({ atMs: performance.now(), calls: this.#calls.size });
  }
}
