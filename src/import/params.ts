import type { Findings } from "./findings.ts";
import { MAX_EXCERPT } from "./limits.ts";
import type { NewConfig, Value } from "./new-config.ts";
import { KAMAILIO_PARAMS } from "./params-kamailio.ts";
import { OPENSIPS_PARAMS, type ParamRule } from "./params-opensips.ts";
import type { CfgFile, ModParam } from "./tree.ts";

/** Databases that Headroom can open, by the beginning of their URL. */
const DATABASES = /^(?:mysql|postgres|sqlite):/;

/** Takes over the parameters of modules, and says of each what became of it. Parameters of modules that Headroom has nothing of are told once a module. */
export function importParams(cfg: CfgFile, config: NewConfig, findings: Findings): void {
  const rules = cfg.flavor === "kamailio" ? KAMAILIO_PARAMS : OPENSIPS_PARAMS;
  const strangers = new Map<string, number[]>();
  for (const param of cfg.params) {
    const rulesOfModule = Object.hasOwn(rules, param.module) ? rules[param.module] : undefined;
    if (rulesOfModule === undefined) strangers.set(param.module, [...(strangers.get(param.module) ?? []), param.line]);
    else importParam(param, Object.hasOwn(rulesOfModule, param.name) ? rulesOfModule[param.name] : undefined, config, findings);
  }
  for (const [module, lines] of strangers)
    findings.add(lines[0] ?? 0, "left", `parameters of module ${module} (${lines.length}): Headroom has no part for it`);
}

function importParam(param: ModParam, rule: ParamRule | undefined, config: NewConfig, findings: Findings): void {
  const name = `${param.module}.${param.name}`;
  if (rule === undefined) {
    findings.add(param.line, "left", `${name} has no counterpart`);
    return;
  }
  if (typeof rule.to !== "string") {
    findings.add(param.line, rule.fate ?? "left", `${name}: ${rule.note}`);
    return;
  }
  const value = rule.read === undefined ? param.value : readAs(rule.read, param.value);
  if (value === undefined) {
    findings.add(param.line, "left", `${name} is "${hideSecrets(param.value)}", which cannot be used for ${rule.to}`);
    return;
  }
  if (rule.read === "list" || rule.read === "pushed") config.push(rule.to, value, param.line);
  else config.set(rule.to, value, param.line);
  findings.add(
    param.line,
    rule.note === undefined ? "taken" : "changed",
    `${name} is ${rule.to}${rule.note === undefined ? "" : `: ${rule.note}`}`,
  );
}

/** The value in the form that the key wants; undefined when it has none. */
function readAs(form: NonNullable<ParamRule["read"]>, text: string): Value | undefined {
  const trimmed = text.trim();
  const number = /^-?\d{1,15}$/.test(trimmed) ? Number(trimmed) : undefined;
  switch (form) {
    case "number":
      return number;
    case "milliseconds":
      return number === undefined ? undefined : Math.max(1, Math.round(number / 1000));
    case "flag":
      return number === undefined ? undefined : number !== 0;
    case "method":
      return trimmed.toUpperCase();
    case "database":
      return DATABASES.test(trimmed) ? trimmed.replace(/^sqlite:\/\/(?=\/)/, "sqlite://") : undefined;
    case "persistence":
      return number === 0 ? "off" : "sqlite";
    case "in a domain":
      // [name]/file/of/that/domain; the part without a name is for all.
      return /^(?:\[[^\]]*\])?(\/?[^[\]]+)$/.exec(trimmed)?.[1];
    case "redis": {
      const found = /^redis(?::[^/]*)?:\/\/(.+?)\/?$/.exec(trimmed)?.[1];
      return found === undefined || found.includes(",") ? undefined : `redis://${found}`;
    }
    case "pushed":
    case "list":
    case "text":
      return trimmed;
  }
}

/** A password in a URL is not repeated in a report. */
function hideSecrets(text: string): string {
  const host = text.lastIndexOf("@"); // passwords have that, too
  const user = text.indexOf("://") + 3;
  const password = text.indexOf(":", user) + 1;
  const hidden = user > 2 && password > 0 && password <= host ? `${text.slice(0, password)}…${text.slice(host)}` : text;
  return hidden.slice(0, MAX_EXCERPT);
}
