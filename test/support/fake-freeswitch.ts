import { createServer, type Server, type Socket } from "node:net";
import { recordedFrames } from "./esl-recordings.ts";

const [AUTH_REQUEST = "", ACCEPTED = ""] = recordedFrames("01-banner-auth-ok");
const [, INVALID = "", GOODBYE = ""] = recordedFrames("02-auth-fail");
const [RUDE_REJECTION = ""] = recordedFrames("30-acl-rude-rejection");
const [, SHUTDOWN_NOTICE = ""] = recordedFrames("36-sigterm-unauthenticated");
const HEARTBEAT = bodyOf(recordedFrames("11-heartbeat-json-0-1-6-calls").find((frame) => frame.includes("HEARTBEAT")) ?? "");
const STATUS = bodyOf(recordedFrames("04-api-basics").find((frame) => frame.includes("session(s) max")) ?? "");

/** What a fake FreeSWITCH does with a connection: speak, refuse it, say nothing, or send these bytes and nothing else. */
export type Manner = "normal" | "rude" | "silent" | "deaf" | Uint8Array;

/** The figures that its heartbeats and answers show. */
export interface FakeFigures {
  sessions: number;
  maxSessions: number;
  idleCpu: number;
  sessionsPerSecond: number;
  paused: boolean;
  pausedInbound: boolean;
  leaving: boolean;
  coreUuid: string;
}

/**
 * An event socket on TCP that speaks like the recorded FreeSWITCH, with its own bytes: greeting, login, subscription, commands, heartbeats, the ways to
 * refuse and to end. Heartbeats come when the test says so.
 */
export class FakeFreeswitch {
  readonly figures: FakeFigures = {
    sessions: 0,
    maxSessions: 1000,
    idleCpu: 100,
    sessionsPerSecond: 1000,
    paused: false,
    pausedInbound: false,
    leaving: false,
    coreUuid: "ba9d6ec7-47c1-488a-9a58-ab49cca945be",
  };
  manner: Manner = "normal";
  password = "ClueCon";
  /** Answers in place of the usual ones, by command. */
  readonly answers = new Map<string, string>();
  /** All commands that came, in order. */
  readonly commands: string[] = [];
  /** Connections that came. */
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #subscribed = new Map<Socket, Set<string>>();

  private constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** Listens on a free port of 127.0.0.1, or on `port`. */
  static async start(port = 0): Promise<FakeFreeswitch> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
    return new FakeFreeswitch(server);
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Its URL for a `resources` column. */
  get url(): string {
    return `fs://:${encodeURIComponent(this.password)}@127.0.0.1:${this.port}`;
  }

  /** Connections that are subscribed to heartbeats. */
  get subscribers(): number {
    return [...this.#subscribed.values()].filter((events) => events.has("HEARTBEAT")).length;
  }

  get openConnections(): number {
    return this.#sockets.size;
  }

  /** Sends a heartbeat with the figures of now; `changes` puts other text into fields, or leaves one out. */
  beat(changes: Readonly<Record<string, string | undefined>> = {}): void {
    const { sessions, maxSessions, idleCpu, coreUuid } = this.figures;
    const shown = {
      "Core-UUID": coreUuid,
      "Session-Count": String(sessions),
      "Max-Sessions": String(maxSessions),
      "Idle-CPU": idleCpu.toFixed(6),
    };
    this.#event("HEARTBEAT", { ...(JSON.parse(HEARTBEAT) as object), ...shown, ...changes });
  }

  /** What `fsctl shutdown elegant` makes it send. */
  requestShutdown(): void {
    this.figures.leaving = true;
    this.#event("SHUTDOWN_REQUESTED", { "Event-Name": "SHUTDOWN_REQUESTED", "Event-Info": "elegant" });
  }

  /** Ends all connections as FreeSWITCH does when it ends. */
  shutDown(): void {
    this.#event("SHUTDOWN", { "Event-Name": "SHUTDOWN", "Event-Info": "System Shutting Down" });
    for (const socket of this.#sockets) socket.end(SHUTDOWN_NOTICE);
  }

  /** Sends bytes to all who are connected. */
  send(bytes: string | Uint8Array): void {
    for (const socket of this.#sockets) socket.write(bytes);
  }

  /** Cuts all connections, as SIGKILL does. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(socket: Socket): void {
    this.connections++;
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.#subscribed.delete(socket);
    });
    if (this.manner === "silent") return;
    if (this.manner instanceof Uint8Array) {
      socket.write(this.manner);
      return;
    }
    if (this.manner === "rude") {
      socket.end(RUDE_REJECTION + GOODBYE);
      return;
    }
    socket.write(AUTH_REQUEST);
    let text = "";
    let loggedIn = false;
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      text += chunk;
      for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
        const command = text.slice(0, end);
        text = text.slice(end + 2);
        this.commands.push(command);
        if (command === "exit") socket.end(reply("+OK bye") + GOODBYE);
        else if (/^(user)?auth /.test(command)) {
          loggedIn = command === `auth ${this.password}` || command === `userauth lb:${this.password}`;
          if (loggedIn) socket.write(ACCEPTED);
          else socket.end(INVALID + GOODBYE);
        } else if (this.manner !== "deaf") socket.write(loggedIn ? this.#answer(socket, command) : reply("-ERR command not found"));
      }
    });
  }

  #answer(socket: Socket, command: string): string {
    const prepared = this.answers.get(command);
    if (prepared !== undefined) return prepared;
    const [, events] = /^event json (.+)$/.exec(command) ?? [];
    if (events !== undefined) {
      this.#subscribed.set(socket, new Set([...(this.#subscribed.get(socket) ?? []), ...events.split(" ")]));
      return reply("+OK event listener enabled json");
    }
    if (!command.startsWith("api ")) return reply("-ERR command not found");
    return apiResponse(this.#apiAnswer(command.slice("api ".length)));
  }

  #apiAnswer(command: string): string {
    const { paused, pausedInbound, leaving, sessions, maxSessions, idleCpu, sessionsPerSecond } = this.figures;
    switch (command) {
      case "status":
        return STATUS.replace(" is ready", paused ? " is not ready" : " is ready")
          .replace(/^\d+ session\(s\) - peak/m, `${sessions} session(s) - peak`)
          .replace(/^\d+ session\(s\) max$/m, `${maxSessions} session(s) max`)
          .replace(/^min idle cpu .*$/m, `min idle cpu 0.00/${idleCpu.toFixed(2)}`);
      case "fsctl pause_check inbound":
        return String(paused || pausedInbound);
      case "fsctl shutdown_check":
        return String(leaving);
      case "fsctl sps":
        return `+OK sessions per second: ${sessionsPerSecond}\n`;
      default:
        return `-ERR ${command} Command not found!\n`;
    }
  }

  #event(name: string, fields: object): void {
    const frame = eventFrame(JSON.stringify(fields));
    for (const [socket, events] of this.#subscribed) if (events.has(name)) socket.write(frame);
  }
}

/** A frame with an event whose body is this text, JSON or not. */
export function eventFrame(json: string): string {
  return `Content-Length: ${Buffer.byteLength(json)}\nContent-Type: text/event-json\n\n${json}`;
}

/** The reply to a command that is no `api`. */
export function reply(text: string): string {
  return `Content-Type: command/reply\nReply-Text: ${text}\n\n`;
}

/** The reply to an `api` command. */
export function apiResponse(body: string): string {
  return `Content-Type: api/response\nContent-Length: ${Buffer.byteLength(body)}\n\n${body}`;
}

function bodyOf(frame: string): string {
  return frame.slice(frame.indexOf("\n\n") + 2);
}
