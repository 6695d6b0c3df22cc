import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { LOOPBACK } from "../demo/user-agent.ts";
import { LOST_MS } from "./plan.ts";

/** What is told to the process of callers or callees. */
export type AgentOrder =
  | { readonly type: "callees"; readonly ports: readonly number[] }
  | { readonly type: "callers"; readonly port: number; readonly target: number; readonly holdMs: number }
  | { readonly type: "pace"; readonly callsPerSecond: number }
  | { readonly type: "window" };

/** What it answers to `window`: what happened since the last one. */
export interface AgentFigures {
  readonly begun: number;
  readonly lost: number;
  readonly refused: number;
  /** Ms from INVITE to 200, sorted. */
  readonly latenciesMs: readonly number[];
  /** Processor time. */
  readonly cpuMs: number;
}

/** As much as the system gives: what arrives in a burst must not be lost here. */
const BUFFER_BYTES = 4_194_304;
/** Calls are begun this often: fine enough that they do not come in bursts. */
const PACE_MS = 1;
/** A caller who is late catches up with no more calls than this at once. */
const MAX_AT_ONCE = 50;
const SDP =
  "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40002 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendrecv\r\n";

async function openSocket(port: number): Promise<Socket> {
  const socket = createSocket({ type: "udp4", recvBufferSize: BUFFER_BYTES, sendBufferSize: BUFFER_BYTES });
  socket.bind(port, LOOPBACK);
  await once(socket, "listening");
  return socket;
}

/** A header as the other sides of the benchmark write it: names in full, one space, in this case. */
function header(text: string, name: string): string {
  const at = text.indexOf(`\r\n${name}: `);
  return at === -1 ? "" : text.slice(at + name.length + 4, text.indexOf("\r\n", at + 2));
}

/** All lines of a header. */
function linesOf(text: string, name: string): string[] {
  return text.split("\r\n").filter((line) => line.startsWith(`${name}: `));
}

/** Answers every call at once: 180, 200; and every BYE. */
async function openCallees(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    const socket = await openSocket(port);
    socket.on("message", (bytes, from) => {
      for (const answer of answersTo(bytes.toString("latin1"), port)) socket.send(Buffer.from(answer, "latin1"), from.port, from.address);
    });
  }
}

function answersTo(request: string, port: number): readonly string[] {
  const method = request.slice(0, request.indexOf(" "));
  if (method === "ACK" || method === "SIP/2.0") return [];
  const kept = [...linesOf(request, "Via"), ...linesOf(request, "Record-Route"), `From: ${header(request, "From")}`].join("\r\n");
  const rest = `Call-ID: ${header(request, "Call-ID")}\r\nCSeq: ${header(request, "CSeq")}`;
  const to = header(request, "To");
  if (method !== "INVITE") return [`SIP/2.0 200 OK\r\n${kept}\r\nTo: ${to}\r\n${rest}\r\nContent-Length: 0\r\n\r\n`];
  const same = `${kept}\r\nTo: ${to};tag=b${port}\r\n${rest}\r\nContact: <sip:callee@${LOOPBACK}:${port}>\r\n`;
  return [
    `SIP/2.0 180 Ringing\r\n${same}Content-Length: 0\r\n\r\n`,
    `SIP/2.0 200 OK\r\n${same}Content-Type: application/sdp\r\nContent-Length: ${SDP.length}\r\n\r\n${SDP}`,
  ];
}

interface Call {
  readonly sentMs: number;
  isLost: boolean;
}

/** Begins calls at a steady rate, holds each, hangs up. Repeats nothing: what is lost is counted. */
class Callers {
  readonly #socket: Socket;
  readonly #port: number;
  readonly #target: number;
  readonly #holdMs: number;
  readonly #name = process.pid.toString(36);
  /** Calls that are not answered yet, oldest first. */
  readonly #waiting = new Map<string, Call>();
  #made = 0;
  #rate = 0;
  #due = 0;
  #pacedAtMs = performance.now();
  #begun = 0;
  #lost = 0;
  #refused = 0;
  #latencies: number[] = [];

  private constructor(socket: Socket, port: number, target: number, holdMs: number) {
    this.#socket = socket;
    this.#port = port;
    this.#target = target;
    this.#holdMs = holdMs;
    socket.on("message", (bytes) => this.#take(bytes.toString("latin1")));
    setInterval(() => this.#pace(), PACE_MS);
  }

  static async open({ port, target, holdMs }: Extract<AgentOrder, { type: "callers" }>): Promise<Callers> {
    return new Callers(await openSocket(port), port, target, holdMs);
  }

  pace(callsPerSecond: number): void {
    this.#rate = callsPerSecond;
    this.#due = 0;
    this.#pacedAtMs = performance.now();
  }

  figures(): Omit<AgentFigures, "cpuMs"> {
    this.#lookForLost();
    const figures = { begun: this.#begun, lost: this.#lost, refused: this.#refused, latenciesMs: this.#latencies.sort((a, b) => a - b) };
    this.#begun = this.#lost = this.#refused = 0;
    this.#latencies = [];
    return figures;
  }

  #pace(): void {
    const nowMs = performance.now();
    this.#due += (this.#rate * (nowMs - this.#pacedAtMs)) / 1000;
    this.#pacedAtMs = nowMs;
    for (let made = 0; this.#due >= 1 && made < MAX_AT_ONCE; made++, this.#due--) this.#begin(nowMs);
  }

  #begin(nowMs: number): void {
    this.#made += 1;
    this.#begun += 1;
    const callId = `${this.#made}-${this.#name}@${LOOPBACK}`;
    const uri = `sip:service@${LOOPBACK}:${this.#target}`;
    this.#waiting.set(callId, { sentMs: nowMs, isLost: false });
    const contact = `Contact: <sip:caller@${LOOPBACK}:${this.#port}>\r\nContent-Type: application/sdp\r\n`;
    this.#send(this.#request("INVITE", uri, callId, `<${uri}>`, "", 1, contact, SDP));
  }

  #request(method: string, uri: string, callId: string, to: string, routes: string, cseq: number, more = "", body = ""): string {
    return (
      `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP ${LOOPBACK}:${this.#port};branch=z9hG4bK-${method}${callId};rport\r\n${routes}` +
      `From: "Bench" <sip:caller@${LOOPBACK}:${this.#port}>;tag=${callId}\r\nTo: ${to}\r\nCall-ID: ${callId}\r\nCSeq: ${cseq} ${method}\r\n` +
      `Max-Forwards: 70\r\nUser-Agent: headroom bench\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`
    );
  }

  #take(text: string): void {
    const status = Number(text.slice(8, 11));
    if (!text.startsWith("SIP/2.0 ") || status < 200) return;
    const isInvite = header(text, "CSeq").endsWith("INVITE");
    if (!isInvite) {
      if (status >= 300) this.#refused += 1;
      return;
    }
    const callId = header(text, "Call-ID");
    const call = this.#waiting.get(callId);
    if (call === undefined) return; // a copy
    this.#waiting.delete(callId);
    const to = header(text, "To");
    const routes = linesOf(text, "Record-Route")
      .reverse()
      .map((line) => `Route: ${line.slice("Record-Route: ".length)}\r\n`)
      .join("");
    if (status >= 300) {
      this.#refused += 1;
      const uri = `sip:service@${LOOPBACK}:${this.#target}`;
      this.#send(this.#request("ACK", uri, callId, to, "", 1).replace("z9hG4bK-ACK", "z9hG4bK-INVITE"));
      return;
    }
    if (!call.isLost) this.#latencies.push(performance.now() - call.sentMs);
    const contact = header(text, "Contact").slice(1, -1);
    this.#send(this.#request("ACK", contact, callId, to, routes, 1));
    setTimeout(() => this.#send(this.#request("BYE", contact, callId, to, routes, 2)), this.#holdMs);
  }

  #lookForLost(): void {
    const beforeMs = performance.now() - LOST_MS;
    for (const [callId, call] of this.#waiting) {
      if (call.sentMs > beforeMs) break; // later ones are younger
      if (!call.isLost) this.#lost += 1;
      // Remembered for as long again, for an answer that comes after all.
      if (call.isLost) this.#waiting.delete(callId);
      call.isLost = true;
    }
  }

  #send(text: string): void {
    this.#socket.send(Buffer.from(text, "latin1"), this.#target, LOOPBACK);
  }
}

/** The process of callers or callees, which this file is: does what it is told, and ends with whoever started it. */
function serve(): void {
  let callers: Callers | undefined;
  let cpu = process.cpuUsage();
  process.on("disconnect", () => process.exit());
  process.on("SIGINT", () => undefined); // a Ctrl-C goes to everybody: whoever started this process ends it
  process.on("message", async (order: AgentOrder) => {
    switch (order.type) {
      case "callees":
        await openCallees(order.ports);
        process.send?.("ready");
        break;
      case "callers":
        callers = await Callers.open(order);
        process.send?.("ready");
        break;
      case "pace":
        callers?.pace(order.callsPerSecond);
        break;
      case "window": {
        const { user, system } = process.cpuUsage(cpu);
        cpu = process.cpuUsage();
        const figures = callers?.figures() ?? { begun: 0, lost: 0, refused: 0, latenciesMs: [] };
        process.send?.({ ...figures, cpuMs: (user + system) / 1000 } satisfies AgentFigures);
      }
    }
  });
}

serve();
