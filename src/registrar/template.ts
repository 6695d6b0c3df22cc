import { bracketHost } from "../sip/index.ts";

/** What the placeholders of a template stand for. */
export interface TemplateValues {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

/** The names of the placeholders, as they stand between braces. */
export const PLACEHOLDERS = ["host", "port", "user"] as const;

/** A template such as `pstn=fs://:secret@{host}:8021` with its placeholders filled in; an IPv6 address gets its brackets. Other braces stay. */
export function fillTemplate(template: string, { host, port, user }: TemplateValues): string {
  return template.replace(/\{(host|port|user)\}/g, (_, name: string) =>
    name === "host" ? bracketHost(host) : name === "port" ? String(port) : user,
  );
}

/**
 * The first placeholder of a resource list that stands for nothing, such as `{hots}`. Undefined when there is none. User and password of an address are not
 * looked at, so that nothing of them is shown.
 */
export function unknownPlaceholder(resources: string): string | undefined {
  const open = resources.split(";").map((item) => (item.includes("@") ? item.slice(item.lastIndexOf("@") + 1) : item.split(":", 1)[0]!));
  const names = [...open.join(";").matchAll(/\{([A-Za-z_]{1,32})\}/g)].map(([, name]) => name!);
  const unknown = names.find((name) => !(PLACEHOLDERS as readonly string[]).includes(name));
  return unknown && `{${unknown}}`;
}
