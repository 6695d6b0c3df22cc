import { type Static, Type } from "typebox";
import {
  ALGORITHM_NAMES,
  algorithmOf,
  type ConfiguredSet,
  isKnown,
  MAX_SET_SIZE,
  MAX_SETS,
  MAX_URI_LENGTH,
  MAX_WEIGHT,
  parseReplyCodes,
  parseRoutes,
  parseState,
} from "../dispatch/index.ts";
import { compileExpression } from "../routing/index.ts";
import { checkDatabaseUrl, checkProbeMethod, checkSipUri, checkTableName } from "./checks.ts";
import { flag, fraction, item, MAX_INT32, optionalText, text, whole } from "./schema-keys.ts";

const SOCKET_FORM = 'transport, address and port of an entry of sip.listen, such as "udp:192.0.2.1:5060"';
/** Largest sum of the bits that flags of a destination have. */
const MAX_FLAGS = 63;
const MAX_CALLS = 1_000_000_000;

const DestinationSchema = Type.Object(
  {
    uri: Type.String({ description: "SIP URI of the destination.", minLength: 1, maxLength: MAX_URI_LENGTH }),
    flags: whole(
      "State at the start, a sum: 1 inactive, 2 trying, 4 disabled, 8 probed, 16 its name is not looked up, 32 never probed.",
      0,
      0,
      MAX_FLAGS,
    ),
    priority: whole("The higher, the earlier in the set.", 0, -MAX_INT32, MAX_INT32),
    attrs: text("Attributes in Kamailio's form, such as duid=abc;weight=20; those below are added to them.", ""),
    description: text("What it is, for people.", ""),
    duid: Type.Optional(item({ description: "Name of the destination that is the only one in its set." })),
    maxload: Type.Optional(whole("Most calls at a time, for algorithms that count them. 0: no limit.", 0, 0, MAX_CALLS)),
    weight: Type.Optional(whole("Percent of the calls for algorithm 9, share of those of its priority for 15.", 1, 1, MAX_WEIGHT)),
    rweight: Type.Optional(whole("Share of the calls for algorithm 11.", 1, 1, MAX_WEIGHT)),
    cc: Type.Optional(whole("1: congestion lowers its rweight.", 0, 0, 1)),
    latency: Type.Optional(whole("What it is taken to need for an answer before it was measured.", 0, 0, MAX_CALLS, { unit: "ms" })),
    socket: Type.Optional(item({ description: `The listener that its calls and probes leave from: ${SOCKET_FORM}.` })),
    ping_socket: Type.Optional(item({ description: "The listener that its probes leave from, when it is another one." })),
    ping_from: Type.Optional(item({ description: "From URI of its probes.", check: checkSipUri })),
    obproxy: Type.Optional(item({ description: "SIP URI that its probes go through.", check: checkSipUri })),
    ocmin: Type.Optional(whole("Overload control (64): least percent that is kept away.", 0, 0, 100)),
    ocmax: Type.Optional(whole("Overload control (64): most percent that is kept away.", 100, 0, 100)),
    ocrate: Type.Optional(whole("Overload control (64): percent that is kept away.", 0, 0, 100)),
  },
  { description: "One destination.", additionalProperties: false },
);

const SetSchema = Type.Object(
  {
    id: Type.Integer({ description: "Number of the set.", minimum: 0, maximum: MAX_INT32 }),
    destinations: Type.Array(DestinationSchema, {
      description: "The destinations. They are ordered by priority; of equal ones the last that is written comes first, as in Kamailio.",
      default: [],
      maxItems: MAX_SET_SIZE,
    }),
  },
  { description: "One set.", additionalProperties: false },
);

/** `routing.rules[].dispatch`. */
export const DispatchSchema = Type.Object(
  {
    set: Type.Integer({ minimum: 0, maximum: MAX_INT32, default: 1, description: "Dispatcher set." }),
    algorithm: text(`Number or name of the algorithm: ${ALGORITHM_NAMES.map((name) => `${algorithmOf(name)} ${name}`).join(", ")}.`, "4", {
      check: checkAlgorithm,
      numberIsText: true,
    }),
    routes: Type.Optional(
      item({
        description: "In place of set and algorithm: sets with an algorithm each, tried one after the other, such as 1=8;2=4.",
        check: checkRoutes,
      }),
    ),
    limit: whole("How many destinations a call may be given, the first one included. 0: all of the set.", 0, 0, MAX_SET_SIZE),
    key: Type.Optional(
      item({
        description:
          "What algorithm 7 and rendezvous hashing (100) hash in place of dispatcher.hash_pvar and the Call-ID; written as that one.",
        check: checkExpression,
      }),
    ),
    domain: flag("Write host and port of the destination into the Request-URI, too, as ds_select_domain does.", false),
    mark: text("State that disable_on reports of a destination, as ds_mark_dst: a, i, t or d, with p behind it to have it probed.", "ip", {
      check: checkState,
    }),
  },
  {
    description: "Take the destination from sets of the dispatcher in place of a group.",
    additionalProperties: false,
  },
);

/** The section `dispatcher` of the configuration. */
export const DispatcherSchema = Type.Object(
  {
    list_file: optionalText("File with lines of: set, URI, flags, priority, attributes. Its destinations come before those of the table."),
    db_url: optionalText("The database with Kamailio's dispatcher table (version 4), as `load_balancer.db_url` names one. null: none.", {
      check: checkDatabaseUrl,
      secret: true,
    }),
    table_name: text("The dispatcher table.", "dispatcher", { check: checkTableName }),
    ds_db_extra_attrs: text(
      "Columns of the table that are attributes, too: names with commas between them, or attribute=column. socket is for Kamailio's newer tables.",
      "",
      { check: checkExtraAttributes },
    ),
    sets: Type.Array(SetSchema, {
      description: "Sets of destinations, after those of the file and the table. A set may be in several of the three.",
      default: [],
      maxItems: MAX_SETS,
    }),
    ds_load_mode: whole("1: a destination that cannot be used refuses all of a load. 0: it is left out, with a warning.", 0, 0, 1),
    ds_attrs_none: whole("No effect here, for Kamailio's configurations: a destination may always be without attributes.", 0, 0, 1),
    flags: whole("A sum: 1 hashes of URIs take their user alone; 2 failover, which is always possible here.", 2, 0, 3),
    use_default: whole("1: the last destination of a set is for when no other is left.", 0, 0, 1),
    force_dst: whole("0: ds_select_dst of a script fails when there is a destination URI already.", 1, 0, 1),
    hash_pvar: text(
      "What algorithm 7 hashes: text with pseudo-variables $ci, $fu, $fU, $fd, $ft, $fn, $tu, $tU, $td, $ru, $rU, $rd, $rm, $si, $sp, $au, $ua, $hdr(NAME), and $var(NAME) or $avp(NAME) of a script.",
      "",
      { check: checkExpression },
    ),
    ds_ping_method: text("Method of a probe.", "OPTIONS", { check: checkProbeMethod }),
    ds_ping_from: text("From URI of a probe.", "sip:dispatcher@localhost", { check: checkSipUri }),
    ds_ping_interval: whole("Time between two probes. 0: off.", 0, 0, 86_400, { unit: "seconds" }),
    ds_ping_reply_codes: text("Answers that count as alive besides 2xx, such as code=403;code=488;class=3.", "", {
      check: checkReplyCodes,
    }),
    ds_probing_mode: whole(
      "Which destinations are probed. 0: those with the flag 8, until they answer. 1: all. 2: inactive ones with the flag. 3: those with the flag, which stays.",
      0,
      0,
      3,
    ),
    ds_probing_threshold: whole("Failed probes until a destination is inactive.", 1, 1, 1000),
    ds_inactive_threshold: whole("Good probes until a destination is active again.", 1, 1, 1000),
    ds_ping_latency_stats: whole("1: how long destinations need to answer probes is measured.", 0, 0, 1),
    ds_latency_estimator_alpha: whole("Part of the former estimate of the latency in the next one, in thousandths.", 900, 0, 1000),
    outbound_proxy: optionalText("SIP URI that probes go through.", { check: checkSipUri }),
    ds_default_socket: optionalText(`The listener that calls and probes leave from when the destination names none: ${SOCKET_FORM}.`),
    event_callback_mode: whole(
      "Which changes are told as events dispatcher:dst-down and dispatcher:dst-up. 0: those by probes and scripts. 1: by probes alone. 2: also those of a load.",
      0,
      0,
      2,
    ),
    load_factor: fraction(
      "Rendezvous hashing (100): how far above its share of the calls a destination gets, 1.25 being a quarter.",
      1.25,
      1,
      1000,
    ),
  },
  { description: "Kamailio's dispatcher: sets of destinations, with its names.", additionalProperties: false },
);

/** Attributes that a destination of the configuration may have as keys. */
const ATTRIBUTE_KEYS = [
  ...["duid", "maxload", "weight", "rweight", "cc", "latency", "socket", "ping_socket", "ping_from", "obproxy"],
  ...["ocmin", "ocmax", "ocrate"],
] as const;

/** The sets of the section as the dispatcher takes them. */
export function configuredSets({ sets }: Pick<Static<typeof DispatcherSchema>, "sets">): ConfiguredSet[] {
  return sets.map(({ id, destinations }) => ({
    id,
    destinations: destinations.map(({ uri, flags, priority, attrs, description, ...named }) => {
      const values: Record<string, unknown> = named;
      const given = ATTRIBUTE_KEYS.filter((name) => values[name] !== undefined);
      const written = given.map((name) => attribute(name, String(values[name])));
      return { uri, flags, priority, description, attrs: [...written, ...(attrs === "" ? [] : [attrs])].join(";") };
    }),
  }));
}

function attribute(name: string, value: string): string {
  if (!/[;"'\s]/.test(value)) return `${name}=${value}`;
  const mark = value.includes('"') ? "'" : '"';
  return `${name}=${mark}${value}${mark}`;
}

/** Columns of `ds_db_extra_attrs` by attribute. */
export function extraAttributes(value: string): Record<string, string> {
  const names = value.split(/[,;\s]+/).filter((name) => name !== "");
  return Object.fromEntries(
    names.map((name) => {
      const [attribute = "", column = attribute] = name.split("=");
      return [attribute, column];
    }),
  );
}

function checkExtraAttributes(value: string): string | undefined {
  const fits = value.split(/[,;\s]+/).every((name) => name === "" || /^[A-Za-z_]\w{0,63}(?:=[A-Za-z_]\w{0,63})?$/.test(name));
  return fits ? undefined : 'names of columns with commas between them, such as "socket, ping_from=probe_from"';
}

function checkReplyCodes(value: string): string | undefined {
  return typeof parseReplyCodes(value) === "string" ? "codes and classes such as code=403;code=488;class=3" : undefined;
}

function checkExpression(value: string): string | undefined {
  const compiled = compileExpression(value);
  return typeof compiled === "string" ? compiled : undefined;
}

function checkAlgorithm(value: string): string | undefined {
  const number = algorithmOf(value);
  return number !== undefined && isKnown(number) ? undefined : 'the number or name of an algorithm, such as 4 or "round-robin"';
}

function checkRoutes(value: string): string | undefined {
  return typeof parseRoutes(value) === "string" ? 'sets with an algorithm each, such as "1=8;2=4"' : undefined;
}

function checkState(value: string): string | undefined {
  const isState = /^(?:[ait]p?|d)$/i.test(value) && parseState(value) !== undefined;
  return isState ? undefined : '"a", "i", "t" or "d", the first three with "p" behind them or not, such as "ip"';
}
