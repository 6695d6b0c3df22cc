import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { REPEAT_MS, type SoakKind, sentByOf } from "./soak-callee.ts";
import { soakContact, soakHeader, soakRequest, soakResponse, soakRoutes } from "./soak-messages.ts";

/** What twenty calls are. */
const KINDS: readonly SoakKind[] = [
  ...Array<SoakKind>(12).fill("plain"),
  ...(["hungup", "hungup", "refused", "cancelled", "cancelled", "failedover", "failedover", "forked"] as const),
];
/** The final answer to an INVITE of each kind. */
const FINAL: Record<SoakKind, number> = { plain: 200, hungup: 200, refused: 486, cancelled: 487, failedover: 200, forked: 200 };
/** Calls that are being made or ended at a time: a machine that is busy makes fewer a second, and loses none. */
const MAX_AT_A_TIME = 100;
/** A call that has not ended by then is lost, ms. */
const LOST_MS = 20_000;

interface SoakCall {
  readonly id: string;
  readonly kind: SoakKind;
  readonly from: string;
  readonly beganMs: number;
  /** Legs that were answered, by their tag; true once hung up. */
  readonly legs: Map<string, boolean>;
  /** Sent again until they are answered, by CSeq method and tag. */
  readonly repeated: Map<string, { readonly text: string; sentMs: number }>;
  readonly invite: string;
}

/** What became of the calls of a soak. */
export interface SoakCounts {
  made: number;
  ended: number;
  /** Messages that came but should not have, and calls that never ended; the first few in words. */
  wrong: number;
  readonly examples: string[];
}

/** Calls of all kinds, from one address. */
export class SoakCaller {
  readonly #socket: Socket;
  readonly #calls = new Map<string, SoakCall>();
  readonly #target: { readonly address: string; readonly port: number };
  readonly #counts: SoakCounts;

  private constructor(socket: Socket, target: { readonly address: string; readonly port: number }, counts: SoakCounts) {
    this.#socket = socket;
    this.#target = target;
    this.#counts = counts;
    socket.on("message", (bytes) => this.#take(bytes.toString("latin1")));
  }

  /**
   * Makes calls and waits for the end of each.
   *
   * @param counts goes on from what it holds; `made` numbers the calls
   * @param ratePerS calls a second at most
   */
  static async run(
    address: string,
    target: { readonly address: string; readonly port: number },
    calls: number,
    ratePerS: number,
    counts: SoakCounts,
  ): Promise<void> {
    const socket = createSocket({ type: "udp4", recvBufferSize: 4_194_304 }).bind(0, address);
    await once(socket, "listening");
    const caller = new SoakCaller(socket, target, counts);
    const timer = setInterval(() => caller.#repeat(), REPEAT_MS);
    try {
      const beganMs = performance.now();
      for (let made = 0; made < calls || caller.#calls.size > 0; ) {
        const due = Math.min(calls, ((performance.now() - beganMs) * ratePerS) / 1_000);
        for (; made < due && caller.#calls.size < MAX_AT_A_TIME; made++) caller.#begin();
        await sleep(2);
      }
    } finally {
      clearInterval(timer);
      await once(socket.close(), "close");
    }
  }

  #begin(): void {
    const number = this.#counts.made++;
    const kind = KINDS[number % KINDS.length] ?? "plain";
    const id = `${kind}-${number}`;
    const sentBy = sentByOf(this.#socket);
    const from = `<sip:soak@${sentBy}>;tag=c${number}`;
    const uri = `sip:service@${this.#target.address}:${this.#target.port}`;
    const invite = soakRequest({ method: "INVITE", uri, sentBy, branch: `i${id}`, from, to: `<${uri}>`, callId: id, cseq: 1 });
    const call: SoakCall = { id, kind, from, beganMs: performance.now(), legs: new Map(), repeated: new Map(), invite };
    this.#calls.set(id, call);
    this.#sendUntilAnswered(call, "INVITE", invite);
  }

  #take(text: string): void {
    const call = this.#calls.get(soakHeader(text, "Call-ID"));
    if (!text.startsWith("SIP/2.0 ")) {
      this.#send(soakResponse(text, 200, "c", sentByOf(this.#socket)));
      if (call !== undefined) this.#finished(call);
      return;
    }
    if (call === undefined) return; // a copy
    const status = Number(text.slice(8, 11));
    const method = soakHeader(text, "CSeq").split(" ")[1] ?? "";
    const tag = soakHeader(text, "To").split(";tag=")[1] ?? "";
    if (method === "INVITE") this.#answered(call, status, tag, text);
    else if (status !== 200) this.#wrong(`${call.id}: ${status} to ${method}`);
    else if (method === "CANCEL") call.repeated.delete("CANCEL");
    else {
      call.repeated.delete(`BYE ${tag}`);
      call.legs.set(tag, true);
      if (call.legs.size === (call.kind === "forked" ? 2 : 1) && [...call.legs.values()].every(Boolean)) this.#finished(call);
    }
  }

  #answered(call: SoakCall, status: number, tag: string, text: string): void {
    if (status < 200) {
      call.repeated.delete("INVITE");
      if (status === 180 && call.kind === "cancelled" && !call.legs.has("cancelled")) {
        call.legs.set("cancelled", true);
        this.#sendUntilAnswered(call, "CANCEL", asMethod(call.invite, "CANCEL"));
      }
      return;
    }
    call.repeated.delete("INVITE");
    if (status !== FINAL[call.kind]) this.#wrong(`${call.id}: ${status} to INVITE`);
    if (status !== 200) {
      this.#send(asMethod(call.invite, "ACK").replace(/\r\nTo: [^\r]*/, `\r\nTo: ${soakHeader(text, "To")}`));
      this.#finished(call);
      return;
    }
    const inside = {
      ...{ uri: soakContact(text), sentBy: sentByOf(this.#socket), from: call.from, to: soakHeader(text, "To"), callId: call.id },
      routes: soakRoutes(text).reverse(),
    };
    this.#send(soakRequest({ ...inside, method: "ACK", branch: `a${call.id}${tag}`, cseq: 1 }));
    if (call.kind === "hungup" || call.legs.has(tag)) return;
    call.legs.set(tag, false);
    this.#sendUntilAnswered(call, `BYE ${tag}`, soakRequest({ ...inside, method: "BYE", branch: `b${call.id}${tag}`, cseq: 2 }));
  }

  #finished(call: SoakCall): void {
    if (this.#calls.delete(call.id)) this.#counts.ended++;
  }

  #wrong(what: string): void {
    this.#counts.wrong++;
    if (this.#counts.examples.length < 10) this.#counts.examples.push(what);
  }

  #sendUntilAnswered(call: SoakCall, what: string, text: string): void {
    call.repeated.set(what, { text, sentMs: performance.now() });
    this.#send(text);
  }

  #repeat(): void {
    const nowMs = performance.now();
    for (const call of this.#calls.values()) {
      if (nowMs - call.beganMs > LOST_MS) {
        this.#calls.delete(call.id);
        this.#wrong(`${call.id}: it has no end; waits for ${[...call.repeated.keys()].join(", ") || "the other side"}`);
        continue;
      }
      for (const repeated of call.repeated.values()) {
        if (nowMs - repeated.sentMs < REPEAT_MS) continue;
        repeated.sentMs = nowMs;
        this.#send(repeated.text);
      }
    }
  }

  #send(text: string): void {
    this.#socket.send(Buffer.from(text, "latin1"), this.#target.port, this.#target.address);
  }
}

/** CANCEL and the ACK of a refusal belong to the INVITE's transaction: same branch, same number (RFC 3261 §9.1, §17.1.1.3). */
function asMethod(invite: string, method: string): string {
  const head = invite.slice(0, invite.indexOf("\r\nContact: "));
  return `${head.replace(/^INVITE /, `${method} `).replace("CSeq: 1 INVITE", `CSeq: 1 ${method}`)}\r\nContent-Length: 0\r\n\r\n`;
}
