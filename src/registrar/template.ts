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
