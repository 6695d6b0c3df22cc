/** A value of `headroom.yaml`. */
export type Value = string | number | boolean | null | readonly Value[] | { readonly [key: string]: Value };

/** One line of the new file and the line that it comes from, 0 when it comes from none. */
export interface NewLine {
  readonly text: string;
  readonly from: number;
  /** The included file that `from` counts in; missing: the configuration itself. */
  readonly file?: string;
}

interface Entry {
  value: Value;
  from: number;
}

/** The order of sections in the file: as in the reference. */
const SECTIONS = ["sip", "tm", "load_balancer", "dialog", "routing", "mi_http", "freeswitch", "cluster", "dispatcher", "overload", "log"];

/** A `headroom.yaml` as it grows, by paths such as `sip.tls.certificate`. */
export class NewConfig {
  readonly #entries = new Map<string, Entry>();

  /** Sets a key; a later line wins, as in a configuration that sets a parameter twice. */
  set(path: string, value: Value, from: number): void {
    this.#entries.set(path, { value, from });
  }

  /** Adds to a list, once. */
  push(path: string, value: Value, from: number): void {
    const entry = this.#entries.get(path);
    const list = Array.isArray(entry?.value) ? entry.value : [];
    if (!list.some((other) => JSON.stringify(other) === JSON.stringify(value))) this.set(path, [...list, value], entry?.from ?? from);
  }

  get(path: string): Value | undefined {
    return this.#entries.get(path)?.value;
  }

  /** The file: a line a key, each value as JSON, which YAML understands; a line a rule. */
  lines(): NewLine[] {
    const lines: NewLine[] = [];
    for (const section of SECTIONS) {
      const keys = [...this.#entries].filter(([path]) => path.startsWith(`${section}.`));
      if (keys.length > 0) lines.push({ text: `${section}:`, from: 0 }, ...nested(keys, `${section}.`, "  "));
    }
    return lines;
  }
}

function nested(entries: readonly (readonly [string, Entry])[], prefix: string, indent: string): NewLine[] {
  const lines: NewLine[] = [];
  const done = new Set<string>();
  for (const [path, { value, from }] of entries) {
    const [name = "", ...deeper] = path.slice(prefix.length).split(".");
    if (done.has(name)) continue;
    done.add(name);
    if (deeper.length > 0) {
      const inner = `${prefix}${name}.`;
      const own = entries.filter(([other]) => other.startsWith(inner));
      lines.push({ text: `${indent}${name}:`, from: 0 }, ...nested(own, inner, `${indent}  `));
    } else if (path === "routing.rules" && Array.isArray(value) && value.length > 0) {
      lines.push({ text: `${indent}${name}:`, from: 0 });
      for (const rule of value) lines.push({ text: `${indent}  - ${inline(rule)}`, from });
    } else lines.push({ text: `${indent}${name}: ${inline(value)}`, from });
  }
  return lines;
}

/** JSON with blanks, in which `${` does not mean the environment. */
function inline(value: Value): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const parts = Object.entries(value).map(
      ([key, part]) => `${/^[a-z_]+$/.test(key) ? key : JSON.stringify(key)}: ${inline(part as Value)}`,
    );
    return parts.length === 0 ? "{}" : `{ ${parts.join(", ")} }`;
  }
  return JSON.stringify(value).replaceAll("${", "$$${");
}
