import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { headerOf, headersOf, statusOf } from "./sip-messages.ts";

/** Copies of a request that has no answer yet, ms after the first (RFC 3261 §17.1.1.2). */
const REPEAT_MS = 500;
/** A request that has no final answer by then is lost, ms. */
const LOST_MS = 20_000;
/** Requests that wait for an answer at a time: a machine that is busy makes fewer calls a second, and loses none. */
const MAX_AT_A_TIME = 64;

const SDP =
  "v=0\r\no=- 3822174612 3822174612 IN IP4 198.51.100.23\r\ns=pjmedia\r\nb=AS:84\r\nt=0 0\r\na=X-nat:0\r\nm=audio 40016 RTP/AVP 8 0 101\r\n" +
  "c=IN IP4 198.51.100.23\r\nb=TIAS:64000\r\na=rtcp:40017 IN IP4 198.51.100.23\r\na=sendrecv\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n" +
  "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ssrc:1268034563 cname:5b4f0c2e6d1a7f38\r\n";

interface Waiting {
  readonly text: string;
  readonly sinceMs: number;
  sentMs: number;
  isHeard: boolean;
  readonly done: (answer: string | undefined) => void;
}

/** A call that is up. */
export interface HeldCall {
  readonly number: number;
  /** All that its BYE needs. */
  readonly to: string;
  readonly contact: string;
  readonly route: string;
}

export interface HeldCallsOptions {
  readonly proxy: { readonly address: string; readonly port: number };
  /** Where the callers are, and where the destinations are: one of each on each address. */
  readonly callers: readonly string[];
  readonly callees: readonly string[];
  /** Call-ID and tag of a call; default: those of a usual phone, another one for each call. */
  readonly callIdOf?: (number: number) => string;
}

/**
 * Makes very many calls over UDP and holds them, with messages as long as those of usual phones, and keeps as little of each as its BYE needs. What is lost
 * is sent again.
 */
export class HeldCalls {
  /** Calls that were begun. */
  made = 0;
  /** Requests that were refused, or had no answer at all. */
  wrong = 0;
  /** Calls that the destinations have. */
  held = 0;
  /** Times from the INVITE to its final answer, ms, since somebody emptied them. */
  readonly setupMs: number[] = [];
  readonly #options: HeldCallsOptions;
  readonly #callers: Socket[] = [];
  readonly #callees: Socket[] = [];
  readonly #waiting = new Map<string, Waiting>();
  readonly #atCallees = new Set<string>();
  readonly #timer: NodeJS.Timeout;

  private constructor(options: HeldCallsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#repeat(), REPEAT_MS / 2).unref();
  }

  static async open(options: HeldCallsOptions): Promise<HeldCalls> {
    const calls = new HeldCalls(options);
    for (const address of options.callers) calls.#callers.push(await calls.#socket(address, (text) => calls.#answered(text)));
    for (const address of options.callees) {
      const socket = await calls.#socket(address, (text, port, from) => calls.#asked(text, socket, port, from));
      calls.#callees.push(socket);
    }
    return calls;
  }

  /** URIs of the destinations. */
  get uris(): string[] {
    return this.#callees.map((socket) => `sip:${sentByOf(socket)}`);
  }

  /** Makes calls, at most so many a second, and answers those that came up. */
  async make(count: number, ratePerS: number): Promise<HeldCall[]> {
    const up: HeldCall[] = [];
    await this.#paced(count, ratePerS, async () => {
      const call = await this.#make(this.made++);
      if (call !== undefined) up.push(call);
    });
    return up;
  }

  async hangUp(calls: readonly HeldCall[], ratePerS: number): Promise<void> {
    let next = 0;
    await this.#paced(calls.length, ratePerS, () => this.#hangUp(calls[next++]!));
  }

  /** Makes calls that are hung up as soon as they are up. */
  async pass(count: number, ratePerS: number): Promise<void> {
    await this.#paced(count, ratePerS, async () => {
      const call = await this.#make(this.made++);
      if (call !== undefined) await this.#hangUp(call);
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#callers, ...this.#callees].map((socket) => once(socket.close(), "close")));
  }

  async #paced(count: number, ratePerS: number, act: () => Promise<void>): Promise<void> {
    const beganMs = performance.now();
    let running = 0;
    for (let begun = 0; begun < count || running > 0; ) {
      const due = Math.min(count, Math.ceil(((performance.now() - beganMs) * ratePerS) / 1_000));
      for (; begun < due && running < MAX_AT_A_TIME; begun++) {
        running++;
        void act().finally(() => running--);
      }
      await sleep(1);
    }
  }

  async #make(number: number): Promise<HeldCall | undefined> {
    const { address, port } = this.#options.proxy;
    const socket = this.#callerOf(number);
    const uri = `sip:+4930${String(number).padStart(8, "0")}@${address}:${port}`;
    const contact = `<sip:+49170${String(number).padStart(7, "0")}@${sentByOf(socket)};ob>`;
    const beganMs = performance.now();
    const answer = await this.#ask(
      socket,
      `i${number}`,
      `INVITE ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP ${sentByOf(socket)};rport;branch=z9hG4bKPji${number}\r\nMax-Forwards: 70\r\n` +
        `From: ${this.#fromOf(number)}\r\nTo: <${uri}>\r\nContact: ${contact}\r\nCall-ID: ${this.#callIdOf(number)}\r\nCSeq: 7531 INVITE\r\n` +
        "Allow: PRACK, INFO, INVITE, ACK, BYE, CANCEL, UPDATE, SUBSCRIBE, NOTIFY, REFER, MESSAGE, OPTIONS\r\n" +
        "Supported: replaces, 100rel, norefersub\r\nUser-Agent: PJSUA v2.14 Linux-6.1/x86_64/glibc-2.36\r\n" +
        `Content-Type: application/sdp\r\nContent-Length: ${SDP.length}\r\n\r\n${SDP}`,
    );
    if (answer === undefined || statusOf(answer) !== 200) {
      this.wrong++;
      return undefined;
    }
    this.setupMs.push(performance.now() - beganMs);
    const routes = headersOf(answer, "Record-Route").flatMap((line) => line.split(/\s*,\s*/));
    const route = routes.reverse().join(", ");
    const call = { number, to: headerOf(answer, "To"), contact: uriOf(headerOf(answer, "Contact")), route };
    this.#send(socket, this.#inside(call, "ACK", 7531), this.#options.proxy);
    return call;
  }

  async #hangUp(call: HeldCall): Promise<void> {
    const answer = await this.#ask(this.#callerOf(call.number), `b${call.number}`, this.#inside(call, "BYE", 7532));
    if (answer === undefined || statusOf(answer) !== 200) this.wrong++;
  }

  #inside({ number, to, contact, route }: HeldCall, method: "ACK" | "BYE", cseq: number): string {
    const branch = `${method === "ACK" ? "a" : "b"}${number}`;
    return (
      `${method} ${contact} SIP/2.0\r\nVia: SIP/2.0/UDP ${sentByOf(this.#callerOf(number))};rport;branch=z9hG4bKPj${branch}\r\nMax-Forwards: 70\r\n` +
      `From: ${this.#fromOf(number)}\r\nTo: ${to}\r\nCall-ID: ${this.#callIdOf(number)}\r\nCSeq: ${cseq} ${method}\r\nRoute: ${route}\r\n` +
      "Content-Length: 0\r\n\r\n"
    );
  }

  #callIdOf(number: number): string {
    return this.#options.callIdOf?.(number) ?? `5f1e8a3c-77b1-4c0e-9d42-${String(number).padStart(12, "0")}`;
  }

  #fromOf(number: number): string {
    return `"Alice Example" <sip:+49170${String(number).padStart(7, "0")}@pbx.example.com>;tag=9c41d7e2f05b4a${String(number).padStart(8, "0")}`;
  }

  #callerOf(number: number): Socket {
    return this.#callers[number % this.#callers.length]!;
  }

  #ask(socket: Socket, key: string, text: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      const nowMs = performance.now();
      const done = (answer: string | undefined): void => {
        this.#waiting.delete(key);
        resolve(answer);
      };
      this.#waiting.set(key, { text, sinceMs: nowMs, sentMs: nowMs, isHeard: false, done });
      this.#send(socket, text, this.#options.proxy);
    });
  }

  #answered(text: string): void {
    const [, key = ""] = /branch=z9hG4bKPj([ib]\d+)/.exec(text) ?? [];
    const waiting = this.#waiting.get(key);
    if (waiting === undefined) return;
    if (statusOf(text) >= 200) waiting.done(text);
    else waiting.isHeard = true;
  }

  #asked(text: string, socket: Socket, port: number, address: string): void {
    const method = text.slice(0, text.indexOf(" "));
    if (method !== "INVITE" && method !== "BYE") return;
    const { address: own, port: ownPort } = socket.address();
    const number = /;tag=9c41d7e2f05b4a(\d+)/.exec(headerOf(text, "From"))?.[1] ?? "";
    const head = ["Via", "Record-Route", "From", "Call-ID", "CSeq"].flatMap((name) =>
      headersOf(text, name).map((value) => `${name}: ${value}`),
    );
    const to = headerOf(text, "To");
    const answer = (status: string, rest: string): void =>
      this.#send(
        socket,
        `SIP/2.0 ${status}\r\n${head.join("\r\n")}\r\nTo: ${to.includes(";tag=") ? to : `${to};tag=as6e0d${number}`}\r\n${rest}`,
        {
          address,
          port,
        },
      );
    const from = `Server: Asterisk PBX 20.5.0\r\nContact: <sip:+4930${number}@${own}:${ownPort}>\r\nAllow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, INFO\r\n`;
    if (method === "INVITE") {
      this.#atCallees.add(number);
      answer("180 Ringing", `${from}Content-Length: 0\r\n\r\n`);
      answer("200 OK", `${from}Content-Type: application/sdp\r\nContent-Length: ${SDP.length}\r\n\r\n${SDP}`);
    } else {
      this.#atCallees.delete(number);
      answer("200 OK", "Content-Length: 0\r\n\r\n");
    }
    this.held = this.#atCallees.size;
  }

  #repeat(): void {
    const nowMs = performance.now();
    for (const [key, waiting] of this.#waiting) {
      if (nowMs - waiting.sinceMs > LOST_MS) waiting.done(undefined);
      else if (nowMs - waiting.sentMs >= REPEAT_MS && !waiting.isHeard) {
        waiting.sentMs = nowMs;
        this.#send(this.#callerOf(Number(key.slice(1))), waiting.text, this.#options.proxy);
      }
    }
  }

  #send(socket: Socket, text: string, to: { readonly address: string; readonly port: number }): void {
    socket.send(Buffer.from(text, "latin1"), to.port, to.address);
  }

  async #socket(address: string, take: (text: string, port: number, from: string) => void): Promise<Socket> {
    const socket = createSocket({ type: "udp4", recvBufferSize: 4_194_304, sendBufferSize: 4_194_304 }).unref();
    socket.on("message", (bytes, from) => take(bytes.toString("latin1"), from.port, from.address));
    socket.bind(0, address);
    await once(socket, "listening");
    return socket;
  }
}

function sentByOf(socket: Socket): string {
  const { address, port } = socket.address();
  return `${address}:${port}`;
}

function uriOf(nameAddr: string): string {
  return /<([^>]*)>/.exec(nameAddr)?.[1] ?? nameAddr;
}
