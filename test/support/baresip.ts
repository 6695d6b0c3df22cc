import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freeTcpPort } from "../../src/demo/free-ports.ts";
import { onProcessExit } from "./cleanup.ts";
import { freeUdpPort, waitFor } from "./net.ts";

const START_TIMEOUT_MS = 10_000;
const EVENT_TIMEOUT_MS = 8_000;
const QUIT_TIMEOUT_MS = 3_000;
/** Where Debian and Ubuntu put its modules, on their common processors. */
const MODULES = ["/usr/lib/baresip/modules", "/usr/lib/x86_64-linux-gnu/baresip/modules", "/usr/lib/aarch64-linux-gnu/baresip/modules"];

/** Something that baresip tells of a call. */
export interface BaresipEvent {
  /** Such as `CALL_RINGING`, `CALL_ESTABLISHED`, `CALL_CLOSED`. */
  readonly type: string;
  readonly direction?: "incoming" | "outgoing";
  /** Call-ID. */
  readonly id?: string;
  readonly peeruri?: string;
  readonly param?: string;
}

/** How one baresip is set up. */
export interface BaresipOptions {
  /** Its loopback address. */
  readonly address: string;
  readonly transport: "udp" | "tcp";
  /** `address:port` that all its requests go through first. Without it they go where their URIs say. */
  readonly outbound?: string;
  /** Answers by itself. Otherwise somebody has to `accept`. */
  readonly answers?: boolean;
}

/** A softphone of its own process, which says what it hears. It is told what to do over its control connection. */
export class Baresip {
  readonly address: string;
  readonly port: number;
  readonly transport: "udp" | "tcp";
  /** What it has told, in order. */
  readonly events: BaresipEvent[] = [];
  readonly #child: ChildProcess;
  readonly #control: Socket;
  readonly #log: () => string;
  #taken = 0;
  #unread = Buffer.alloc(0);

  private constructor(options: BaresipOptions, port: number, child: ChildProcess, control: Socket, log: () => string) {
    this.address = options.address;
    this.port = port;
    this.transport = options.transport;
    this.#child = child;
    this.#control = control;
    this.#log = log;
    control.on("error", () => undefined); // it ends; whoever waits for an event tells
    control.on("data", (bytes) => this.#read(bytes));
  }

  static async start(options: BaresipOptions): Promise<Baresip> {
    const { address, transport, outbound, answers = false } = options;
    const modules = MODULES.find((folder) => existsSync(folder));
    if (modules === undefined) throw new Error(`Cannot start baresip: want its modules in one of ${MODULES.join(", ")}`);
    const port = await freeUdpPort(address);
    const controlPort = await freeTcpPort(address);
    const folder = mkdtempSync(join(tmpdir(), "headroom-baresip-"));
    const config = [
      ...[`sip_listen ${address}:${port}`, `net_interface ${address}`, "call_max_calls 10", "call_local_timeout 30"],
      ...["audio_source aubridge,loop", "audio_player aubridge,loop", "audio_alert aubridge,alert"],
      ...[`module_path ${modules}`, "module g711.so", "module aubridge.so"],
      ...["module_app account.so", "module_app menu.so", "module ctrl_tcp.so", `ctrl_tcp_listen ${address}:${controlPort}`],
    ];
    const over = transport === "tcp" ? ";transport=tcp" : "";
    const parameters = ["regint=0", ...(outbound ? [`outbound="sip:${outbound}${over}"`] : []), ...(answers ? ["answermode=auto"] : [])];
    writeFileSync(join(folder, "config"), `${config.join("\n")}\n`);
    writeFileSync(join(folder, "accounts"), `<sip:phone@${address}:${port}${over}>;${parameters.join(";")}\n`);
    writeFileSync(join(folder, "contacts"), "");
    const child = spawn("baresip", ["-4", "-s", "-f", folder], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
    let log = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("latin1").on("data", (text: string) => (log = (log + text).slice(-100_000)));
    const clear = (): void => {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
    };
    const forget = onProcessExit(clear);
    child.once("exit", () => {
      forget();
      rmSync(folder, { recursive: true, force: true });
    });
    try {
      const failed = once(child, "error").then(([error]) => Promise.reject(error as Error));
      failed.catch(() => undefined);
      await Promise.race([failed, waitFor("baresip is ready", START_TIMEOUT_MS, () => log.includes("baresip is ready"))]);
      const control = connect(controlPort, address);
      await once(control, "connect");
      return new Baresip(options, port, child, control, () => log);
    } catch (error) {
      clear();
      throw new Error(`Cannot start baresip: ${String(error)}\n${log}`);
    }
  }

  /** Where it can be called. */
  get uri(): string {
    return `sip:phone@${this.address}:${this.port}${this.transport === "tcp" ? ";transport=tcp" : ""}`;
  }

  /** What it has printed, each SIP message among it. */
  get log(): string {
    return this.#log();
  }

  /** Has a command of its menu done: `dial`, `accept`, `hangup`, `hold`, `resume`. */
  command(command: string, params = ""): void {
    const text = JSON.stringify({ command, params, token: command });
    this.#control.write(`${Buffer.byteLength(text)}:${text},`); // a netstring
  }

  /** The next event of this type; those before it are passed over. */
  async next(type: string, timeoutMs = EVENT_TIMEOUT_MS): Promise<BaresipEvent> {
    return waitFor(`baresip tells ${type}`, timeoutMs, () => {
      while (this.#taken < this.events.length) {
        const event = this.events[this.#taken++] as BaresipEvent;
        if (event.type === type) return event;
      }
      return undefined;
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; it told ${this.events.map((event) => event.type).join(", ") || "nothing"}\n${this.log}`);
    });
  }

  /** It says and hears nothing any more, as if it were switched off: "SIGSTOP" leaves its socket open, "SIGKILL" does not. */
  vanish(signal: "SIGSTOP" | "SIGKILL"): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    this.#control.destroy();
    this.#child.kill("SIGCONT");
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), QUIT_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  }

  #read(bytes: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, bytes]);
    for (;;) {
      const colon = this.#unread.indexOf(":");
      if (colon < 0) return;
      const end = colon + 1 + Number(this.#unread.toString("latin1", 0, colon));
      if (this.#unread.length <= end) return;
      const message = JSON.parse(this.#unread.toString("utf8", colon + 1, end)) as BaresipEvent & { event?: boolean };
      if (message.event === true) this.events.push(message);
      this.#unread = this.#unread.subarray(end + 1);
    }
  }
}
