import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runKamailio } from "./kamailio.ts";
import { freeUdpPort } from "./net.ts";

/** A message as Kamailio has read it out of its packet. */
export interface CapturedByKamailio {
  /** Method or status code. */
  readonly what: string;
  /** `address:port` */
  readonly from: string;
  readonly to: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  /** Id of who has sent the packet. */
  readonly agent: string;
  readonly correlationId: string;
  readonly text: string;
}

export interface HepServer {
  readonly port: number;
  /** What it has got of a call so far. */
  captured(callId: string): CapturedByKamailio[];
  stop(): Promise<void>;
}

/** Places in the rows that `sipcapture` writes, in the order of Homer's table. */
const Column = {
  microseconds: 1,
  method: 2,
  callId: 13,
  sourceIp: 22,
  sourcePort: 23,
  targetIp: 24,
  targetPort: 25,
  node: 34,
  correlationId: 35,
  text: 40,
};

/** Runs Kamailio as a capture server: it takes packets of HEP apart, parses what is in them, and writes rows of Homer's table into files. */
export async function startHepServer(address: string): Promise<HepServer> {
  const port = await freeUdpPort(address);
  const { folder, stop } = await runKamailio(
    address,
    port,
    `
    debug=1
    log_stderror=yes
    children=1
    listen=udp:${address}:${port}
    disable_tcp=yes
    auto_aliases=no
    loadmodule "pv.so"
    loadmodule "db_flatstore.so"
    loadmodule "sipcapture.so"
    modparam("db_flatstore", "encode_delimiter", 1)
    modparam("db_flatstore", "flush", 1)
    modparam("sipcapture", "db_url", "flatstore:{folder}")
    modparam("sipcapture", "table_name", "sip_capture")
    modparam("sipcapture", "capture_on", 1)
    modparam("sipcapture", "hep_capture_on", 1)
    request_route { sip_capture("sip_capture"); drop; }
    onreply_route { sip_capture("sip_capture"); drop; }
    `,
  );
  const rows = (): string[][] =>
    globSync("sip_capture_*.log", { cwd: folder })
      .flatMap((name) => readFileSync(join(folder, name), "latin1").split("\n"))
      .filter((line) => line.endsWith("|||"))
      .map((line) => line.split("|").map(decoded));
  return {
    port,
    stop,
    captured: (callId) =>
      rows()
        .filter((row) => row[Column.callId] === callId)
        .map((row) => {
          const at = (column: number): string => row[column] ?? "";
          return {
            what: at(Column.method),
            from: `${at(Column.sourceIp)}:${at(Column.sourcePort)}`,
            to: `${at(Column.targetIp)}:${at(Column.targetPort)}`,
            atMs: Number(at(Column.microseconds)) / 1_000,
            agent: at(Column.node).replace(/^.*:/, ""),
            correlationId: at(Column.correlationId),
            text: at(Column.text),
          };
        }),
  };
}

/** `db_flatstore` writes delimiters and ends of lines so. */
function decoded(value: string): string {
  return value.replace(/\\x([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
