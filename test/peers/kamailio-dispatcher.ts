import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Kamailio, runKamailio } from "../support/kamailio.ts";
import { freeUdpPort } from "../support/net.ts";

/** Requests that are under way at once: far fewer than the socket's buffer holds. */
const WINDOW = 32;
const ANSWER_TIMEOUT_MS = 20_000;
/** Transports of the module jsonrpcs. */
const DATAGRAM = 4;
const HTTP_AND_DATAGRAM = 5;

/** What `ds_mark_dst` is called with: its parameter cannot be a variable. */
const MARKS = ["a", "i", "t", "d", "ap", "ip", "tp", "dp"] as const;

/** What a request asks the dispatcher module for. What is absent is a plain INVITE for `set` with `algorithm`. */
export interface PeerRequest {
  /** What the configuration does: `select` is `ds_select_dst`, and the others are the functions of that name. */
  readonly run?: "select" | "domain" | "routes" | "from" | "mark" | "load" | "active";
  readonly method?: string;
  readonly set?: number;
  readonly algorithm?: number;
  readonly limit?: number;
  readonly callId?: string;
  /** URIs without angle brackets. */
  readonly from?: string;
  readonly to?: string;
  readonly requestUri?: string;
  /** User of a Proxy-Authorization header. */
  readonly authUser?: string;
  /** What `hash_pvar` prints. */
  readonly key?: string;
  /** Rules of `ds_select_routes`. */
  readonly rules?: string;
  /** State letters of `ds_mark_dst`. */
  readonly state?: (typeof MARKS)[number];
  /** Bits and URI of `ds_is_from_list`. */
  readonly mode?: number;
  readonly uri?: string;
}

/** What the dispatcher module answered. */
export interface PeerAnswer {
  /** What the function returned: 1 and 2 are true, others false. */
  readonly code: number;
  /** `$du` after it. */
  readonly picked: string | undefined;
  /** `$ru` after it. */
  readonly requestUri: string;
  /** URIs of the failover list with the picked one first. */
  readonly list: readonly string[];
  /** What `ds_is_from_list` found: the set, -1 when one was asked for, and the attributes. */
  readonly matched: { readonly set: number; readonly attrs: string };
}

/** A destination as `dispatcher.list` tells of it, with what tests look at. */
export interface PeerDestination {
  readonly uri: string;
  readonly flags: string;
  readonly priority: number;
  readonly body: string;
  readonly latency: { readonly avg: number; readonly std: number; readonly est: number; readonly max: number; readonly timeout: number };
  readonly load: number | undefined;
}

/** A Kamailio that runs its dispatcher module over a list, and tells what it picks. */
export interface DispatcherPeer {
  readonly kamailio: Kamailio;
  /** Runs the requests one after the other, in their order. */
  ask(requests: readonly PeerRequest[]): Promise<PeerAnswer[]>;
  rpc(method: string, params?: readonly (string | number)[]): Promise<unknown>;
  /** The sets by id, destinations in the module's order. */
  list(): Promise<Map<number, PeerDestination[]>>;
  /** Replaces the list file, without a reload. */
  write(list: string): void;
  stop(): Promise<void>;
}

/**
 * Starts Kamailio with a dispatcher list. It answers requests itself, with 300 and the pick, so no destination has to exist.
 *
 * @param list text of the list file
 * @param params parameters of the module, beside the failover list (`flags` 2), `hash_pvar` and `ds_hash_size`
 * @param core further lines for modules and parameters
 * @param files further files, in the folder that `{folder}` stands for
 */
export async function startDispatcherPeer(
  address: string,
  list: string,
  params: Readonly<Record<string, string | number>> = {},
  core = "",
  files: Readonly<Record<string, string>> = {},
): Promise<DispatcherPeer> {
  const port = await freeUdpPort(address);
  const rpcPort = await freeUdpPort(address);
  const kamailio = await runKamailio(address, port, configuration(address, port, rpcPort, params, core), {
    "dispatcher.list": list,
    ...files,
  });
  const sip = await openSocket(address);
  const rpc = await openSocket(address);
  let sequence = 0;
  const peer: DispatcherPeer = {
    kamailio,
    ask: (requests) => askInOrder(sip, { address, port }, requests, () => ++sequence),
    async rpc(method, values = []) {
      const id = ++sequence;
      const answer = once(rpc, "message", { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) });
      rpc.send(JSON.stringify({ jsonrpc: "2.0", method, params: values, id }), rpcPort, address);
      const [bytes] = (await answer) as [Buffer];
      return JSON.parse(bytes.toString("utf8")) as { result?: unknown; error?: unknown } satisfies object;
    },
    async list() {
      return destinationsOf(await peer.rpc("dispatcher.list"));
    },
    write: (text) => writeFileSync(join(kamailio.folder, "dispatcher.list"), text),
    async stop() {
      sip.close();
      rpc.close();
      await kamailio.stop();
    },
  };
  return peer;
}

async function openSocket(address: string): Promise<Socket> {
  const socket = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
  socket.bind(0, address);
  await once(socket, "listening");
  return socket;
}

function askInOrder(
  socket: Socket,
  to: { readonly address: string; readonly port: number },
  requests: readonly PeerRequest[],
  nextNumber: () => number,
): Promise<PeerAnswer[]> {
  const answers: PeerAnswer[] = [];
  if (requests.length === 0) return Promise.resolve(answers);
  const { address, port } = socket.address();
  const first = nextNumber();
  for (let i = 1; i < requests.length; i++) nextNumber();
  let sent = 0;
  let answered = 0;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => end(new Error(`Waited ${ANSWER_TIMEOUT_MS} ms for ${requests.length - answered} answers of kamailio`)),
      ANSWER_TIMEOUT_MS,
    );
    function end(error?: Error): void {
      clearTimeout(timer);
      socket.off("message", take);
      if (error === undefined) resolve(answers);
      else reject(error);
    }
    function send(): void {
      while (sent < requests.length && sent - answered < WINDOW) {
        socket.send(Buffer.from(requestText(requests[sent]!, first + sent, `${address}:${port}`), "latin1"), to.port, to.address);
        sent++;
      }
    }
    function take(bytes: Buffer): void {
      const text = bytes.toString("latin1");
      const index = Number(/^CSeq: *(\d+)/m.exec(text)?.[1] ?? Number.NaN) - first;
      if (!(index >= 0 && index < requests.length) || answers[index] !== undefined) return;
      const [, code = "0", picked = "", list = ""] = /^X-Picked: (-?\d+) <([^>\r]*)> ?([^\r\n]*)/m.exec(text) ?? [];
      const [, set = "-1", attrs = ""] = /^X-Matched: (-?\d+) ([^\r\n]*)/m.exec(text) ?? [];
      answers[index] = {
        matched: { set: Number(set), attrs },
        code: Number(code),
        requestUri: /^X-Ru: <([^>\r]*)>/m.exec(text)?.[1] ?? "",
        picked: picked === "" ? undefined : picked,
        list: list.split(",").filter((item) => item !== ""),
      };
      answered++;
      if (answered === requests.length) end();
      else send();
    }
    socket.on("message", take);
    send();
  });
}

/** The request that a dispatcher is asked by: one text for all of them, so that they are asked the same. */
export function requestText(request: PeerRequest, number: number, sentBy: string): string {
  const method = request.method ?? "INVITE";
  const optional = (name: string, value: string | number | undefined): string[] => (value === undefined ? [] : [`${name}: ${value}`]);
  return [
    `${method} ${request.requestUri ?? "sip:someone@example.com"} SIP/2.0`,
    `Via: SIP/2.0/UDP ${sentBy};branch=z9hG4bK${number}`,
    `From: <${request.from ?? "sip:caller@example.com"}>;tag=${number}`,
    `To: <${request.to ?? "sip:someone@example.com"}>`,
    `Call-ID: ${request.callId ?? `call-${number}@example.com`}`,
    `CSeq: ${number} ${method}`,
    `Contact: <sip:caller@${sentBy}>`,
    `Max-Forwards: 70`,
    `X-Run: ${request.run ?? "select"}`,
    `X-Set: ${request.set ?? 1}`,
    `X-Algorithm: ${request.algorithm ?? 0}`,
    `X-Limit: ${request.limit ?? 0}`,
    ...optional("X-Key", request.key),
    ...optional("X-Rules", request.rules),
    ...optional("X-State", request.state),
    `X-Mode: ${request.mode ?? 2}`,
    ...optional("X-Uri", request.uri),
    ...(request.authUser === undefined
      ? []
      : [
          `Proxy-Authorization: Digest username="${request.authUser}", realm="r", nonce="n", uri="sip:r", response="0123456789abcdef0123456789abcdef"`,
        ]),
    "Content-Length: 0",
    "",
    "",
  ].join("\r\n");
}

/** The records of `dispatcher.list`; one that has a single entry is no array in the answers of Kamailio. */
function destinationsOf(answer: unknown): Map<number, PeerDestination[]> {
  const sets = new Map<number, PeerDestination[]>();
  const { RECORDS: records = [] } = (answer as { result?: { RECORDS?: { SET: RawSet }[] } }).result ?? {};
  for (const { SET: set } of records) {
    sets.set(
      set.ID,
      set.TARGETS.map(({ DEST: raw }) => ({
        uri: raw.URI,
        flags: raw.FLAGS,
        priority: raw.PRIORITY,
        body: raw.ATTRS?.BODY ?? "",
        latency: {
          avg: raw.LATENCY?.AVG ?? 0,
          std: raw.LATENCY?.STD ?? 0,
          est: raw.LATENCY?.EST ?? 0,
          max: raw.LATENCY?.MAX ?? 0,
          timeout: raw.LATENCY?.TIMEOUT ?? 0,
        },
        load: raw.RUNTIME?.DLGLOAD,
      })),
    );
  }
  return sets;
}

interface RawSet {
  readonly ID: number;
  readonly TARGETS: readonly {
    readonly DEST: {
      readonly URI: string;
      readonly FLAGS: string;
      readonly PRIORITY: number;
      readonly ATTRS?: { readonly BODY?: string };
      readonly LATENCY?: Readonly<Partial<Record<"AVG" | "STD" | "EST" | "MAX" | "TIMEOUT", number>>>;
      readonly RUNTIME?: { readonly DLGLOAD?: number };
    };
  }[];
}

function configuration(
  address: string,
  port: number,
  rpcPort: number,
  params: Readonly<Record<string, string | number>>,
  core: string,
): string {
  const all: Record<string, string | number> = {
    list_file: "{folder}/dispatcher.list",
    flags: 2,
    hash_pvar: "$hdr(X-Key)",
    ds_hash_size: 8,
    setid_pvname: "$var(matched)",
    attrs_pvname: "$var(attributes)",
    reload_delta: 0,
    ...params,
  };
  const lines = Object.entries(all).map(
    ([name, value]) => `modparam("dispatcher", "${name}", ${typeof value === "number" ? value : `"${value}"`})`,
  );
  return `
debug=0
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
auto_aliases=no
dns=no
rev_dns=no
listen=udp:${address}:${port}

loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "jsonrpcs.so"
${core}
loadmodule "dispatcher.so"
modparam("jsonrpcs", "transport", ${core.includes("xhttp.so") ? HTTP_AND_DATAGRAM : DATAGRAM})
modparam("jsonrpcs", "dgram_socket", "udp:${address}:${rpcPort}")
modparam("jsonrpcs", "pretty_format", 0)
${lines.join("\n")}

request_route {
  if (is_method("ACK")) exit;
  $var(run) = $hdr(X-Run);
  $var(set) = $(hdr(X-Set){s.int});
  $var(algorithm) = $(hdr(X-Algorithm){s.int});
  $var(limit) = $(hdr(X-Limit){s.int});
  $var(mode) = $(hdr(X-Mode){s.int});
  $var(text) = "";
  $var(matched) = -1;
  $var(attributes) = "";
  switch ($var(run)) {
    case "routes":
      ds_select_routes("$hdr(X-Rules)", "d", "$var(limit)");
      $var(code) = $retcode;
      break;
    case "domain":
      ds_select_domain("$var(set)", "$var(algorithm)", "$var(limit)");
      $var(code) = $retcode;
      break;
    case "from":
      ds_is_from_list("$var(set)", "$var(mode)", "$hdr(X-Uri)");
      $var(code) = $retcode;
      break;
    case "mark":
      ds_select_dst("$var(set)", "$var(algorithm)");
      switch ($hdr(X-State)) {
${MARKS.map((state) => `        case "${state}":\n          ds_mark_dst("${state}");\n          $var(code) = $retcode;\n          break;`).join("\n")}
      }
      break;
    case "load":
      ds_load_update();
      $var(code) = $retcode;
      break;
    case "active":
      if ($hdr(X-Uri) == $null) ds_is_active("$var(set)");
      else ds_is_active("$var(set)", "$hdr(X-Uri)");
      $var(code) = $retcode;
      break;
    default:
      ds_select_dst("$var(set)", "$var(algorithm)", "$var(limit)");
      $var(code) = $retcode;
  }
  $var(i) = 0;
  while ($xavp(_dsdst_[$var(i)]=>uri) != $null && $var(i) < 64) {
    $var(text) = $var(text) + "," + $xavp(_dsdst_[$var(i)]=>uri);
    $var(i) = $var(i) + 1;
  }
  $var(picked) = "";
  if ($du != $null) $var(picked) = $du;
  append_to_reply("X-Picked: $var(code) <$var(picked)>$var(text)\\r\\n");
  append_to_reply("X-Ru: <$ru>\\r\\n");
  append_to_reply("X-Matched: $var(matched) $var(attributes)\\r\\n");
  sl_send_reply("300", "Picked");
  exit;
}
`;
}
