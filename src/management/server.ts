import { once } from "node:events";
import type { Server } from "node:net";
import { Server as TlsServer } from "node:tls";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { isLoopback } from "./access.ts";
import { type ManagementCertificate, readCertificate } from "./certificate.ts";
import { ClientRates } from "./client-rates.ts";
import { serveDashboard } from "./dashboard-routes.ts";
import { MethodRegistry } from "./define-method.ts";
import { type Dialect, KAMAILIO, OPENSIPS } from "./dialect.ts";
import { Dispatcher } from "./dispatch.ts";
import { type Asker, Gate, isAsker, type Refusal } from "./gate.ts";
import { errorText, INVALID_REQUEST, MiError, PARSE_ERROR } from "./jsonrpc.ts";
import {
  CONNECTION_CHECK_INTERVAL_MS,
  IDLE_TIMEOUT_MS,
  KEEP_ALIVE_TIMEOUT_MS,
  MAX_BODY_BYTES,
  MAX_CONNECTIONS,
  MAX_LOGGED_LENGTH,
  METHOD_TIMEOUT_MS,
  REQUEST_RECEIVE_TIMEOUT_MS,
} from "./limits.ts";
import { allMethods } from "./methods/index.ts";
import { openRpcDocument } from "./openrpc.ts";
import { Places } from "./places.ts";
import type { AskerElsewhere, ManagementPorts, MethodOutcome, MethodParams } from "./ports.ts";
import { SECURITY_HEADERS } from "./security-headers.ts";
import { type NamedToken, TokenBook } from "./tokens.ts";

export interface ManagementConfig {
  /** Address to listen on; without tokens it must be a loopback address. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** First part of the path, without slashes: `mi`. */
  readonly root: string;
  /** Tokens of operators without a name. Neither these nor {@link tokens}: no token is asked for. */
  readonly bearerTokens: readonly string[];
  readonly tokens?: readonly NamedToken[];
  /** Absent: plain HTTP. */
  readonly tls?: ManagementCertificate;
  /** Requests a second of one client. @default 0: as many as it likes */
  readonly requestsPerSecond?: number;
  /** Another process has the socket until {@link ManagementServer.attach}. Absent: it is opened now. */
  readonly isAwaited?: boolean;
  /** For tests. @default METHOD_TIMEOUT_MS */
  readonly methodTimeoutMs?: number;
  /** For tests. */
  readonly connections?: Partial<ConnectionTimes>;
}

/** How long connections may hold a place without being of use, in ms. */
export interface ConnectionTimes {
  /** @default REQUEST_RECEIVE_TIMEOUT_MS */
  readonly receiveMs: number;
  /** @default CONNECTION_CHECK_INTERVAL_MS */
  readonly checkMs: number;
  /** @default KEEP_ALIVE_TIMEOUT_MS */
  readonly keepAliveMs: number;
  /** @default IDLE_TIMEOUT_MS */
  readonly idleMs: number;
}

export interface ManagementServer {
  /** Address that clients use, with the port that was really taken. */
  readonly url: string;
  /** What listens, for another process that is to have it. */
  readonly server: Server;
  /** Takes the socket of another process. */
  attach(socket: Server): void;
  /** Opens the one that it was to take. @throws Error when somebody else has the address */
  open(): Promise<void>;
  /** Runs a method for another node of the cluster, or for the process before this one, which have judged who asks. Never rejects. */
  run(method: string, params: MethodParams | undefined, asker: AskerElsewhere): Promise<MethodOutcome>;
  /** Reads the certificate again; connections that are open stay as they are. @throws Error that names the file; what was in use then stays */
  reloadCertificate(): void;
  /** Stops listening and ends every connection. */
  close(): Promise<void>;
}

// The texts of OpenSIPS httpd and mi_http for what is no MI request.
const UNKNOWN_URL = "<html><body>Unable to parse URL!</body></html>";
const UNSUPPORTED_METHOD = "<html><body>Unsupported HTTP request!</body></html>";

/** Where people have Kamailio's `jsonrpcs` answer. */
const RPC_PATH = "/RPC";
/** What `curl -d` says of a body; Kamailio looks at no type. */
const FORM_TYPE = "application/x-www-form-urlencoded";

/**
 * Starts the management interface: JSON-RPC 2.0 at POST `/mi`, as OpenSIPS `mi_http` offers it, and at POST `/RPC`, as Kamailio `jsonrpcs` does.
 *
 * @throws Error when the address is not free, when it is open to others and no token protects it, or when the certificate cannot be used
 */
export async function createManagementServer(ports: ManagementPorts, config: ManagementConfig): Promise<ManagementServer> {
  const { host, port, tls, methodTimeoutMs = METHOD_TIMEOUT_MS } = config;
  const tokens = new TokenBook([...config.bearerTokens.map(namelessToken), ...(config.tokens ?? [])]);
  if (!tokens.isRequired && !isLoopback(host)) {
    throw new Error(`Cannot open management on ${host}:${port}: an address that is not loopback wants at least one bearer token`);
  }
  const methods = new MethodRegistry(allMethods.filter((method) => method.available?.(ports) ?? true));
  const dispatcher = new Dispatcher(methods, ports, methodTimeoutMs);
  const root = config.root.replace(/^\/+|\/+$/g, "");
  const path = root === "" ? "" : `/${root}`;

  const app = createApp(config.connections, tls);
  const places = new Places(MAX_CONNECTIONS);
  app.server.on("connection", (connection) => places.take(connection));
  const gate = new Gate({
    tokens,
    rates: new ClientRates({ perSecond: config.requestsPerSecond ?? 0, nowMs: () => performance.now() }),
    listenHost: host,
    onWrongToken: (client) => ports.log.warn({ client }, "management was asked with a wrong token"),
  });
  app.addHook("onRequest", (request, reply, done) => (request.is404 ? admitAnybody(request, reply, done) : done()));
  const askers = new WeakMap<FastifyRequest, Asker>();
  function admitAnybody(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    const refusal = gate.admitAnybody(request.ip);
    if (refusal === undefined) return void done();
    ports.counters?.refused(refusal.status);
    refuse(reply, refusal);
  }
  function guard(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    // Only a client of JSON-RPC can do no better than a URL, which ends up in histories and logs.
    const url = request.method === "POST" ? request.url : undefined;
    const verdict = gate.admit({ method: request.method, url, client: request.ip, headers: request.headers });
    if (!isAsker(verdict)) {
      ports.counters?.refused(verdict.status);
      return void refuse(reply, verdict);
    }
    if (ports.counters !== undefined) ports.counters.requests++;
    askers.set(request, verdict);
    places.keep(request.socket);
    done();
  }
  function urlOf(): string {
    const address = app.server.address();
    const takenPort = typeof address === "object" && address !== null ? address.port : port;
    const name = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
    return `${tls === undefined ? "http" : "https"}://${name}:${takenPort}${path}`;
  }
  function serve(url: string, dialect: Dialect): void {
    app.post(url, { onRequest: guard }, (request, reply) => handlePost(dispatcher, askers.get(request)!, request, reply, dialect));
  }
  for (const url of [path === "" ? "/" : path, `${path}/*`]) serve(url, OPENSIPS);
  if (path !== RPC_PATH) serve(RPC_PATH, KAMAILIO);
  app.get(`${path}/openrpc.json`, { onRequest: guard, exposeHeadRoute: false }, (_request, reply) =>
    sendJson(reply, 200, JSON.stringify(openRpcDocument(methods.methods, ports.version, urlOf()))),
  );
  for (const [url, handle] of Object.entries(ports.streams ?? {})) {
    app.get(url, { onRequest: guard, exposeHeadRoute: false }, (request, reply) => {
      reply.hijack();
      for (const [name, value] of Object.entries(SECURITY_HEADERS)) reply.raw.setHeader(name, value);
      handle(request.raw, reply.raw);
    });
  }
  if (ports.dashboard !== undefined) {
    const guards = {
      anybody: admitAnybody,
      reader: guard,
      asker: (request: FastifyRequest) => askers.get(request)!,
    };
    const mi = path === "" ? "/" : path;
    serveDashboard(app, ports.dashboard, guards, { needsToken: tokens.isRequired, mi, methods: (role) => methods.shortNamesFor(role) });
  }
  app.setNotFoundHandler((request, reply) => {
    const [pathname = ""] = request.url.split("?", 1);
    return refuseMethod(request, reply, pathname === path || pathname === RPC_PATH || pathname.startsWith(`${path}/`));
  });
  app.setErrorHandler((error, request, reply) => refuseError(ports, error, request, reply));

  try {
    if (config.isAwaited) await app.ready();
    else await app.listen({ host, port });
  } catch (error) {
    await app.close();
    throw new Error(`Cannot open management on ${host}:${port}: ${listenFault(error)}`, { cause: error });
  }
  return {
    url: urlOf(),
    server: app.server,
    attach: (socket) => void app.server.listen(socket),
    open: async () => {
      app.server.listen({ host, port });
      await once(app.server, "listening");
    },
    run: (method, params, asker) => dispatcher.outcome(method, params, asker),
    reloadCertificate: () => {
      const { server } = app as { server: Server };
      if (tls !== undefined && server instanceof TlsServer) server.setSecureContext(readCertificate(tls));
    },
    close: () => app.close(),
  };
}

function namelessToken(token: string, i: number): NamedToken {
  return { name: `bearer_tokens[${i}]`, token, role: "operator" };
}

function createApp(times: Partial<ConnectionTimes> = {}, tls?: ManagementCertificate): FastifyInstance {
  const {
    receiveMs = REQUEST_RECEIVE_TIMEOUT_MS,
    checkMs = CONNECTION_CHECK_INTERVAL_MS,
    keepAliveMs = KEEP_ALIVE_TIMEOUT_MS,
    idleMs = IDLE_TIMEOUT_MS,
  } = times;
  const http = { headersTimeout: receiveMs, connectionsCheckingInterval: checkMs };
  const app = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: receiveMs,
    keepAliveTimeout: keepAliveMs,
    connectionTimeout: idleMs,
    forceCloseConnections: true,
    ...(tls === undefined ? { http } : { https: { ...http, ...readCertificate(tls), handshakeTimeout: receiveMs } }),
    frameworkErrors: (_error, _request, reply) => sendHtml((reply as FastifyReply).headers(SECURITY_HEADERS), 400, UNKNOWN_URL),
  });
  app.addHook("onSend", (_request, reply, _payload, done) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) if (!reply.hasHeader(name)) reply.header(name, value);
    done();
  });
  // Every type is read as bytes and judged in handlePost, so that a wrong one gets a sentence.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  return app;
}

async function handlePost(
  dispatcher: Dispatcher,
  asker: Asker,
  request: FastifyRequest,
  reply: FastifyReply,
  dialect: Dialect,
): Promise<FastifyReply> {
  const [type = ""] = (request.headers["content-type"] ?? "").split(";", 1);
  const mediaType = type.trim().toLowerCase().slice(0, MAX_LOGGED_LENGTH);
  const body = request.body instanceof Buffer ? request.body : Buffer.alloc(0);
  const isRead = mediaType === "application/json" || (dialect === KAMAILIO && (mediaType === "" || mediaType === FORM_TYPE));
  if (!isRead) {
    // OpenSIPS starts to answer 400 to a form and never ends; it breaks the connection on the others.
    const status = mediaType === FORM_TYPE ? 400 : 415;
    return sendText(reply, status, `Cannot read a body of type "${mediaType}": Content-Type must be application/json\n`);
  }
  if (body.length === 0) return sendText(reply, 400, "Cannot read an empty body: a JSON-RPC 2.0 request is wanted\n");
  const text = decodeUtf8(body);
  if (text === undefined) return sendJson(reply, 200, errorText(new MiError(PARSE_ERROR, "Parse error"), null));
  const answer = await dispatcher.answer(text, asker, dialect);
  return sendJson(reply, answer.status, answer.body);
}

/** Everything but POST to our path. */
function refuseMethod(request: FastifyRequest, reply: FastifyReply, ours: boolean): FastifyReply {
  reply.header("connection", "close");
  if (!ours) return sendHtml(reply, 400, UNKNOWN_URL);
  reply.header("allow", "POST");
  if (request.method !== "GET") return sendHtml(reply, 406, UNSUPPORTED_METHOD);
  return sendText(
    reply,
    405,
    "Management answers POST only: send a JSON-RPC 2.0 request such as " +
      '{"jsonrpc":"2.0","id":1,"method":"which"} with Content-Type: application/json\n',
  );
}

/** A request that could not be read, or a fault of our own: fastify tells them apart by the status code. */
function refuseError(ports: ManagementPorts, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const status = error instanceof Error && "statusCode" in error && typeof error.statusCode === "number" ? error.statusCode : 500;
  if (status === 413) {
    reply.header("connection", "close");
    return sendJson(
      reply,
      413,
      errorText(new MiError(INVALID_REQUEST, "Invalid Request", `Cannot read a body of more than ${MAX_BODY_BYTES} bytes`), null),
    );
  }
  if (status >= 500) ports.log.error({ err: error, client: request.ip }, "management request failed");
  return sendText(
    reply,
    status,
    status >= 500 ? "Cannot answer: the log says why\n" : `Cannot read the request: ${(error as Error).message}\n`,
  );
}

const REFUSALS: Readonly<Record<Refusal["status"], string>> = { 401: "Unauthorized", 403: "Forbidden", 429: "Too Many Requests" };

function refuse(reply: FastifyReply, { status, detail, headers }: Refusal): FastifyReply {
  reply.headers({ ...headers, connection: "close" });
  return sendJson(reply, status, errorText(new MiError(status, REFUSALS[status], detail), null));
}

function sendJson(reply: FastifyReply, status: number, text: string): FastifyReply {
  return send(reply, status, "application/json", text);
}

function sendHtml(reply: FastifyReply, status: number, text: string): FastifyReply {
  return send(reply, status, "text/html", text);
}

function sendText(reply: FastifyReply, status: number, text: string): FastifyReply {
  return send(reply, status, "text/plain", text);
}

// As bytes: fastify would add a charset to the type of a string, which OpenSIPS does not send.
function send(reply: FastifyReply, status: number, type: string, text: string): FastifyReply {
  return reply.code(status).header("content-type", type).send(Buffer.from(text));
}

function decodeUtf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** Why nothing can listen there, and what to do. */
function listenFault(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "EADDRINUSE") return "another program uses this address and port; stop it, or change mi_http.listen";
  if (code === "EADDRNOTAVAIL") return "this machine has no such address; change mi_http.listen";
  if (code === "EACCES") return "not permitted; ports below 1024 need more rights";
  return error instanceof Error ? error.message : String(error);
}
