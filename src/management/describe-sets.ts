import { type Destination, type DestinationSet, printFlags } from "../dispatch/index.ts";

/** What `dispatcher.list` tells of each destination: with its attributes; without them; and with its address. */
export type ListMode = "normal" | "short" | "full";

/** Numbers that Kamailio's core gives transports. */
const TRANSPORT_NUMBERS: Readonly<Record<string, number>> = { udp: 1, tcp: 2, tls: 3, sctp: 4, ws: 5, wss: 6 };
/** Digits behind the point that Kamailio's JSON has. */
const FRACTION = 1e6;

/**
 * The structure of `dispatcher.list`, member for member and in the order of Kamailio 5.6.3. Sets come by their ids; those of Kamailio in the order of
 * its search tree. `ATTRS` is absent without attributes. `RUNTIME` is always there: Kamailio has it with `ds_hash_size` above 0.
 *
 * @param isMeasured `LATENCY` is there
 */
export function describeSets(sets: readonly DestinationSet[], mode: ListMode, isMeasured: boolean): object {
  return {
    NRSETS: sets.length,
    RECORDS: sets.map(({ id, destinations }) => ({
      SET: { ID: id, TARGETS: destinations.map((destination) => ({ DEST: describe(destination, mode, isMeasured) })) },
    })),
  };
}

/** What `dispatcher.oclist` tells of a set, as Kamailio 6 has it. @param wallOf clock of overload reports to ms since 1970 */
export function describeOverload({ id, destinations }: DestinationSet, wallOf: (ms: number) => number): object[] {
  return destinations.map(({ uri, flags, priority, attributes, overload: { rate, owed, sequence, untilMs } }) => {
    const wallMs = Number.isFinite(untilMs) ? wallOf(untilMs) : 0;
    return {
      group: id,
      uri,
      flags,
      priority,
      ocrate: rate,
      ocidx: Math.trunc(owed),
      ocseq: sequence,
      octime_sec: Math.trunc(wallMs / 1000),
      octime_usec: Math.trunc(wallMs % 1000) * 1000,
      ocmin: attributes.ocMin,
      ocmax: attributes.ocMax,
    };
  });
}

function describe(destination: Destination, mode: ListMode, isMeasured: boolean): object {
  const { uri, flags, priority, attributes, latency, load } = destination;
  return {
    URI: uri,
    FLAGS: printFlags(flags),
    PRIORITY: priority,
    ...(mode === "full" && addressOf(destination)),
    ...(mode !== "short" && attributes.body !== "" && { ATTRS: attributesOf(destination) }),
    ...(isMeasured && {
      LATENCY: {
        AVG: rounded(latency.average),
        STD: rounded(latency.deviation),
        EST: rounded(latency.estimate),
        MAX: Math.round(latency.max),
        TIMEOUT: latency.timeouts,
      },
    }),
    RUNTIME: { DLGLOAD: load },
  };
}

function addressOf({ target, addresses }: Destination): object {
  return {
    HOST: target.address?.includes(":") ? `[${target.host}]` : target.host,
    IPADDR: addresses[0] ?? "",
    PORT: target.port,
    PROTOID: TRANSPORT_NUMBERS[target.transport] ?? 0,
    DNSTIME_SEC: 0,
    DNSTIME_USEC: 0,
  };
}

function attributesOf({ attributes }: Destination): object {
  const { body, duid, maxLoad, weight, relativeWeight, socket, socketName, outboundProxy } = attributes;
  return {
    BODY: body,
    DUID: duid || null,
    MAXLOAD: maxLoad,
    WEIGHT: weight,
    RWEIGHT: relativeWeight,
    SOCKET: socket || null,
    SOCKNAME: socketName || null,
    OBPROXY: outboundProxy || null,
  };
}

function rounded(ms: number): number {
  return Math.round(ms * FRACTION) / FRACTION;
}
