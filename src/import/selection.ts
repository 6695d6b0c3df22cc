import type { Findings } from "./findings.ts";
import type { Value } from "./new-config.ts";
import type { Call, Flavor } from "./tree.ts";
import { wholeNumber } from "./words.ts";

/** A selection as keys of a rule. */
export interface Selection {
  readonly rule: { readonly [key: string]: Value };
}

const BALANCER = new Set(["lb_start", "lb_start_or_next", "load_balance"]);
const DISPATCHER = new Set(["ds_select_dst", "ds_select_domain", "ds_select_routes"]);
/** What the numbers of OpenSIPS' dispatcher are here: it has others than Kamailio. */
const OPENSIPS_ALGORITHMS: Readonly<Record<number, string>> = { 0: "0", 1: "1", 2: "2", 3: "3", 4: "11", 5: "5", 6: "6", 7: "7", 8: "8" };

/** Whether a call selects a destination. */
export function isSelection({ name }: Call): boolean {
  return BALANCER.has(name) || DISPATCHER.has(name);
}

/** The keys of a rule that selects as a call does; undefined when its arguments are not known before a call comes. */
export function selectionOf(call: Call, flavor: Flavor, findings: Findings): Selection | undefined {
  return BALANCER.has(call.name) ? balanced(call, findings) : dispatched(call, flavor, findings);
}

function balanced({ name, args, line }: Call, findings: Findings): Selection | undefined {
  const group = wholeNumber(args[0]);
  const resources = args[1] ?? "";
  if (group === undefined || resources.includes("$")) {
    findings.add(line, "left", `${name}(${args.join(", ")}): group and resources depend on the call, which needs a route module`);
    return undefined;
  }
  // Old versions have numbers and words in place of letters.
  const flags = [...new Set((args[2] ?? "").replace(/[^nrs]/g, ""))].join("");
  if (args[3] !== undefined && args[3] !== "")
    findings.add(line, "left", `${name}: the attributes go to no variable; route modules have call.lb.attrs`);
  return {
    rule: {
      group,
      resources: resources
        .split(/[;,]/)
        .map((part) => part.trim())
        .filter(Boolean)
        .join(";"),
      flags,
    },
  };
}

function dispatched({ name, args, line }: Call, flavor: Flavor, findings: Findings): Selection | undefined {
  if (name === "ds_select_routes") {
    const routes = args[0] ?? "";
    if (!/^\d+=\d+(?:;\d+=\d+)*;?$/.test(routes)) return unknownSet();
    const limit = wholeNumber(args[2]);
    return { rule: { dispatch: { routes: routes.replace(/;$/, ""), ...(args[1] === "r" && { domain: true }), ...(limit && { limit }) } } };
  }
  const set = wholeNumber(args[0]);
  const number = wholeNumber(args[1]);
  if (set === undefined || number === undefined) return unknownSet();
  const algorithm = flavor === "kamailio" ? String(number) : OPENSIPS_ALGORITHMS[number];
  if (algorithm === undefined) {
    findings.add(line, "left", `${name}(${args.join(", ")}): algorithm ${number} of OpenSIPS has no counterpart`);
    return undefined;
  }
  if (flavor === "opensips") findings.add(line, "changed", `${name}: algorithm ${number} of OpenSIPS is ${algorithm} here`);
  // OpenSIPS has flags there, which say what is the default here.
  const limit = wholeNumber(args[flavor === "kamailio" ? 2 : 4]);
  return {
    rule: {
      dispatch: {
        set,
        algorithm,
        ...(limit !== undefined && limit > 0 && { limit }),
        ...(name === "ds_select_domain" && { domain: true }),
      },
    },
  };

  function unknownSet(): undefined {
    findings.add(line, "left", `${name}(${args.join(", ")}): sets and algorithm depend on the call, which needs a route module`);
    return undefined;
  }
}
