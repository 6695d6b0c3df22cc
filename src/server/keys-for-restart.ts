import type { Config } from "../config/index.ts";

const SECTIONS = [
  "sip",
  "tm",
  "load_balancer",
  "dialog",
  "mi_http",
  "health",
  "events",
  "explain",
  "registrar",
  "freeswitch",
  "cluster",
  "tracing",
] as const;

/** Keys of the configuration whose new values need another start. `routing`, the blacklists that it uses, `distributor` and `log.level` take effect at once. */
export function keysForRestart(running: Config, next: Config): string[] {
  const changed: string[] = [];
  for (const section of SECTIONS) {
    const before: Record<string, unknown> = running[section];
    const after: Record<string, unknown> = next[section];
    for (const key of Object.keys(after)) if (JSON.stringify(before[key]) !== JSON.stringify(after[key])) changed.push(`${section}.${key}`);
  }
  return changed.filter((key) => key !== "load_balancer.lb_define_blacklist");
}
