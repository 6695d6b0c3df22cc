import { Type } from "typebox";
import {
  checkBlacklist,
  checkEventName,
  checkNextHop,
  checkProbeMethod,
  checkReplyCodes,
  checkResourceList,
  checkSipUri,
  checkWebhookSecret,
  checkWebhookUrl,
} from "./checks.ts";
import { flag, fraction, item, list, MAX_INT32, MAX_TEXT_LENGTH, optionalText, text, whole } from "./schema-keys.ts";

/** One day: nothing here waits longer. */
const MAX_WAIT_S = 86_400;
/** Each webhook has a connection and a queue. */
const MAX_WEBHOOKS = 16;
/** Events and calls that are remembered are kept in memory. */
const MAX_REMEMBERED = 100_000;
/** As `cps=N` of a row: above what one process forwards. */
const MAX_CALLS_PER_SECOND = 10_000;

/** The keys of `load_balancer` that probing and blacklists go by: OpenSIPS's names and defaults. */
export const PROBING_KEYS = {
  probing_interval: whole(
    "Time between two probes of a destination. Column probe_mode says which destinations are probed. 0: none.",
    30,
    0,
    MAX_WAIT_S,
    {
      unit: "seconds",
    },
  ),
  probing_method: text("SIP method of a probe.", "OPTIONS", { check: checkProbeMethod }),
  probing_from: text("From URI of a probe.", "sip:prober@localhost", { check: checkSipUri }),
  probing_reply_codes: list(
    'Replies to a probe that count as alive besides 200: codes and classes, x standing for any digit, such as [404, "5xx"] or "501, 403".',
    item({ check: checkReplyCodes, numberIsText: true }),
    [],
    { single: true },
  ),
  probing_verbose: flag("Log every change that probes make.", false),
  lb_define_blacklist: list(
    'Lists of the addresses of groups, each with a name, such as "list= 1,4,3", for routing.deny_targets and isBlacklisted() in scripts.',
    item({ check: checkBlacklist }),
    [],
    { single: true },
  ),
};

const BreakerSchema = Type.Object(
  {
    window: whole("The calls of how long are looked at. 0: there is no breaker.", 0, 0, 3600, { unit: "seconds" }),
    min_calls: whole("With fewer calls than this in the window it stays closed.", 10, 1, 1_000_000),
    failure_ratio: fraction("Share of failed calls in the window from which on it opens.", 0.5, 0.01, 1),
    open_for: whole("How long it stays open, until trial calls are let through.", 10, 1, MAX_WAIT_S, { unit: "seconds" }),
    trial_calls: whole("Trial calls that must succeed to close it. One that fails opens it again.", 3, 1, 1000),
  },
  {
    description:
      "A circuit breaker for each destination: too large a share of its calls failed with 503, a time-out or a transport error, and it gets none for a while.",
    additionalProperties: false,
  },
);

export const HealthSchema = Type.Object(
  {
    rise: whole("Good probes in a row that enable a disabled destination.", 1, 1, 1000),
    fall: whole("Bad probes in a row that disable an enabled destination.", 1, 1, 1000),
    jitter: fraction("Share of the interval by which each probe is moved at random, either way.", 0, 0, 0.5),
    fast_interval: whole(
      "Time between two probes of a destination that is down or about to change. 0: load_balancer.probing_interval, always.",
      0,
      0,
      MAX_WAIT_S,
      { unit: "seconds" },
    ),
    slow_start: whole(
      "Time over which capacity grows from 10 % to all after a destination was enabled again. 0: at once.",
      0,
      0,
      MAX_WAIT_S,
      {
        unit: "seconds",
      },
    ),
    retry_after_max: whole(
      "A destination that answers 503 with Retry-After gets no calls for as long as it says, at most for this long. 0: Retry-After is ignored.",
      0,
      0,
      MAX_WAIT_S,
      { unit: "seconds" },
    ),
    fail_open: flag(
      "When every destination of a group that has the resources is down by a probe, a script or its breaker, use them all the same. Those that an operator disabled or drains, and those that asked for rest, stay unused.",
      false,
    ),
    max_calls_per_second: whole(
      "Most calls that a destination gets in any second; beyond that it counts as full. cps=N in a row's attrs is used in its place. 0: no limit.",
      0,
      0,
      MAX_CALLS_PER_SECOND,
    ),
    breaker: BreakerSchema,
  },
  {
    description:
      "What else keeps calls away from a destination that would fail them. By default nothing: this section goes beyond OpenSIPS.",
    additionalProperties: false,
  },
);

export const OutboundSchema = Type.Union(
  [
    Type.Object(
      {
        resources: text("Resources that such a call occupies on the destination that it comes from, separated by semicolons.", "pstn", {
          check: checkResourceList,
        }),
        group: whole("Group in which the sender is looked for. -1: all groups.", -1, -1, MAX_INT32),
        next_hop: optionalText("SIP URI that the calls are sent to. Null: where their Request-URI points.", { check: checkNextHop }),
        limit: flag(
          "Refuse such a call, with routing.reject.no_capacity, when the destination that it comes from is full: calls of both directions never exceed its capacity together. False: it is counted all the same, as OpenSIPS does.",
          true,
        ),
        while_draining: Type.Enum(["refuse", "accept"], {
          description:
            "What becomes of such a call when the destination is drained, or an operator or a drain that ended has disabled it: refuse it, with routing.reject.no_destination, or accept it. One that a probe, a script or its breaker keeps calls from makes its own in any case.",
          default: "refuse",
        }),
        back_to_sender: flag(
          "Such a call may be for this proxy itself, and then goes by the rules. True: they may choose the destination that it comes from, too.",
          false,
        ),
        any_port: flag("Take a call for one of a destination also when it comes from another port of its address.", false),
      },
      { additionalProperties: false },
    ),
    Type.Null(),
  ],
  {
    description:
      "Calls that come from a destination: they are counted on it, like those that go to it, and sent on. Null: they are routed like all others and count where they go.",
    default: null,
  },
);

const WebhookSchema = Type.Object(
  {
    // An address often holds a token: it is not quoted in messages.
    url: Type.String({
      description: "Where the events are sent with POST, as JSON.",
      maxLength: MAX_TEXT_LENGTH,
      check: checkWebhookUrl,
      secret: true,
    }),
    events: list("Names of the events that are sent. Empty: all.", item({ check: checkEventName }), [], { single: true }),
    secret: optionalText("Signs each request: HMAC-SHA256 of its time and body. Null: it is not signed.", {
      check: checkWebhookSecret,
      secret: true,
    }),
  },
  { description: "One receiver of events.", additionalProperties: false },
);

export const EventsSchema = Type.Object(
  {
    history: whole("Latest events that are kept for clients that come back.", 1000, 0, MAX_REMEMBERED),
    webhooks: Type.Array(WebhookSchema, { description: "Receivers of events.", default: [], maxItems: MAX_WEBHOOKS }),
    webhook_queue: whole(
      "Events that wait for a webhook at most; beyond that changes of calls are lost first, then the oldest of the others, and counted.",
      1000,
      1,
      MAX_REMEMBERED,
    ),
    low_headroom_percent: fraction(
      "An alert is raised when less than this many percent of a group's capacity are free, once until it recovers. 0: never.",
      0,
      0,
      100,
    ),
  },
  {
    description: "What is told to others: server-sent events at /events of the management interface, and webhooks.",
    additionalProperties: false,
  },
);

export const ExplainSchema = Type.Object(
  {
    calls: whole(
      "Latest decisions that are remembered for lb_explain, one a call and one more for each failover. 0: none.",
      1000,
      0,
      MAX_REMEMBERED,
    ),
  },
  { description: "Why a call went where it went.", additionalProperties: false },
);
