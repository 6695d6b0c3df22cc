import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { headerOf, responseTo } from "./sip-messages.ts";

/** When a 2xx that was not acknowledged is sent again, ms (RFC 3261 §13.3.1.4). */
const COPIES_MS = [500, 1_500, 3_500, 7_500];

interface Ringing {
  readonly invite: string;
  readonly toTag: string;
  readonly timers: NodeJS.Timeout[];
  last: string;
}

/** A destination that rings for a while before it answers, repeats what is not acknowledged, and knows which calls it has. */
export class RingingCallee {
  readonly #socket: Socket;
  readonly #ringing = new Map<string, Ringing>();
  /** Calls that are up, by Call-ID. */
  readonly calls = new Set<string>();
  answered = 0;
  cancelled = 0;
  /** 2xx that nobody acknowledged. */
  unacknowledged = 0;
  /** BYEs of calls that it does not have. */
  strangeByes = 0;
  /** How long the next call rings, ms; undefined: it is answered by {@link answer}. */
  ringMs: () => number | undefined;

  private constructor(socket: Socket, ringMs: () => number | undefined) {
    this.#socket = socket;
    this.ringMs = ringMs;
    socket.on("message", (bytes, { address, port }) => this.#take(bytes.toString("latin1"), address, port));
  }

  static async open(address: string, ringMs: () => number | undefined): Promise<RingingCallee> {
    const socket = createSocket({ type: "udp4", recvBufferSize: 4_194_304 }).unref();
    socket.bind(0, address);
    await once(socket, "listening");
    return new RingingCallee(socket, ringMs);
  }

  get uri(): string {
    const { address, port } = this.#socket.address();
    return `sip:${address}:${port}`;
  }

  /** Calls that ring or are up. */
  get held(): number {
    return this.calls.size + this.#ringing.size;
  }

  get ringing(): readonly string[] {
    return [...this.#ringing.keys()];
  }

  /** Answers a call that rings. */
  answer(callId: string): void {
    const call = this.#ringing.get(callId);
    if (call === undefined) return;
    this.#ringing.delete(callId);
    this.calls.add(callId);
    this.answered++;
    call.last = this.#respond(call, 200);
    const repeat = COPIES_MS.map((ms) => setTimeout(() => this.#send(call.last, call.invite), ms).unref());
    const giveUp = setTimeout(() => this.unacknowledged++, 12_000).unref();
    this.#unacknowledged.set(callId, [...repeat, giveUp]);
  }

  async close(): Promise<void> {
    for (const timers of this.#unacknowledged.values()) for (const timer of timers) clearTimeout(timer);
    for (const { timers } of this.#ringing.values()) for (const timer of timers) clearTimeout(timer);
    this.#socket.close();
    await once(this.#socket, "close");
  }

  readonly #unacknowledged = new Map<string, NodeJS.Timeout[]>();
  readonly #answers = new Map<string, string>();

  #take(text: string, address: string, port: number): void {
    const callId = headerOf(text, "Call-ID");
    const [method = ""] = text.split(" ", 1);
    const reply = (status: number): void => {
      const answer = responseTo(text, status, { toTag: "" });
      this.#socket.send(Buffer.from(answer, "latin1"), port, address);
    };
    if (method === "INVITE") this.#invited(text, callId);
    else if (method === "ACK") {
      for (const timer of this.#unacknowledged.get(callId) ?? []) clearTimeout(timer);
      this.#unacknowledged.delete(callId);
    } else if (method === "BYE") {
      if (!this.calls.delete(callId) && !this.#answers.has(callId)) this.strangeByes++;
      this.#answers.set(callId, "");
      reply(200);
    } else if (method === "CANCEL") {
      reply(200);
      const call = this.#ringing.get(callId);
      if (call === undefined) return;
      this.#ringing.delete(callId);
      for (const timer of call.timers) clearTimeout(timer);
      this.cancelled++;
      this.#respond(call, 487);
    }
  }

  #invited(invite: string, callId: string): void {
    const known = this.#ringing.get(callId);
    if (known !== undefined) {
      this.#send(known.last, known.invite);
      return;
    }
    if (this.calls.has(callId) || this.#answers.has(callId)) return;
    const call: Ringing = { invite, toTag: `t${callId.replace(/[^0-9A-Za-z]/g, "")}`, timers: [], last: "" };
    this.#ringing.set(callId, call);
    call.last = this.#respond(call, 180);
    const ms = this.ringMs();
    if (ms !== undefined) call.timers.push(setTimeout(() => this.answer(callId), ms).unref());
  }

  #respond({ invite, toTag }: Ringing, status: number): string {
    const text = responseTo(invite, status, { toTag, headers: [`Contact: <${this.uri}>`] });
    this.#send(text, invite);
    return text;
  }

  #send(text: string, invite: string): void {
    const [, host = "", port = "5060"] = /^Via: SIP\/2\.0\/UDP ([^:;\s]+)(?::(\d+))?/m.exec(invite) ?? [];
    this.#socket.send(Buffer.from(text, "latin1"), Number(port), host);
  }
}
