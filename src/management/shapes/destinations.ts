import { amount, certain, count, listOf, maybe, members, orNull, shared, text, whole, word, yesOrNo } from "./kinds.ts";

/** The row that a figure belongs to. */
export const ROW = {
  id: count("id of the destination"),
  group: count("its group"),
  uri: text("its SIP URI"),
};

const ListedResource = members({
  name: text("name of the resource"),
  max: count("calls that it takes at a time; during a slow start what is open by now"),
  load: count("calls that count on it, in a cluster those of all nodes"),
  remote_load: maybe(count("the part of load that is on other nodes, while there is some")),
  foreign_load: maybe(count("calls of others that its FreeSWITCH tells, with `freeswitch.foreign_load: load`")),
  capacity: maybe(count("during a slow start what the resource has when all of it is open")),
});

/** A destination as `load_balancer:list` has it. The members behind `attrs` are there only while they say something. */
export const ListedDestination = members({
  uri: text("SIP URI"),
  id: count("id of the row"),
  group: count("group of the row"),
  enabled: yesOrNo("whether it gets calls"),
  "auto-reenable": word("off: an operator has disabled it, probes may not enable it", "on", "off"),
  Resources: listOf(ListedResource, "its resources in the order of the row"),
  attrs: maybe(text("attributes of the row, unless empty")),
  draining: maybe(word("a drain is under way", "yes")),
  drain_load: maybe(count("load that is left")),
  drain_deadline: maybe(count("when the drain ends in any case, seconds since 1970")),
  drain_bye: maybe(yesOrNo("whether the calls left then are ended")),
  breaker: maybe(word("its circuit breaker, while it is not closed", "open", "trials")),
  resting: maybe(count("seconds that are left of the rest that it asked for with Retry-After")),
  rate_limit: maybe(amount("calls a second that it may get")),
  over_rate: maybe(yesOrNo("whether that is reached, so that it counts as full")),
  capacity_percent: maybe(whole("what a slow start has opened by now", { minimum: 0, maximum: 100 })),
  freeswitch: maybe(word("why the figures of its FreeSWITCH keep calls away", "initial", "stale", "paused", "leaving", "idle-cpu")),
  registered: maybe(word("it has registered itself", "yes", "leaving")),
  registration_left: maybe(whole("seconds that are left of the registration")),
  registration_end: maybe(word("why it leaves", "expired", "unregistered", "moved")),
});

/** The cluster as `load_balancer:list` has it. */
export const ClusterSummary = members(
  {
    id: count("id of the cluster"),
    node_id: count("id of this node"),
    redis: word(
      "slow: its answers take more than 50 ms; lost: not reached, or it refuses what this node writes",
      "connected",
      "slow",
      "lost",
    ),
    rtt_ms: maybe(amount("how long the last answer took, unless it is lost")),
    nodes: listOf(count("id"), "nodes that live, this one too"),
    gone: maybe(listOf(count("id"), "nodes that were there and do not live")),
    tags: listOf(shared("SharingTag"), "the sharing tags"),
    load_sharing: word("`cluster.load_sharing`", "off", "shared", "exact"),
    unsynced_statuses: count("changes of status that Redis does not have yet"),
    unsynced_dialogs: count("dialogs whose latest state Redis does not have yet"),
  },
  "in a cluster: how that is",
);

export const SharingTag = members({
  Tag: text("name of the tag"),
  Cluster: count("id of its cluster"),
  State: word("on this node", "active", "backup"),
  Owner: maybe(count("id of the node that has it, if any")),
  Epoch: count("how often it has moved"),
});

const ViewedResource = members({
  name: text("name of the resource"),
  max: amount("capacity that selection saw"),
  load: amount("load that selection saw"),
  slot: amount("what was free: calls, or a percentage with flag r"),
  own: maybe(
    members(
      { load: amount("its own load"), max: amount("what it may have by now") },
      "in a pool during a slow start: what bounds this destination more than the pool does",
    ),
  ),
});

const ViewedDestination = members({
  id: count("id of the destination"),
  uri: text("its SIP URI"),
  tier: maybe(whole("its tier, unless 0")),
  weight: maybe(amount("its weight, unless 1")),
  Resources: listOf(ViewedResource, "the resources that were asked for"),
  score: maybe(amount("its smallest slot times its weight; absent when it lacks a resource")),
  chosen: maybe(certain("it got the call")),
  skipped: maybe(
    word(
      "why it did not get the call",
      ...["lacks-resource", "caller", "tried", "disabled-by-operator", "disabled", "draining", "leaving", "withdrawn", "breaker-open"],
      ...["resting", "calls-per-second", "slow-start", "full", "later-tier", "lower-score", "equal"],
    ),
  ),
  reason: maybe(text("the same as a sentence")),
});

const VIEW = {
  group: count("group that was asked for"),
  resources: text("resources that were asked for, such as `transcoding;conference`"),
  flags: text("flags: n, r, s"),
  code: whole("what lb_start answers: 1, or -1 not understood, -2 all full, -3 none up, -4 no such resource", { minimum: -4, maximum: 1 }),
  summary: text("the decision as a sentence"),
  chosen: maybe(count("id of the destination that was chosen")),
  chosen_uri: maybe(text("its SIP URI")),
  equals: maybe(listOf(count("id"), "destinations that shared the best score, when several did")),
  failed_open: maybe(certain("all were down, and the group fails open")),
  Destinations: listOf(ViewedDestination, "the destinations of the group that were looked at"),
  destinations_omitted: maybe(count("how many more the group has")),
};

/** What a start would decide. */
export const Outlook = members(VIEW);

/** A decision of a call that was. */
export const Decision = members({
  at: text("when, ISO 8601 in UTC"),
  attempt: count("1 for the first selection of the call, 2 for the one after that"),
  ...VIEW,
});

export const Probe = members({
  ...ROW,
  probe_mode: whole("1 while disabled, 2 always", { minimum: 1, maximum: 2 }),
  enabled: yesOrNo("whether it gets calls"),
  probed: yesOrNo("whether it is probed now"),
  sent: count("probes sent"),
  last_code: orNull(count("status code"), "the last answer, 408 for none"),
  last_at: orNull(text("local time"), "when that was"),
  streak: whole("results of the same kind in a row"),
  last_ms: orNull(amount("ms"), "latency of the last reply"),
  average_ms: orNull(amount("ms"), "mean latency"),
  ewma_ms: orNull(amount("ms"), "latency, the latest counting most"),
  max_ms: orNull(amount("ms"), "highest latency"),
  timeouts: count("probes without a reply"),
  capacity_percent: whole("what a slow start has opened by now", { minimum: 0, maximum: 100 }),
});

export const Breaker = members({
  ...ROW,
  breaker: word("its phase", "closed", "open", "trials"),
  calls: count("calls in the window"),
  failures: count("failed ones among them"),
  failure_percent: whole("their share", { minimum: 0, maximum: 100 }),
  trials_wanted: count("trial calls that have still to succeed"),
});

export const FreeswitchServer = members({
  url: text("its address, without the password"),
  destinations: text("ids of the rows that name it, with commas between"),
  connected: yesOrNo("whether the connection stands"),
  statistics: word("age of its figures", "initial", "fresh", "stale"),
  withdrawn: word("why it gets no new calls", "no", "initial", "stale", "paused", "leaving", "idle-cpu"),
  heartbeat_age: orNull(amount("seconds"), "age of the last heartbeat"),
  idle_cpu: orNull(amount("percent"), "idle share of its processor"),
  sessions: orNull(count("sessions"), "its sessions"),
  max_sessions: orNull(count("sessions"), "sessions that it takes"),
  calls: count("calls that we have there"),
  sessions_per_call: amount("sessions that a call of ours makes there"),
  calls_per_second: orNull(amount("calls a second"), "its limit"),
  heartbeats: count("heartbeats since the connection was first tried"),
  bad_heartbeats: count("of them unreadable"),
  refused_calls: count("calls that it refused"),
  connections: count("times that it was connected"),
  tries: count("times that it was tried"),
});

export const Registration = members({
  ...ROW,
  account: text("account of the configuration"),
  user: text("user name that it registered with"),
  contact: text("Contact of the registration"),
  source: text("where the REGISTER came from: transport:address:port"),
  state: word("leaving: no new calls", "active", "leaving"),
  expires: whole("seconds that are left"),
  cause: orNull(text("expired, unregistered or moved"), "why it leaves"),
});

/** What `load_balancer:audit` found. */
export const Audit = members({
  calls: count("calls that were gone through"),
  milliseconds: count("how long that took"),
  Differences: listOf(
    members({
      id: maybe(count("id of the destination; absent for a pool")),
      group: maybe(count("its group")),
      uri: maybe(text("its SIP URI")),
      pool: maybe(text("name of the pool, in place of the destination")),
      resource: maybe(text("the resource; absent: the number of calls, each counted once")),
      counted: whole("what was counted"),
      true: whole("what the calls hold"),
      healed: certain("it was set right"),
    }),
    "what was counted otherwise than the calls hold it: should be empty. 100 at most",
  ),
  FreeSWITCH: maybe(
    listOf(
      members({
        url: text("its address"),
        sessions: maybe(count("sessions that it tells")),
        calls: count("calls that we count there"),
        short: yesOrNo("it has had fewer sessions than we count calls for five heartbeats"),
      }),
      "what the servers and we say, where there are such",
    ),
  ),
});
