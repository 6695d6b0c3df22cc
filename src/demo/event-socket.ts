import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { LOOPBACK } from "./user-agent.ts";

const BEAT_MS = 1000;
const PASSWORD = "demo";
/** Nobody but the balancer connects, with commands of a few bytes. */
const MAX_BUFFERED_CHARS = 4096;

/** What heartbeats and answers tell of the server. */
export interface SwitchFigures {
  readonly sessions: number;
  readonly maxSessions: number;
  /** 0 to 100. */
  readonly idleCpuPercent: number;
  readonly paused: boolean;
}

/** The event socket of a simulated FreeSWITCH: login, heartbeats each second, and answers to what the balancer asks. */
export class EventSocket {
  readonly #figures: () => SwitchFigures;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #subscribed = new Set<Socket>();
  readonly #timer: NodeJS.Timeout;

  private constructor(figures: () => SwitchFigures) {
    this.#figures = figures;
    this.#server = createServer((socket) => this.#accept(socket));
    this.#timer = setInterval(() => this.#beat(), BEAT_MS);
  }

  /** Listens on a free port. */
  static async open(figures: () => SwitchFigures): Promise<EventSocket> {
    const opened = new EventSocket(figures);
    opened.#server.listen(0, LOOPBACK);
    await once(opened.#server, "listening");
    return opened;
  }

  /** As a row of the table names it. */
  get url(): string {
    const bound = this.#server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    return `fs://:${PASSWORD}@${LOOPBACK}:${port}`;
  }

  close(): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#subscribed.delete(socket);
    });
    socket.write("Content-Type: auth/request\n\n");
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.length > MAX_BUFFERED_CHARS) socket.destroy();
      for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
        this.#command(socket, text.slice(0, end));
        text = text.slice(end + 2);
      }
    });
  }

  #command(socket: Socket, command: string): void {
    if (command === `auth ${PASSWORD}`) socket.write(reply("+OK accepted"));
    else if (command === "exit") socket.end(reply("+OK bye"));
    else if (command.startsWith("event json ")) {
      socket.write(reply("+OK event listener enabled json"));
      this.#subscribed.add(socket);
      this.#beatTo(socket); // nobody wants to watch a farm that nothing is known of
    } else if (command.startsWith("api ")) socket.write(apiResponse(this.#answer(command.slice("api ".length))));
    else socket.write(reply("-ERR command not found"));
  }

  #answer(command: string): string {
    const { sessions, maxSessions, idleCpuPercent, paused } = this.#figures();
    switch (command) {
      case "status":
        return `FreeSWITCH (demo) is ${paused ? "not " : ""}ready\n${sessions} session(s) - peak ${sessions}\n${maxSessions} session(s) max\nmin idle cpu 0.00/${idleCpuPercent.toFixed(2)}\n`;
      case "fsctl pause_check inbound":
        return String(paused);
      case "fsctl shutdown_check":
        return "false";
      case "fsctl sps":
        return "+OK sessions per second: 1000\n";
      default:
        return "-ERR command not found\n";
    }
  }

  #beat(): void {
    for (const socket of this.#subscribed) this.#beatTo(socket);
  }

  #beatTo(socket: Socket): void {
    const { sessions, maxSessions, idleCpuPercent } = this.#figures();
    const body = JSON.stringify({
      "Event-Name": "HEARTBEAT",
      "Core-UUID": "demo",
      "Event-Info": "System Ready",
      "Session-Count": String(sessions),
      "Max-Sessions": String(maxSessions),
      "Idle-CPU": idleCpuPercent.toFixed(6),
    });
    socket.write(`Content-Length: ${body.length}\nContent-Type: text/event-json\n\n${body}`);
  }
}

function reply(text: string): string {
  return `Content-Type: command/reply\nReply-Text: ${text}\n\n`;
}

function apiResponse(body: string): string {
  return `Content-Type: api/response\nContent-Length: ${Buffer.byteLength(body)}\n\n${body}`;
}
