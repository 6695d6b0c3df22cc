import type { Findings } from "./findings.ts";
import type { NewConfig } from "./new-config.ts";
import type { CfgFile, Setting } from "./tree.ts";

/** Transports that Headroom listens on. */
const TRANSPORTS = new Set(["udp", "tcp", "tls", "ws", "wss"]);
const DEFAULT_PORTS: Readonly<Record<string, number>> = { udp: 5060, tcp: 5060, tls: 5061, ws: 80, wss: 443 };
/** `transport:address:port`, of which only the address is needed. */
const SOCKET = /^(?:([a-z_]+):)?(\[[0-9A-Fa-f:.]+\]|\*|[A-Za-z0-9_.-]+)(?::(\d{1,5}))?$/;
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/;
const LOOPBACK = /^(?:127\.|localhost$|\[?::1\]?$)/;

/** Levels of OpenSIPS and Kamailio, from -3 (alert) to 4 (debug), as those of the log here. */
const LEVELS: readonly string[] = ["fatal", "fatal", "error", "error", "warn", "info", "info", "debug"];

/** Settings that need no counterpart. */
const BY_ITSELF = new Set(
  [
    "fork children udp_workers tcp_workers tcp_children workers auto_scaling_profile log_stderror log_stderr stderror_enabled syslog_enabled log_facility",
    "memdbg memlog mem-timer auto_aliases dns dns_try_ipv6 dns_try_naptr rev_dns dns_use_search_list use_dns_cache dns_cache_init check_via disable_core_dump",
    "mpath mhomed user group uid gid wdir chroot pidfile xlog_level xlog_buf_size debug_mode disable_tcp disable_tls enable_tls server_signature",
    "log_name log_prefix log_engine_type syslog_facility max_while_loops sip_warning udp_mtu_try_proto listen_backlog tcp_async tcp_threshold",
  ]
    .join(" ")
    .split(" "),
);

/** Takes over what stands outside of modules: sockets, names, log, connections. */
export function importSettings(cfg: CfgFile, config: NewConfig, findings: Findings): void {
  const ports = cfg.settings.filter(({ name }) => name === "port").map(({ text }) => Number(text));
  for (const setting of cfg.settings) importSetting(setting, ports[0], config, findings);
  importHttpd(cfg, config, findings);
  if (config.get("sip.listen") === undefined && cfg.flavor === "kamailio" && cfg.blocks.length > 0)
    findings.add(0, "todo", "no listen: Kamailio takes UDP and TCP on all addresses, Headroom UDP alone unless sip.listen says more");
}

function importSetting(setting: Setting, port: number | undefined, config: NewConfig, findings: Findings): void {
  const { name, text, line } = setting;
  const value = setting.words[0] ?? "";
  const number = /^-?\d{1,12}$/.test(text) ? Number(text) : undefined;
  const take = (path: string, to: string | number, note?: string): void => {
    config.set(path, to, line);
    findings.add(line, note === undefined ? "taken" : "changed", `${name} is ${path}${note === undefined ? "" : `: ${note}`}`);
  };
  if (name === "listen" || name === "socket") importSocket(setting, port, config, findings);
  else if (name === "port") findings.add(line, "taken", "port is part of sip.listen");
  else if (name === "advertised_address") take("sip.advertised_address", value);
  else if (name === "advertised_port" && number !== undefined) {
    const address = config.get("sip.advertised_address");
    if (typeof address === "string") take("sip.advertised_address", `${address}:${number}`);
    else findings.add(line, "todo", "advertised_port belongs into sip.advertised_address, behind the address");
  } else if (name === "server_header") take("sip.server_header", text.replace(/^Server:\s*/i, ""));
  else if ((name === "log_level" || name === "debug") && number !== undefined) take("log.level", levelOf(number));
  else if (name === "tcp_max_connections" && number !== undefined && number > 0) take("sip.connections.max", number);
  else if (name === "tcp_connection_lifetime" && number !== undefined) take("sip.connections.idle_timeout", Math.max(10, number));
  else if (name === "tcp_connect_timeout" && number !== undefined) {
    const seconds = number >= 100 ? number / 1000 : number;
    take("sip.connections.connect_timeout", Math.max(0.1, seconds), "in seconds; to be less than tm.fr_timeout");
  } else if (name === "alias" || name === "domain")
    findings.add(line, "left", `${name}: the default route takes calls for every host; match.ruri_host of a rule names some`);
  else if (name === "dns_servers_no" || name === "dns_retr_time") findings.add(line, "proxy", `${name}: bounds of name servers are fixed`);
  else if (BY_ITSELF.has(name)) findings.add(line, "proxy", `${name}: Headroom needs no such setting`);
  else findings.add(line, "left", `${name} has no counterpart`);
}

function levelOf(level: number): string {
  return LEVELS[Math.min(LEVELS.length - 1, Math.max(0, level + 3))] ?? "info";
}

/** `udp:192.0.2.1:5060 as 203.0.113.1:5060`, with words that Headroom has no use for behind it. */
function importSocket({ name, words, line }: Setting, defaultPort: number | undefined, config: NewConfig, findings: Findings): void {
  const socket = words[0] ?? "";
  const [, transport = "udp", host = "", portText] = SOCKET.exec(socket) ?? [];
  if (!TRANSPORTS.has(transport)) {
    findings.add(line, "left", `${name} ${socket}: Headroom listens on ${[...TRANSPORTS].join(", ")}`);
    return;
  }
  const address = host === "*" || host === "any" ? "0.0.0.0" : host;
  if (!IPV4.test(address) && !address.startsWith("[")) {
    findings.add(line, "todo", `${name} ${socket}: "${host}" is a name, sip.listen wants an IP address`);
    return;
  }
  const port =
    portText !== undefined
      ? Number(portText)
      : transport === "udp" || transport === "tcp"
        ? (defaultPort ?? 5060)
        : DEFAULT_PORTS[transport];
  config.push("sip.listen", `${transport}:${address}:${port}`, line);
  findings.add(line, "taken", `${name} ${socket} is in sip.listen`);
  const at = words.findIndex((word) => word.toLowerCase() === "as" || word.toLowerCase() === "advertise");
  const advertised = at === -1 ? undefined : words[at + 1];
  if (advertised === undefined) return;
  const known = config.get("sip.advertised_address");
  if (known === undefined || known === advertised) {
    config.set("sip.advertised_address", advertised, line);
    findings.add(line, "taken", `the address behind "${words[at]}" is sip.advertised_address, for all sockets`);
  } else findings.add(line, "todo", `a second advertised address, ${advertised}: Headroom has one for all sockets`);
}

/** Where the management interface listens. OpenSIPS' httpd takes all addresses when none is named. */
function importHttpd(cfg: CfgFile, config: NewConfig, findings: Findings): void {
  const params = cfg.params.filter(({ module }) => module === "httpd");
  const last = (name: string) => params.findLast((param) => param.name === name);
  const port = last("port");
  const ip = last("ip");
  if (port === undefined && ip === undefined) return;
  const line = (port ?? ip)?.line ?? 0;
  const address = ip?.value ?? "";
  const listen = LOOPBACK.test(address) ? address.replace("localhost", "127.0.0.1") : "127.0.0.1";
  const portNumber = Number(port?.value ?? "8888");
  config.set("mi_http.listen", `${listen}:${portNumber}`, line);
  if (listen !== address)
    findings.add(
      line,
      "todo",
      `mi_http.listen is ${listen}:${portNumber}, for this machine alone: another address needs mi_http.auth.bearer_tokens`,
    );
}
