import type { ParamRule, ParamRules } from "./params-opensips.ts";

const ALWAYS: ParamRule = { fate: "proxy", note: "Headroom has only one way, which needs no setting" };
const SCRIPT_LIST: ParamRule = { note: "route modules have call.ds.list and call.ds.destination" };
const COLUMN: ParamRule = {
  fate: "todo",
  note: "columns have their usual names: make a view with those, and name it in dispatcher.table_name",
};
const COUNT_TIMES: ParamRule = { fate: "proxy", note: "the count of a call ends with its dialog" };
const NAMES: ParamRule = { fate: "proxy", note: "names lead where RFC 3263 says, for their time to live" };

const SAME_NUMBERS = [
  "ds_load_mode",
  "ds_attrs_none",
  "flags",
  "use_default",
  "force_dst",
  "ds_ping_interval",
  "ds_probing_mode",
  "ds_probing_threshold",
  "ds_inactive_threshold",
  "ds_ping_latency_stats",
  "ds_latency_estimator_alpha",
  "event_callback_mode",
];
const SAME_TEXTS = ["list_file", "table_name", "ds_db_extra_attrs", "hash_pvar", "ds_ping_from", "ds_ping_reply_codes", "outbound_proxy"];

function same(names: readonly string[], read: "number" | "text"): [string, ParamRule][] {
  return names.map((name) => [name, { to: `dispatcher.${name}`, read }]);
}

function all(names: readonly string[], rule: ParamRule): [string, ParamRule][] {
  return names.map((name) => [name, rule]);
}

/** Kamailio's parameters. */
export const KAMAILIO_PARAMS: ParamRules = {
  dispatcher: {
    ...Object.fromEntries([...same(SAME_NUMBERS, "number"), ...same(SAME_TEXTS, "text")]),
    ...Object.fromEntries(all(["setid_col", "destination_col", "flags_col", "priority_col", "attrs_col"], COLUMN)),
    ...Object.fromEntries(all(["ds_hash_size", "ds_hash_expire", "ds_hash_initexpire", "ds_hash_check_interval"], COUNT_TIMES)),
    ...Object.fromEntries(all(["ds_dns_mode", "ds_dns_interval", "ds_dns_ttl", "ds_dns_match_all"], NAMES)),
    ...Object.fromEntries(
      all(
        ["xavp_dst", "xavp_dst_mode", "xavp_ctx", "xavp_ctx_mode", "dst_avp", "grp_avp", "cnt_avp", "dstid_avp", "attrs_avp", "sock_avp"],
        SCRIPT_LIST,
      ),
    ),
    db_url: { to: "dispatcher.db_url", read: "database" },
    ds_ping_method: { to: "dispatcher.ds_ping_method", read: "method" },
    ds_default_socket: { to: "dispatcher.ds_default_socket" },
    ds_default_sockname: { fate: "todo", note: "listeners have no names: write the address into dispatcher.ds_default_socket" },
    ds_ping_fr_timeout: { fate: "proxy", note: "probes wait for tm.fr_timeout" },
    ds_ping_fr_timer: { fate: "proxy", note: "probes wait for tm.fr_timeout" },
    ds_retain_latency_stats: { fate: "proxy", note: "latencies outlive a reload" },
    ds_timer_mode: ALWAYS,
    reload_delta: ALWAYS,
    event_callback: { note: "events go out by server-sent events and webhooks" },
    setid_pvname: { note: "route modules have call.ds.isFromList().set" },
    attrs_pvname: { note: "route modules have call.ds.isFromList().attrs" },
  },
  tm: {
    fr_timer: { to: "tm.fr_timeout", read: "milliseconds", note: "in seconds" },
    fr_inv_timer: { to: "tm.fr_inv_timeout", read: "milliseconds", note: "in seconds" },
    failure_reply_mode: { fate: "proxy", note: "the caller gets the best response of all attempts" },
    restart_fr_on_each_reply: { fate: "proxy", note: "each provisional response but 100 begins Timer C anew (RFC 3261 §16.7)" },
    max_inv_lifetime: { note: "tm.fr_inv_timeout bounds how long it rings" },
    auto_inv_100: ALWAYS,
  },
  dialog: {
    default_timeout: { to: "dialog.default_timeout", read: "number", note: "a call that lasts longer is hung up, not only forgotten" },
    db_mode: { to: "dialog.persistence", read: "persistence" },
    db_url: { fate: "proxy", note: "calls are kept in a file of its own (dialog.persistence)" },
    dlg_flag: { fate: "proxy", note: "every call is followed" },
    ka_interval: { to: "dialog.options_ping_interval", read: "number", note: "a rule asks for pings by dialog_flags" },
  },
  pike: {
    sampling_time_unit: { to: "overload.sampling_time_unit", read: "number" },
    reqs_density_per_unit: {
      to: "overload.reqs_density_per_unit",
      read: "number",
      note: "holds for all requests of a source, not only where a script asks",
    },
    remove_latency: { to: "overload.remove_latency", read: "number" },
  },
  tls: {
    certificate: { to: "sip.tls.certificate" },
    private_key: { to: "sip.tls.private_key" },
    ca_list: { to: "sip.tls.ca" },
    verify_certificate: { to: "sip.tls.verify_server", read: "flag", note: "concerns connections that Headroom opens" },
    require_certificate: { to: "sip.tls.verify_client", read: "flag", note: "a client without a good certificate is refused" },
    config: { fate: "todo", note: "write certificates into sip.tls" },
    tls_method: { fate: "proxy", note: "TLS 1.2 and 1.3 are spoken" },
  },
  rr: { enable_full_lr: ALWAYS, append_fromtag: ALWAYS, enable_double_rr: ALWAYS },
  ctl: { binrpc: { fate: "todo", note: "commands go by HTTP to /RPC, or with headroom ds" } },
  jsonrpcs: {
    pretty_format: ALWAYS,
    fifo_name: { fate: "todo", note: "commands go by HTTP to /RPC, or with headroom ds" },
    dgram_socket: { fate: "todo", note: "commands go by HTTP to /RPC, or with headroom ds" },
    transport: { fate: "proxy", note: "commands go by HTTP" },
  },
  sl: {},
};
