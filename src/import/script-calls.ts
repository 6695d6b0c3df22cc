import { FINAL_REPLY, RELAY } from "./initial-invite.ts";
import { BY_PROXY } from "./known-calls.ts";
import type { ScriptValues } from "./script-values.ts";
import { failuresLike } from "./status-sets.ts";
import type { Call, Flavor } from "./tree.ts";

/** The level of a line of the log, by the beginning of its name there. */
const LEVELS: readonly (readonly [name: RegExp, member: string])[] = [
  [/^(?:L_)?(?:ERR|CRIT|ALERT)|^xerr|^xalert/, "error"],
  [/^(?:L_)?WARN|^xwarn/, "warn"],
  [/^(?:L_)?DBG|^xdbg/, "debug"],
];
/** Algorithms of OpenSIPS' dispatcher that mean the same here under the number behind them. */
const OPENSIPS_ALGORITHMS: Readonly<Record<string, number>> = { 0: 0, 1: 1, 2: 2, 3: 3, 4: 11, 5: 5, 6: 6, 7: 7, 8: 8 };

/** Calls of a script that are an expression of the module: true where the script goes on as after success. */
export class ScriptCalls {
  readonly #values: ScriptValues;
  readonly #flavor: Flavor;

  constructor(values: ScriptValues, flavor: Flavor) {
    this.#values = values;
    this.#flavor = flavor;
  }

  /** A call that answers something. @returns undefined for one that has no counterpart */
  condition({ name, args }: Call): string | undefined {
    const values = this.#values;
    switch (name) {
      case "lb_start":
      case "lb_start_or_next":
      case "load_balance":
        return this.#started(name, args);
      case "lb_next":
        return "call.lb.next()";
      case "lb_reset":
        return "call.lb.reset()";
      case "lb_is_started":
        return "call.lb.isStarted()";
      case "lb_disable_dst":
      case "lb_disable":
        return "call.lb.disableDst()";
      case "lb_is_destination": {
        const found = this.#address(args);
        return found && `call.lb.isDestination(${found}) !== undefined`;
      }
      case "lb_count_call": {
        const [ip, port, group, resources] = [
          values.asText(args[0] ?? ""),
          values.asNumber(args[1]),
          values.asNumber(args[2] ?? "-1"),
          args[3],
        ];
        const named = resources === undefined ? undefined : values.asText(resources);
        if (ip === undefined || port === undefined || group === undefined || named === undefined) return undefined;
        return `call.lb.countCall(${ip}, ${port}, ${group}, ${named}${/^[1-9]/.test(args[4] ?? "") ? ", true" : ""})`;
      }
      case "ds_select_dst":
      case "ds_select_domain":
        return this.#dispatched(name, args);
      case "ds_select_routes": {
        const [routes, mode, limit] = [values.asText(args[0] ?? ""), args[1] ?? "", args[2]];
        if (routes === undefined || !/^[drx]?$/.test(mode)) return undefined;
        return `call.ds.selectRoutes(${routes}, ${JSON.stringify(mode || "d")}${/^[1-9]\d{0,4}$/.test(limit ?? "") ? `, { limit: ${limit} }` : ""})`;
      }
      case "ds_is_in_list":
        return this.#inList(args);
      case "ds_next_dst":
        return "call.ds.nextDst()";
      case "ds_next_domain":
        return "call.ds.nextDomain()";
      case "ds_mark_dst": {
        const state = (args[0] ?? "").toLowerCase();
        return state === "" || /^(?:[ait]p?|d)$/.test(state) ? `call.ds.markDst(${state === "" ? "" : JSON.stringify(state)})` : undefined;
      }
      case "ds_is_from_list": {
        const set = args[0] === undefined ? "" : values.asNumber(args[0]);
        return set === undefined ? undefined : `call.ds.isFromList(${set}) !== undefined`;
      }
      case "is_method":
        return /^[A-Z|\s]+$/.test(args[0] ?? "")
          ? `${JSON.stringify((args[0] ?? "").split("|").map((method) => method.trim()))}.includes(call.method)`
          : undefined;
      case "is_present_hf": {
        const header = values.asText(args[0] ?? "");
        return header && `call.header(${header}) !== undefined`;
      }
      case "t_check_status":
        return this.#status(args[0] ?? "");
      case "t_local_replied":
        return 'call.failureCause !== "response"';
      case "t_branch_timeout":
      case "t_any_timeout":
        return 'call.failureCause === "timeout"';
      case "t_was_cancelled":
      case "t_is_canceled":
        return "call.cancelled";
      default:
        if (RELAY.has(name)) return args.length > 0 && /[:$]/.test(args.join()) ? undefined : "call.relay()";
        return undefined;
    }
  }

  /** A call that is a statement. @returns its lines; none for what the proxy does; undefined for one that has no counterpart */
  statement(call: Call): readonly string[] | undefined {
    const { name, args } = call;
    const values = this.#values;
    const text = (at: number) => (args[at] === undefined ? undefined : values.asText(args[at]));
    const [first] = args;
    if (FINAL_REPLY.has(name)) {
      const status = values.asNumber(args[0]);
      return status === undefined ? undefined : [`call.reply(${[status, text(1)].filter((part) => part !== undefined).join(", ")});`];
    }
    switch (name) {
      case "sl_reply_error":
        return ["call.reply(500);"];
      case "append_hf":
      case "insert_hf": {
        const [, header, value] = /^([A-Za-z0-9!%*_+`'~.-]+)\s*:\s*(.*?)(?:\r?\n)?$/s.exec(first ?? "") ?? [];
        const shown = value === undefined ? undefined : values.asText(value);
        return header === undefined || shown === undefined ? undefined : [`call.addHeader(${JSON.stringify(header)}, ${shown});`];
      }
      case "remove_hf":
        if (first === "Route") return [];
        return /^[A-Za-z0-9!%*_+`'~.-]+$/.test(first ?? "") ? [`call.removeHeader(${JSON.stringify(first)});`] : undefined;
      case "prefix": {
        const front = text(0);
        return front === undefined ? undefined : [`call.ruriUser = ${front} + call.ruriUser;`];
      }
      case "strip":
      case "strip_tail": {
        const count = values.asNumber(first);
        if (count === undefined) return undefined;
        return [`call.ruriUser = call.ruriUser.slice(${name === "strip" ? count : `0, Math.max(0, call.ruriUser.length - ${count})`});`];
      }
      case "setuser":
      case "rewriteuser":
        return this.#set("call.ruriUser", text(0));
      case "seturi":
      case "rewriteuri":
        return this.#set("call.requestUri", text(0));
      case "setdsturi":
        return this.#set("call.destinationUri", text(0));
      case "resetdsturi":
        return ["call.destinationUri = undefined;"];
      case "sethost":
      case "rewritehost":
      case "sethostport":
      case "rewritehostport": {
        const host = text(0);
        if (host === undefined) return undefined;
        values.helpers.add("withHost");
        return [`call.requestUri = withHost(call.requestUri, ${host});`];
      }
      case "create_dialog":
      case "dlg_flags":
        return /^[A-Za-z, -]*$/.test(first ?? "") ? [`call.createDialog(${first === undefined ? "" : JSON.stringify(first)});`] : undefined;
      case "use_blacklist": {
        const list = text(0);
        return list === undefined ? undefined : [`call.useBlacklist(${list});`];
      }
      case "setflag":
      case "resetflag":
        return [
          `call.vars.${name === "setflag" ? "set" : "delete"}(${JSON.stringify(`flag(${first ?? ""})`)}${name === "setflag" ? ", true" : ""});`,
        ];
      default:
        return /^x?log$|^x(?:dbg|info|notice|warn|err|alert)$/.test(name) ? this.#logged(call) : this.#other(call);
    }
  }

  #other(call: Call): readonly string[] | undefined {
    const condition = this.condition(call);
    if (condition !== undefined) return [`${condition};`];
    return Object.hasOwn(BY_PROXY, call.name) ? [] : undefined;
  }

  #set(member: string, value: string | undefined): readonly string[] | undefined {
    return value === undefined ? undefined : [`${member} = ${value};`];
  }

  #started(name: string, args: readonly string[]): string | undefined {
    const group = this.#values.asNumber(args[0]);
    const resources = this.#values.asText(args[1] ?? "");
    if (group === undefined || resources === undefined) return undefined;
    const flags = args[2]?.includes("$")
      ? this.#values.asText(args[2])
      : JSON.stringify([...new Set((args[2] ?? "").replace(/[^nrs]/g, ""))].join(""));
    const member = { lb_start: "start", lb_start_or_next: "startOrNext" }[name] ?? "loadBalance";
    return flags === undefined ? undefined : `call.lb.${member}(${group}, ${resources}${flags === '""' ? "" : `, ${flags}`})`;
  }

  #address(args: readonly string[]): string | undefined {
    const parts = [this.#values.asText(args[0] ?? ""), this.#values.asNumber(args[1] ?? "0")];
    if (args[2] !== undefined && args[2] !== "") parts.push(this.#values.asNumber(args[2]));
    else if (args[3] !== undefined) parts.push("-1");
    if (args[3] !== undefined && args[3] !== "") parts.push(/^[1-9]/.test(args[3]) ? "true" : "false");
    return parts.includes(undefined) ? undefined : parts.join(", ");
  }

  /** Whether an address is that of a destination: bit 1 of the mode ignores the port, 2 the transport, 4 wants it active. */
  #inList([ip = "", port = "0", set = "", , active = ""]: readonly string[]): string | undefined {
    const [host, portNumber, group] = [this.#values.asText(ip), this.#values.asText(port), this.#values.asNumber(set === "" ? "-1" : set)];
    if (host === undefined || portNumber === undefined || group === undefined) return undefined;
    const mode = 2 + (port === "0" ? 1 : 0) + (/^[1-9]/.test(active) ? 4 : 0);
    return `call.ds.isFromList(${group}, ${mode}, "sip:" + ${host}${port === "0" ? "" : ` + ":" + ${portNumber}`}) !== undefined`;
  }

  #dispatched(name: string, args: readonly string[]): string | undefined {
    const set = this.#values.asNumber(args[0]);
    const number = this.#flavor === "kamailio" ? args[1] : OPENSIPS_ALGORITHMS[args[1] ?? ""];
    const algorithm = number === undefined ? undefined : this.#values.asNumber(String(number));
    // OpenSIPS has flags there, which say what is the default here.
    const limit = this.#flavor === "kamailio" ? args[2] : args[4];
    if (set === undefined || algorithm === undefined) return undefined;
    const options = limit !== undefined && /^[1-9]\d{0,4}$/.test(limit) ? `, { limit: ${limit} }` : "";
    return `call.ds.${name === "ds_select_dst" ? "selectDst" : "selectDomain"}(${set}, ${algorithm}${options})`;
  }

  /** An expression that is to be found in the code, where `statusIs` wants it to be the whole code. */
  #status(pattern: string): string | undefined {
    const found = failuresLike(pattern);
    if (found === undefined) return undefined;
    const whole = failuresLike(`^(${pattern})$`);
    if (whole !== undefined && whole.size === found.size) return `call.statusIs(${JSON.stringify(pattern)})`;
    this.#values.helpers.add("matches");
    return `matches(String(call.status), ${new RegExp(pattern)})`;
  }

  #logged({ name, args }: Call): readonly string[] | undefined {
    const hasLevel = args.length > 1;
    const level = LEVELS.find(([pattern]) => pattern.test(hasLevel ? (args[0] ?? "") : name))?.[1] ?? "info";
    const message = this.#values.asText((args[hasLevel ? 1 : 0] ?? "").trim());
    return message === undefined ? undefined : [`call.log.${level}(${message});`];
  }
}
