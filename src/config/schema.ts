import { type Static, Type } from "typebox";
import { MAX_NAME_LENGTH } from "../distributor/index.ts";
import {
  checkCidr,
  checkDatabaseUrl,
  checkDialogFlags,
  checkFlags,
  checkHeaderText,
  checkHost,
  checkHostPort,
  checkListen,
  checkListName,
  checkNameServer,
  checkPattern,
  checkResourceList,
  checkRoutedMethod,
  checkSqliteUrl,
  checkStatusPattern,
  checkTableName,
  checkToken,
} from "./checks.ts";
import { CLUSTER_KEYS, ClusterSchema } from "./schema-cluster.ts";
import { ConnectionsSchema, WebSocketSchema } from "./schema-connections.ts";
import { DispatcherSchema, DispatchSchema } from "./schema-dispatcher.ts";
import { DistributorSchema } from "./schema-distributor.ts";
import { FREESWITCH_KEYS, FreeswitchSchema } from "./schema-freeswitch.ts";
import { EventsSchema, ExplainSchema, HealthSchema, OutboundSchema, PROBING_KEYS } from "./schema-health.ts";
import { flag, fraction, item, list, MAX_INT32, MAX_SECONDS, optionalText, several, text, whole } from "./schema-keys.ts";
import { MiHttpSchema } from "./schema-management.ts";
import { OverloadSchema } from "./schema-overload.ts";
import { RegistrarSchema } from "./schema-registrar.ts";
import { TlsSchema } from "./schema-tls.ts";
import { TracingSchema } from "./schema-tracing.ts";

const SipSchema = Type.Object(
  {
    listen: list(
      "Where SIP is taken: transport, address and port, the transport being udp, tcp, tls, ws or wss. An IPv6 address stands in brackets: udp:[::1]:5060. At least one is to be udp.",
      item({ check: checkListen }),
      ["udp:0.0.0.0:5060"],
      { single: true },
    ),
    advertised_address: optionalText(
      "Host, or host:port, to write into Via and Record-Route in place of the address of the socket, when the balancer stands behind NAT.",
      { check: checkHostPort },
    ),
    dns_servers: list(
      "Name servers that are asked where host names lead, instead of those of the system; three at most are asked. Names of one label and those in /etc/hosts are always for the system.",
      item({ check: checkNameServer }),
      [],
      { single: true },
    ),
    workers: whole("SIP worker threads.", 1, 1, 64, { unbuilt: "this version runs one SIP worker thread" }),
    server_header: text("What the Server header of our own final responses says.", "headroom", { check: checkHeaderText }),
    max_forwards: whole("Max-Forwards given to a request that has none.", 70, 1, 255),
    udp_mtu: whole(
      "Largest request, in bytes, that is sent over UDP where its URI does not ask for it; larger ones go over TCP when there is a tcp listener and the other side takes them (RFC 3261 §18.1.1). 0: all sizes.",
      1300,
      0,
      65_535,
    ),
    udp_system_calls: Type.Enum(["auto", "off"], {
      description:
        "How UDP is read and written. `auto`: by direct system calls, where they work (Linux on x64 and arm64, which a start tries out), at about half of the time that a message takes in Node.js; else, and with `off`, by Node.js itself, which the log says at the start. It does the same either way.",
      default: "auto",
    }),
    tls: TlsSchema,
    connections: ConnectionsSchema,
    websocket: WebSocketSchema,
    allow: list(
      "Addresses and CIDR blocks that may send initial requests. Empty: anybody may. Destinations always may. Does not hold for REGISTER where registrar has accounts: their passwords do.",
      item({ check: checkCidr }),
      [],
      { single: true },
    ),
    stop_timeout: fraction(
      "How long a stop waits for requests in flight to be answered; new calls get 503 meanwhile. Calls that still ring then are refused.",
      10,
      0,
      600,
      { unit: "seconds" },
    ),
    restart_timeout: fraction(
      "How long the process before a restart without a stop (SIGUSR2) goes on with the requests that it has begun. Calls that still ring then go on without it, as after a crash.",
      180,
      0,
      3600,
      { unit: "seconds" },
    ),
  },
  { description: "SIP sockets and messages.", additionalProperties: false },
);

const TmSchema = Type.Object(
  {
    fr_timeout: whole("How long to wait for a final reply to a request other than INVITE, or for any reply to an INVITE.", 5, 1, 600, {
      unit: "seconds",
    }),
    fr_inv_timeout: whole("How long an INVITE that got a provisional reply may go on without a final one (Timer C).", 120, 1, 3600, {
      unit: "seconds",
    }),
  },
  { description: "Transactions.", additionalProperties: false },
);

const LoadBalancerSchema = Type.Object(
  {
    db_url: text(
      "The database with the destinations. `sqlite:FILE`, from the working directory, or `sqlite:///ABSOLUTE/FILE`; `mysql://USER:PASSWORD@HOST:3306/DATABASE` (MariaDB, MySQL) or `postgres://USER:PASSWORD@HOST:5432/DATABASE`, with the tables that OpenSIPS's scripts make, which are only read. Special characters are written %XX. Behind a `?`, with `&` between them: `sslmode=disable|require|verify-ca|verify-full`, `sslrootcert=FILE`, `socket=PATH`.",
      "sqlite:headroom.db",
      {
        check: checkDatabaseUrl,
        secret: true,
      },
    ),
    local_db_url: text(
      "Where this node keeps what is its own while `db_url` is on a server: what operators decided, registrations, and, with `.calls` behind the name, calls. An SQLite file, which is made; nodes do not share it. While `db_url` is an SQLite file it has no effect: all of that goes there.",
      "sqlite:headroom.db",
      { check: checkSqliteUrl },
    ),
    start_without_database: flag(
      "While the server of `db_url` cannot be reached, start with the destinations of the latest load, which this node keeps beside `local_db_url`, and try again until it can. False: such a start ends with the reason.",
      true,
    ),
    db_table: text("The table with the destinations: OpenSIPS's load_balancer table, version 3.", "load_balancer", {
      check: checkTableName,
    }),
    ...PROBING_KEYS,
    ...FREESWITCH_KEYS,
    ...CLUSTER_KEYS,
  },
  { description: "Destinations and how they are chosen: the parameters of OpenSIPS's load_balancer module.", additionalProperties: false },
);

const DialogSchema = Type.Object(
  {
    default_timeout: whole("Longest duration of a call, from its 2xx. It is then ended and no longer counted.", 43_200, 1, MAX_SECONDS, {
      unit: "seconds",
    }),
    audit_interval: whole(
      "Time between two audits, which recompute the loads from the calls and tell and heal what was counted otherwise. 0: only when asked (lb_audit).",
      60,
      0,
      MAX_SECONDS,
      { unit: "seconds" },
    ),
    options_ping_interval: whole("From one OPTIONS ping of a party to the next, in calls whose route asks for them.", 30, 1, MAX_SECONDS, {
      unit: "seconds",
    }),
    reinvite_ping_interval: whole(
      "From one re-INVITE ping of a party to the next, in calls whose route asks for them.",
      300,
      1,
      MAX_SECONDS,
      {
        unit: "seconds",
      },
    ),
    race_condition_timeout: whole(
      "A call that was answered while its caller was cancelling it, and whose route asks for end-on-race-condition, is ended after this time unless a party has done it.",
      5,
      0,
      MAX_SECONDS,
      { unit: "seconds" },
    ),
    ping_outage_timeout: whole(
      "How long calls are kept whose parties do not answer pings, once 10 of them have ended so and nothing at all was answered meanwhile by their address, or by anybody: it may be the network. 0: they are not kept.",
      300,
      0,
      MAX_SECONDS,
      { unit: "seconds" },
    ),
    ping_missing_sessions: flag(
      "Ask a FreeSWITCH that has had fewer sessions than we count calls there for each of these calls, by OPTIONS, also where the route asks for no pings.",
      true,
    ),
    ping_restored_calls: flag(
      "Ask the callee of each call that a start restores whether it still has it, by OPTIONS, also where the route asks for no pings: of calls that ended in the last moment before a crash, or while nobody was there, nobody else tells. In a cluster also those that are taken over from a node that is gone. Only the answer 481 ends a call.",
      true,
    ),
    persistence: Type.Enum(["off", "sqlite"], {
      description:
        "Where calls and what they count are kept so that they survive a crash. `sqlite`: in a file beside that of `load_balancer.db_url` (of `local_db_url`, when that is on a server), with `.calls` behind its name. A node of a cluster has them in Redis, too, which says which node goes on with each; the file has what Redis does not know at a start.",
      default: "sqlite",
    }),
  },
  { description: "Ongoing calls.", additionalProperties: false },
);

const MatchSchema = Type.Object(
  {
    method: several("Method of the request, or a list of them. INVITE when it is not given.", { check: checkRoutedMethod }),
    ruri_user: Type.Optional(item({ description: "Regular expression for the user part of the Request-URI.", check: checkPattern })),
    ruri_host: several("Host of the Request-URI, or a list of them. Upper and lower case are alike.", { check: checkHost }),
    source: several("Address or CIDR block that the request comes from, or a list of them.", { check: checkCidr }),
    header: Type.Optional(
      Type.Record(Type.String(), item({ check: checkPattern }), {
        description: "Header names, each with a regular expression for its value.",
        nameCheck: checkToken,
      }),
    ),
  },
  { description: "What a request must be like; all that is named must hold. Empty: every INVITE.", additionalProperties: false },
);

const RuleSchema = Type.Object(
  {
    match: MatchSchema,
    group: whole("Group of destinations to choose from.", 1, 0, MAX_INT32),
    resources: text("Resources that the call needs, separated by semicolons: the call is counted for each.", "pstn", {
      check: checkResourceList,
    }),
    flags: text("n: go over capacity rather than refuse. r: compare free percentages. s: choose at random among equals.", "", {
      check: checkFlags,
    }),
    dialog_flags: text(
      "What is asked for its calls, words with commas between them: options-ping-caller, options-ping-callee, reinvite-ping-caller, reinvite-ping-callee, end-on-race-condition; bye-on-timeout changes nothing, as BYE is always sent. The letters P, p, R, r, E and B say the same.",
      "",
      { check: checkDialogFlags },
    ),
    failover_on: list(
      "Failures after which the next destination is tried: final replies, x standing for any digit, and the words timeout (no reply in time, which counts as 408 too) and transport (nothing could be sent, which counts as 503 too). That the host of a destination says over UDP that nobody listens there is a failure of both words, and counts as 408.",
      item({ check: checkStatusPattern, numberIsText: true }),
      ["408", "5xx"],
      { single: true },
    ),
    max_failovers: whole("How many more destinations may be tried after the first. 0: none.", 3, 0, 100),
    failover_budget: fraction(
      "Time from the arrival of a call within which further destinations are tried; each has only what is left of it to answer. 0: no limit.",
      0,
      0,
      600,
      { unit: "seconds" },
    ),
    early_media_failover: flag(
      "Try the next destination also when the caller has heard early media: a 183, or another provisional reply with a body. False: the failure goes to the caller then.",
      true,
    ),
    disable_on: list(
      "Failures after which the destination is disabled: final replies, and the words timeout and transport.",
      item({ check: checkStatusPattern, numberIsText: true }),
      ["408"],
      { single: true },
    ),
    dispatch: Type.Optional(DispatchSchema),
    distribute: Type.Optional(
      Type.String({
        description:
          "Take the destination from this list of the distributor in place of a group. A call counts for resources only when the rule names them, on nodes that are destinations and have them.",
        maxLength: MAX_NAME_LENGTH,
        minLength: 1,
      }),
    ),
    answer: Type.Optional(
      Type.Integer({
        description: "Answer with this status in place of choosing a destination. The log has a line for each.",
        minimum: 300,
        maximum: 699,
      }),
    ),
    note: Type.Optional(item({ description: "What the log says of a call that `answer` is given to, such as why." })),
  },
  {
    description: "One rule. It says group, resources and flags, or dispatch or distribute with or without resources, or answer.",
    additionalProperties: false,
  },
);

const RoutingSchema = Type.Object(
  {
    script: optionalText("A route module (.ts or .js) that exports request, failure and reply handlers. The rules are not used then."),
    rules: list("The first rule that matches a request decides.", RuleSchema, [{}]),
    reject: Type.Object(
      {
        no_capacity: whole("Every destination that could take the call is full.", 503, 300, 699),
        no_destination: whole("No destination is left that could take the call.", 503, 300, 699),
        bad_resource: whole("A requested resource exists at no destination.", 500, 300, 699),
      },
      { description: "Status codes of refused calls.", additionalProperties: false },
    ),
    deny_targets: list(
      "Names of lists of load_balancer.lb_define_blacklist. An initial request whose Request-URI points at one of their addresses is refused with 403, and so is a request inside a call that leads there instead of to the other side: nobody reaches a destination by writing its address into a request.",
      item({ check: checkListName }),
      [],
      { single: true },
    ),
    outbound: OutboundSchema,
  },
  { description: "Where calls go.", additionalProperties: false },
);

const LogSchema = Type.Object(
  {
    level: Type.Enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"], {
      description: "The least important lines that are written.",
      default: "info",
    }),
  },
  { description: "The log, on standard error.", additionalProperties: false },
);

/** Every key of the configuration file with its type, bounds, default and description. No other place supplies a default. */
export const ConfigSchema = Type.Object(
  {
    sip: SipSchema,
    tm: TmSchema,
    load_balancer: LoadBalancerSchema,
    health: HealthSchema,
    dialog: DialogSchema,
    routing: RoutingSchema,
    mi_http: MiHttpSchema,
    events: EventsSchema,
    explain: ExplainSchema,
    freeswitch: FreeswitchSchema,
    registrar: RegistrarSchema,
    cluster: ClusterSchema,
    dispatcher: DispatcherSchema,
    distributor: DistributorSchema,
    overload: OverloadSchema,
    tracing: TracingSchema,
    log: LogSchema,
  },
  { additionalProperties: false },
);

/** The values of a configuration file with the defaults filled in. */
export type ConfigValues = Static<typeof ConfigSchema>;

/** One entry of `routing.rules`. */
export type RoutingRule = Static<typeof RuleSchema>;

/** A configuration that is ready to be used. */
export interface Config extends ConfigValues {
  /** The file that was read; undefined when there was none and everything is default. */
  readonly file: string | undefined;
  /** One sentence for each key that is set to something this version does not do. */
  readonly notices: readonly string[];
}
