import { connect, type Socket } from "node:net";
import { backoffMs } from "./backoff.ts";
import type { EslCounters, EslEnd } from "./counters.ts";
import { EslSession } from "./esl-session.ts";
import { EslFramer, FrameError } from "./framer.ts";
import type { FsUrl } from "./fs-url.ts";
import { EXIT_MS, GOOD_CONNECTION_MS, MAX_BYTES_PER_SECOND, MAX_FRAMES_PER_SECOND, TCP_KEEPALIVE_MS } from "./limits.ts";
import { type EslMessage, EslMessageParser } from "./message-parser.ts";
import type { EslPorts, EslSettings } from "./ports.ts";

/** Who listens to a client. */
export interface EslListener {
  /** Connected, logged in, subscribed; again after each time that the connection was lost. */
  ready(): void;
  event(message: EslMessage): void;
  /** FreeSWITCH says that it ends. */
  shutdown(): void;
  /** The connection ended, or did not come about; it will be tried again, unless it was stopped. */
  down(reason: EslEnd): void;
}

/** Ends that the next try would only repeat: a person has to change something, and FreeSWITCH may ban who knocks too often. */
const HOPELESS: ReadonlySet<EslEnd> = new Set<EslEnd>(["login-refused", "rude-rejection", "subscription-refused"]);
/** So many failures make the longest wait. */
const LONGEST = 16;
const FLOOD_WINDOW_MS = 1000;

/** One connection, from its beginning to its end. */
interface Line {
  readonly socket: Socket;
  readonly session: EslSession;
  readonly framer: EslFramer;
  readonly parser: EslMessageParser;
  stopTimer: () => void;
  connected: boolean;
  readyAtMs: number | undefined;
  windowAtMs: number;
  windowFrames: number;
  windowBytes: number;
}

/**
 * Keeps one connection to the event socket of one FreeSWITCH: connects, logs in, subscribes, and after each end tries again, waiting 1 to 30 s. Whatever
 * the other side sends, at most its own connection suffers.
 */
export class EslClient {
  readonly counters: EslCounters;
  readonly #url: FsUrl;
  readonly #settings: EslSettings;
  readonly #ports: EslPorts;
  readonly #listener: EslListener;
  #line: Line | undefined;
  #stopRetry: (() => void) | undefined;
  #failures = 0;
  /** Why there is no connection, as far as it was said. */
  #told: EslEnd | undefined;
  #running = false;

  constructor(url: FsUrl, settings: EslSettings, ports: EslPorts, listener: EslListener, counters: EslCounters) {
    this.#url = url;
    this.#settings = settings;
    this.#ports = ports;
    this.#listener = listener;
    this.counters = counters;
  }

  get isReady(): boolean {
    return this.#line?.session.isReady ?? false;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#connect();
  }

  /** Says `exit` and closes; a side that does not let go is cut off. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#running = false;
    this.#stopRetry?.();
    this.#stopRetry = undefined;
    const line = this.#line;
    if (line === undefined) return;
    const wasReady = line.session.isReady;
    this.#drop(line, "stopped", "", wasReady);
    if (wasReady) await new Promise<void>((resolve) => line.socket.once("close", () => resolve()));
  }

  /** Sends a command. @returns what was answered; undefined when there is no connection, or it ended first */
  request(command: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      const line = this.#line;
      if (line === undefined || !line.session.request(command, answered)) return resolve(undefined);
      // Replies belong to commands by their order: one that is missing makes the connection worthless.
      const stopTimer = this.#ports.clock.after(this.#settings.replyTimeoutMs, () => this.#drop(line, "reply-timeout", ""));
      function answered(reply: string | undefined): void {
        stopTimer();
        resolve(reply);
      }
    });
  }

  #connect(): void {
    this.#stopRetry = undefined;
    this.counters.tries++;
    const { clock } = this.#ports;
    let socket: Socket;
    try {
      socket = (this.#ports.connect ?? connectTcp)(this.#url.host, this.#url.port);
    } catch {
      this.#ended("connect-failed", "");
      return;
    }
    const session = new EslSession(
      this.#url,
      {
        send: (text) => socket.write(text),
        ready: () => this.#ready(line),
        event: (message) => this.#listener.event(message),
        shutdown: () => this.#listener.shutdown(),
        end: (reason, quote) => this.#drop(line, reason, quote),
      },
      this.counters,
    );
    const line: Line = {
      socket,
      session,
      framer: new EslFramer(),
      parser: new EslMessageParser(),
      stopTimer: clock.after(this.#settings.connectTimeoutMs, () => this.#drop(line, "connect-timeout", "")),
      connected: false,
      readyAtMs: undefined,
      windowAtMs: clock.now(),
      windowFrames: 0,
      windowBytes: 0,
    };
    this.#line = line;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS);
    socket.on("connect", () => {
      if (this.#line !== line) return;
      line.connected = true;
      line.stopTimer();
      line.stopTimer = clock.after(this.#settings.replyTimeoutMs, () => this.#drop(line, "handshake-timeout", ""));
    });
    socket.on("data", (chunk) => this.#receive(line, chunk));
    socket.on("error", ({ code }: NodeJS.ErrnoException) => this.#drop(line, line.connected ? "lost" : "connect-failed", code ?? ""));
    socket.on("end", () => this.#drop(line, "lost", ""));
    socket.on("close", () => this.#drop(line, "lost", ""));
  }

  #receive(line: Line, chunk: Buffer): void {
    if (this.#line !== line) return;
    this.counters.bytes_received += chunk.length;
    if (this.#isFlood(line, 0, chunk.length)) {
      this.#drop(line, "flood", "");
      return;
    }
    try {
      line.framer.push(chunk, (frame) => {
        this.counters.frames++;
        if (this.#isFlood(line, 1, 0)) this.#drop(line, "flood", "");
        else line.session.receive(line.parser.parse(frame));
        return this.#line === line;
      });
    } catch (error) {
      // Whatever fails here was brought about by what this connection sent; nothing else may suffer for it.
      const known = error instanceof FrameError;
      this.counters.frame_faults[known ? error.fault : "unreadable"]++;
      this.#drop(line, "broken-frame", known ? error.message : String(error instanceof Error ? error.name : typeof error));
    }
  }

  #isFlood(line: Line, frames: number, bytes: number): boolean {
    const nowMs = this.#ports.clock.now();
    if (nowMs - line.windowAtMs >= FLOOD_WINDOW_MS) {
      line.windowAtMs = nowMs;
      line.windowFrames = 0;
      line.windowBytes = 0;
    }
    line.windowFrames += frames;
    line.windowBytes += bytes;
    return line.windowFrames > MAX_FRAMES_PER_SECOND || line.windowBytes > MAX_BYTES_PER_SECOND;
  }

  #ready(line: Line): void {
    line.stopTimer();
    line.readyAtMs = this.#ports.clock.now();
    this.counters.ready++;
    this.#told = undefined;
    this.#ports.log.info({ freeswitch: this.#url.label }, "connected to the event socket");
    this.#listener.ready();
  }

  /** Ends a connection, once. */
  #drop(line: Line, reason: EslEnd, quote: string, polite = false): void {
    if (this.#line !== line) return;
    this.#line = undefined;
    line.stopTimer();
    line.session.closed();
    if (polite) {
      line.socket.end("exit\n\n");
      const stopCut = this.#ports.clock.after(EXIT_MS, () => line.socket.destroy());
      line.socket.once("close", stopCut);
      line.socket.resume();
    } else line.socket.destroy();
    if (line.readyAtMs !== undefined && this.#ports.clock.now() - line.readyAtMs >= GOOD_CONNECTION_MS) this.#failures = 0;
    this.#ended(reason, quote);
  }

  #ended(reason: EslEnd, quote: string): void {
    this.counters.ends[reason]++;
    this.#failures++;
    if (this.#running) {
      const retryMs = backoffMs(HOPELESS.has(reason) ? LONGEST : this.#failures, this.#ports.random);
      this.#stopRetry = this.#ports.clock.after(retryMs, () => this.#connect());
      const { log } = this.#ports;
      const say = (reason === this.#told ? log.debug : log.warn).bind(log);
      this.#told = reason;
      say({ freeswitch: this.#url.label, reason, quote, retryMs }, "no connection to the event socket");
    }
    this.#listener.down(reason);
  }
}

function connectTcp(host: string, port: number): Socket {
  return connect({ host, port });
}
