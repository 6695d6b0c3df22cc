import type { Fate } from "./findings.ts";

/**
 * What becomes of one parameter. `to` is the key that it goes to, `read` the form of its value there (a text when not given) and `note` what differs.
 * Without `to`, `note` says why there is none and `fate` what it means.
 */
export interface ParamRule {
  readonly to?: string;
  readonly read?:
    | "number"
    | "milliseconds"
    | "flag"
    | "method"
    | "database"
    | "persistence"
    | "in a domain"
    | "redis"
    | "list"
    | "pushed"
    | "reply codes"
    | "text";
  readonly note?: string;
  readonly fate?: Fate;
}

/** Parameters by module and name. */
export type ParamRules = Readonly<Record<string, Readonly<Record<string, ParamRule>>>>;

const OWN_COUNTING: ParamRule = { fate: "proxy", note: "calls are counted by the proxy itself, no profile is to be named" };
const NO_DIALOG_TABLE: ParamRule = {
  fate: "proxy",
  note: "calls are kept in a file of its own (dialog.persistence), in no table of OpenSIPS",
};
const ALWAYS: ParamRule = { fate: "proxy", note: "Headroom has only one way, which needs no setting" };

const OTHER_TABLE: ParamRule = {
  fate: "todo",
  note: "the table has another form: make the view of docs/from-opensips.md, and name it in dispatcher.table_name beside dispatcher.db_url",
};
const SCRIPT_LIST: ParamRule = { note: "route modules have call.ds.destination and call.ds.list" };

/** Parameters of tls modules, whose names are alike. */
const TLS: Readonly<Record<string, ParamRule>> = {
  certificate: { to: "sip.tls.certificate", read: "in a domain" },
  private_key: { to: "sip.tls.private_key", read: "in a domain" },
  ca_list: { to: "sip.tls.ca", read: "in a domain" },
  ca_dir: { fate: "todo", note: "write the authorities into one file and name it in sip.tls.ca" },
  server_domain: { fate: "todo", note: "certificates for several names stand in sip.tls.sni" },
  client_domain: { note: "there is one certificate for connections to destinations, sip.tls.certificate" },
  tls_method: { fate: "proxy", note: "TLS 1.2 and 1.3 are spoken" },
};

/** OpenSIPS' parameters. Times are in seconds there, too, unless the form says otherwise. */
export const OPENSIPS_PARAMS: ParamRules = {
  load_balancer: {
    db_url: { to: "load_balancer.db_url", read: "database" },
    db_table: { to: "load_balancer.db_table" },
    probing_interval: { to: "load_balancer.probing_interval", read: "number" },
    probing_method: { to: "load_balancer.probing_method", read: "method" },
    probing_from: { to: "load_balancer.probing_from" },
    probing_reply_codes: { to: "load_balancer.probing_reply_codes" },
    probing_verbose: { to: "load_balancer.probing_verbose", read: "flag" },
    lb_define_blacklist: { to: "load_balancer.lb_define_blacklist", read: "list" },
    fetch_freeswitch_stats: { to: "load_balancer.fetch_freeswitch_stats", read: "flag" },
    fetch_freeswitch_load: { to: "load_balancer.fetch_freeswitch_stats", read: "flag" },
    initial_freeswitch_load: { to: "load_balancer.initial_freeswitch_load", read: "number" },
    cluster_id: { to: "load_balancer.cluster_id", read: "number" },
    cluster_sharing_tag: { to: "load_balancer.cluster_sharing_tag" },
  },
  dialog: {
    default_timeout: { to: "dialog.default_timeout", read: "number", note: "a call that lasts longer is hung up, not only forgotten" },
    options_ping_interval: { to: "dialog.options_ping_interval", read: "number" },
    ping_interval: { to: "dialog.options_ping_interval", read: "number" },
    reinvite_ping_interval: { to: "dialog.reinvite_ping_interval", read: "number" },
    race_condition_timeout: { to: "dialog.race_condition_timeout", read: "number" },
    db_mode: { to: "dialog.persistence", read: "persistence" },
    db_url: NO_DIALOG_TABLE,
    db_update_period: NO_DIALOG_TABLE,
    dialog_table: NO_DIALOG_TABLE,
    table_name: NO_DIALOG_TABLE,
    profiles_with_value: OWN_COUNTING,
    profiles_no_value: OWN_COUNTING,
    dlg_match_mode: ALWAYS,
    rr_param: ALWAYS,
    enable_stats: ALWAYS,
    hash_size: ALWAYS,
    log_profile_hash_size: ALWAYS,
    db_flush_vals_profiles: ALWAYS,
    dlg_flag: { fate: "proxy", note: "every call is followed" },
    timeout_avp: { note: "there is one timeout for all calls, dialog.default_timeout" },
    cachedb_url: {
      to: "cluster.redis_url",
      read: "redis",
      note: "nodes share all of their state there: set cluster.load_sharing for loads",
    },
    profile_replication_cluster: {
      fate: "todo",
      note: "loads of nodes are shared over Redis: set cluster.redis_url and cluster.load_sharing",
    },
    dialog_replication_cluster: { fate: "todo", note: "calls of nodes are shared over Redis: set cluster.redis_url" },
    pinging_cluster_id: { fate: "proxy", note: "the node that has a call pings it" },
    pinging_sharing_tag: { fate: "proxy", note: "the node that has a call pings it" },
  },
  freeswitch: {
    event_heartbeat_interval: { to: "freeswitch.event_heartbeat_interval", read: "number" },
    esl_connect_timeout: { to: "freeswitch.esl_connect_timeout", read: "number" },
    esl_cmd_timeout: { to: "freeswitch.esl_cmd_timeout", read: "number" },
    esl_cmd_polling_itv: { fate: "proxy", note: "answers are not polled for" },
  },
  clusterer: {
    my_node_id: { to: "cluster.node_id", read: "number" },
    current_id: { to: "cluster.node_id", read: "number" },
    sharing_tag: { to: "cluster.sharing_tags", read: "pushed" },
    my_node_info: { fate: "todo", note: "nodes find each other in Redis: set cluster.redis_url" },
    neighbor_node_info: { fate: "todo", note: "nodes find each other in Redis: set cluster.redis_url" },
    db_mode: { fate: "todo", note: "nodes find each other in Redis: set cluster.redis_url" },
    db_url: { fate: "todo", note: "nodes find each other in Redis: set cluster.redis_url" },
    ping_interval: ALWAYS,
    ping_timeout: ALWAYS,
    node_timeout: ALWAYS,
    seed_fallback_interval: ALWAYS,
  },
  tm: {
    fr_timeout: { to: "tm.fr_timeout", read: "number" },
    fr_timer: { to: "tm.fr_timeout", read: "number" },
    fr_inv_timeout: { to: "tm.fr_inv_timeout", read: "number" },
    fr_inv_timer: { to: "tm.fr_inv_timeout", read: "number" },
    restart_fr_on_each_reply: { fate: "proxy", note: "each provisional response but 100 begins Timer C anew (RFC 3261 §16.7)" },
    onreply_avp_mode: { note: "route modules have call.vars" },
    T1_timer: { note: "timers are those of RFC 3261" },
    T2_timer: { note: "timers are those of RFC 3261" },
    wt_timer: { note: "timers are those of RFC 3261" },
    delete_timer: { note: "timers are those of RFC 3261" },
    auto_100trying: ALWAYS,
    own_timer_proc: ALWAYS,
    timer_partitions: ALWAYS,
  },
  mi_http: {
    root: { to: "mi_http.root" },
    mi_http_root: { to: "mi_http.root" },
    pretty_printing: ALWAYS,
    trace_destination: { note: "it is not traced" },
  },
  mi_json: { mi_json_root: { fate: "todo", note: "the management interface speaks JSON-RPC 2.0 at mi_http.root" } },
  httpd: {
    // Address and port make one key: see importHttpd.
    ip: { fate: "taken", note: "see mi_http.listen" },
    port: { fate: "taken", note: "see mi_http.listen" },
    socket: { fate: "todo", note: "the management interface needs an address: mi_http.listen" },
    buf_size: ALWAYS,
    post_buf_size: ALWAYS,
  },
  mi_fifo: { fifo_name: { fate: "todo", note: "tools use HTTP: opensips-cli with communication_type=http, url=http://127.0.0.1:8888/mi" } },
  mi_datagram: {
    socket_name: { fate: "todo", note: "tools use HTTP: opensips-cli with communication_type=http, url=http://127.0.0.1:8888/mi" },
  },
  tls_mgm: {
    ...TLS,
    ca_file: { to: "sip.tls.ca", read: "in a domain" },
    verify_cert: { to: "sip.tls.verify_server", read: "flag", note: "concerns connections that Headroom opens" },
    require_cert: { to: "sip.tls.verify_client", read: "flag", note: "a client without a good certificate is refused" },
  },
  proto_tls: { tls_handshake_timeout: { note: "sip.connections.connect_timeout and first_message_timeout bound it" } },
  proto_tcp: {
    tcp_send_timeout: { note: "sip.connections.message_timeout bounds it, in seconds" },
    tcp_port: { fate: "todo", note: "name the port in sip.listen" },
    tcp_async: ALWAYS,
    tcp_crlf_pingpong: ALWAYS,
    tcp_crlf_drop: ALWAYS,
  },
  proto_udp: { udp_port: { fate: "todo", note: "name the port in sip.listen" } },
  proto_ws: { ws_port: { fate: "todo", note: "name the port in sip.listen" } },
  proto_wss: { wss_port: { fate: "todo", note: "name the port in sip.listen" } },
  pike: {
    sampling_time_unit: { to: "overload.sampling_time_unit", read: "number" },
    reqs_density_per_unit: {
      to: "overload.reqs_density_per_unit",
      read: "number",
      note: "holds for all requests of a source, not only where a script asks",
    },
    remove_latency: { to: "overload.remove_latency", read: "number" },
    check_route: { note: "the limit holds for all requests; addresses in overload.exempt are spared" },
    pike_log_level: ALWAYS,
  },
  cachedb_redis: { cachedb_url: { to: "cluster.redis_url", read: "redis", note: "nodes share all of their state there" } },
  dispatcher: {
    db_url: OTHER_TABLE,
    table_name: OTHER_TABLE,
    partition: { fate: "todo", note: "there is one partition: give its sets numbers of their own" },
    ...Object.fromEntries(
      ["setid_col", "destination_col", "state_col", "weight_col", "priority_col", "attrs_col", "socket_col"].map((name) => [
        name,
        OTHER_TABLE,
      ]),
    ),
    ...Object.fromEntries(["attrs_avp", "dst_avp", "grp_avp", "cnt_avp", "sock_avp", "setid_pvar"].map((name) => [name, SCRIPT_LIST])),
    options_reply_codes: { to: "dispatcher.ds_ping_reply_codes", read: "reply codes", note: "all of 2xx count besides" },
    ds_probing_sock: { to: "dispatcher.ds_default_socket", note: "calls leave from there, too" },
    ds_define_blacklist: { note: "lists are over rows of the balancer: load_balancer.lb_define_blacklist" },
    persistent_state: { fate: "proxy", note: "what an operator sets survives a restart" },
    cluster_id: { fate: "todo", note: "nodes share over Redis: set cluster.redis_url" },
    cluster_sharing_tag: { fate: "todo", note: "nodes share over Redis: set cluster.redis_url" },
    fetch_freeswitch_stats: { note: "capacities from FreeSWITCH are for the balancer, whose resources bound a set: resources of a rule" },
    max_freeswitch_weight: { note: "capacities from FreeSWITCH are for the balancer, whose resources bound a set: resources of a rule" },
    ds_ping_maxfwd: { note: "probes have sip.max_forwards" },
    ds_probing_list: { note: "flag 32 of a destination keeps probes away from it" },
    pvar_algo_pattern: { note: "algorithm 9 has no counterpart" },
    ds_ping_method: { to: "dispatcher.ds_ping_method", read: "method" },
    ds_ping_from: { to: "dispatcher.ds_ping_from" },
    ds_ping_interval: { to: "dispatcher.ds_ping_interval", read: "number" },
    ds_probing_mode: { to: "dispatcher.ds_probing_mode", read: "number" },
    ds_probing_threshhold: { to: "dispatcher.ds_probing_threshold", read: "number" },
    ds_probing_threshold: { to: "dispatcher.ds_probing_threshold", read: "number" },
    hash_pvar: { to: "dispatcher.hash_pvar" },
  },
  rr: { enable_full_lr: ALWAYS, append_fromtag: ALWAYS, enable_double_rr: ALWAYS, add_username: ALWAYS },
  maxfwd: { max_limit: { note: "sip.max_forwards is what a request without Max-Forwards gets" } },
  signaling: {},
  sl: {},
};
