import { amount, count, listOf, maybe, members, orNull, text, whole } from "./kinds.ts";

export const STATE_PARAMETERS = {
  state: text("a active (or 1), i inactive (0), t trying (3), d disabled (2); with p behind it: probed"),
  group: count("id of the set"),
  address: text("SIP URI of the destination, or all"),
  duid: text("attribute duid of the destination, or all"),
};

export const RECORD_PARAMETERS = {
  group: count("id of the set"),
  address: text("SIP URI of the destination"),
  flags: count("flags as a list file has them: 1 inactive, 2 trying, 4 disabled, 8 probed, 16 no DNS, 32 no ping"),
  priority: whole("a higher one comes first"),
  attrs: text("attributes, such as `duid=a;weight=50`"),
};

const Attributes = members({
  BODY: text("attributes as written"),
  DUID: orNull(text("duid"), "attribute duid"),
  MAXLOAD: count("calls that it takes; 0: any number"),
  WEIGHT: count("weight in percent"),
  RWEIGHT: count("relative weight"),
  SOCKET: orNull(text("transport:address:port"), "socket to send from"),
  SOCKNAME: orNull(text("name"), "name of that socket"),
  OBPROXY: orNull(text("URI"), "outbound proxy"),
});

const Latency = members(
  {
    AVG: amount("mean, ms"),
    STD: amount("standard deviation, ms"),
    EST: amount("estimate, the latest counting most, ms"),
    MAX: count("highest, ms"),
    TIMEOUT: count("probes without an answer"),
  },
  "of the answers to probes, with `ds_ping_latency_stats`",
);

/** What `dispatcher.list` answers: Kamailio's structure. */
export const SetList = members({
  NRSETS: count("number of sets"),
  RECORDS: listOf(
    members({
      SET: members({
        ID: count("id of the set"),
        TARGETS: listOf(
          members({
            DEST: members({
              URI: text("SIP URI"),
              FLAGS: text("A, I, D or T for the state, then P probed, N not probed or X"),
              PRIORITY: whole("its priority"),
              HOST: maybe(text("with full: host")),
              IPADDR: maybe(text("with full: address")),
              PORT: maybe(count("with full: port")),
              PROTOID: maybe(count("with full: 1 UDP, 2 TCP, 3 TLS, 5 WS, 6 WSS")),
              DNSTIME_SEC: maybe(count("with full: 0")),
              DNSTIME_USEC: maybe(count("with full: 0")),
              ATTRS: maybe(Attributes),
              LATENCY: maybe(Latency),
              RUNTIME: members({ DLGLOAD: count("calls that count on it") }),
            }),
          }),
          "its destinations",
        ),
      }),
    }),
    "the sets, the lowest id first",
  ),
});

export const OverloadList = listOf(
  members({
    group: count("id of the set"),
    uri: text("SIP URI"),
    flags: count("flags, a bit each"),
    priority: whole("its priority"),
    ocrate: amount("share of calls that it wants less"),
    ocidx: whole("calls owed"),
    ocseq: amount("number of its latest report"),
    octime_sec: whole("until when it counts, seconds since 1970; 0: none"),
    octime_usec: whole("microseconds of that"),
    ocmin: amount("attribute ocmin"),
    ocmax: amount("attribute ocmax"),
  }),
  "the destinations of the set",
);
