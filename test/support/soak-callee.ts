import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { soakContact, soakHeader, soakRequest, soakResponse, soakRoutes } from "./soak-messages.ts";

/** How a call of a soak goes; its Call-ID begins with it. */
export type SoakKind = "plain" | "hungup" | "refused" | "cancelled" | "failedover" | "forked";

/** How often what may be lost is sent again, ms. */
export const REPEAT_MS = 500;

interface Repeated {
  readonly text: string;
  readonly to: AddressInfo;
  sentMs: number;
}

/** The destinations of a soak: each does what the Call-ID asks for, and answers where it asks for nothing. What is lost comes again. */
export class SoakCallees {
  readonly #sockets: readonly Socket[];
  /** Answers that wait for an ACK, BYEs that wait for an answer, by Call-ID and tag or method. */
  readonly #repeated = new Map<string, Repeated & { readonly socket: Socket }>();
  /** INVITEs that are needed again: to be cancelled, or for the routes of a BYE. */
  readonly #invites = new Map<string, string>();
  /** The destination that a call failed at, by Call-ID. */
  readonly #failed = new Map<string, Socket>();
  /** INVITEs that came, by Call-ID and port: copies of them may come late. */
  readonly #seen = new Set<string>();
  readonly #timer: NodeJS.Timeout;
  readonly #contact: string | undefined;

  private constructor(sockets: readonly Socket[], contact: string | undefined) {
    this.#sockets = sockets;
    this.#contact = contact;
    for (const socket of sockets)
      socket.on("message", (bytes, from) => this.#take(bytes.toString("latin1"), from as unknown as AddressInfo, socket));
    this.#timer = setInterval(() => this.#repeat(), REPEAT_MS);
  }

  /**
   * Opens one destination on each address.
   *
   * @param contact `address:port` that their Contacts name, when requests inside a call are to come another way
   */
  static async open(addresses: readonly string[], port = 0, contact?: string): Promise<SoakCallees> {
    const sockets = addresses.map((address) => createSocket({ type: "udp4", recvBufferSize: 4_194_304 }).bind(port, address));
    await Promise.all(sockets.map((socket) => once(socket, "listening")));
    return new SoakCallees(sockets, contact);
  }

  get uris(): string[] {
    return this.#sockets.map((socket) => `sip:${sentByOf(socket)}`);
  }

  /** What has not ended: answers without ACK, BYEs without answer, calls that were neither acknowledged nor cancelled. */
  get size(): number {
    return this.#repeated.size + this.#invites.size;
  }

  /** Forgets calls that are over; late copies of their INVITEs would be new calls. */
  forget(): void {
    this.#failed.clear();
    this.#seen.clear();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#sockets.map((socket) => once(socket.close(), "close")));
  }

  #take(text: string, from: AddressInfo, socket: Socket): void {
    const callId = soakHeader(text, "Call-ID");
    const method = text.slice(0, text.indexOf(" "));
    const respond = (request: string, status: number, tag = "a"): void =>
      this.#send(soakResponse(request, status, tag, this.#placeOf(socket)), from, socket);
    switch (method) {
      case "SIP/2.0":
        this.#repeated.delete(`${callId} BYE`);
        break;
      case "INVITE":
        this.#invited(text, callId, from, socket);
        break;
      case "ACK":
        this.#acknowledged(text, callId, from, socket);
        break;
      case "CANCEL": {
        respond(text, 200);
        const invite = this.#invites.get(callId);
        if (invite !== undefined) respond(invite, 487);
        break;
      }
      default:
        this.#repeated.delete(`${callId} ${soakHeader(text, "To").split(";tag=")[1] ?? ""}`); // an ACK that was lost comes no more
        respond(text, 200);
    }
  }

  #invited(invite: string, callId: string, from: AddressInfo, socket: Socket): void {
    const kind = callId.slice(0, callId.indexOf("-")) as SoakKind;
    const respond = (status: number, tag = "a"): void => this.#send(soakResponse(invite, status, tag, this.#placeOf(socket)), from, socket);
    const answer = (tag: string): void => {
      const text = soakResponse(invite, 200, tag, this.#placeOf(socket));
      this.#repeated.set(`${callId} ${tag}`, { text, to: from, socket, sentMs: performance.now() });
      this.#send(text, from, socket);
    };
    if (kind === "refused") {
      respond(486);
      return;
    }
    if (kind === "failedover" && (this.#failed.get(callId) ?? socket) === socket) {
      this.#failed.set(callId, socket);
      respond(503);
      return;
    }
    respond(180);
    const key = `${callId} ${socket.address().port}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    if (kind === "hungup" || kind === "cancelled") this.#invites.set(callId, invite);
    if (kind === "cancelled") return;
    if (kind === "forked") {
      respond(180, "b");
      answer("b");
    }
    answer("a");
  }

  /** The ACK of a 200, or that of a refusal, which only ends what is kept. */
  #acknowledged(ack: string, callId: string, from: AddressInfo, socket: Socket): void {
    const tag = soakHeader(ack, "To").split(";tag=")[1] ?? "";
    this.#repeated.delete(`${callId} ${tag}`);
    const invite = this.#invites.get(callId);
    this.#invites.delete(callId);
    if (invite === undefined || !callId.startsWith("hungup")) return;
    const bye = soakRequest({
      ...{ method: "BYE", uri: soakContact(invite), sentBy: sentByOf(socket), branch: `d${callId}`, callId, cseq: 1 },
      ...{ from: soakHeader(ack, "To"), to: soakHeader(ack, "From"), routes: soakRoutes(invite) },
    });
    this.#repeated.set(`${callId} BYE`, { text: bye, to: from, socket, sentMs: performance.now() });
    this.#send(bye, from, socket);
  }

  #placeOf(socket: Socket): string {
    return this.#contact ?? sentByOf(socket);
  }

  #repeat(): void {
    const nowMs = performance.now();
    for (const repeated of this.#repeated.values()) {
      if (nowMs - repeated.sentMs < REPEAT_MS) continue;
      repeated.sentMs = nowMs;
      this.#send(repeated.text, repeated.to, repeated.socket);
    }
  }

  #send(text: string, to: AddressInfo, socket: Socket): void {
    socket.send(Buffer.from(text, "latin1"), to.port, to.address);
  }
}

/** `address:port` of a socket. */
export function sentByOf(socket: Socket): string {
  const { address, port } = socket.address();
  return `${address}:${port}`;
}
