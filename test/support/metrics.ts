/** What a text in the format of Prometheus holds. */
export interface ScrapedMetrics {
  /** Types by name. */
  readonly types: ReadonlyMap<string, string>;
  /** Label names that values of a metric have, by the name that stands before the labels. */
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>;
  /** Values by name and labels, as they are written. */
  readonly values: ReadonlyMap<string, number>;
}

/** Reads a text in the format of Prometheus, version 0.0.4, of which no label value holds a brace. */
export function readMetrics(text: string): ScrapedMetrics {
  const types = new Map<string, string>();
  const labels = new Map<string, Set<string>>();
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, typed = "", type = ""] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (typed !== "") types.set(typed, type);
    const [, series = "", name = "", named = "", value = ""] = /^(([a-z_0-9]+)(\{.*\})?) (\S+)$/.exec(line) ?? [];
    if (name === "") continue;
    values.set(series, Number(value));
    const known = labels.get(name) ?? new Set();
    for (const [, label = ""] of named.matchAll(/[{,]([a-z]+)=/g)) known.add(label);
    labels.set(name, known);
  }
  return { types, labels, values };
}

/** Metrics that an expression of PromQL names, with the labels that it asks of each. */
export function namedMetrics(expression: string): { readonly name: string; readonly labels: readonly string[] }[] {
  return [...expression.matchAll(/\b((?:headroom|process|nodejs)_[a-z0-9_]+)(?:\{([^}]*)\})?/g)].map(([, name = "", selector = ""]) => ({
    name,
    labels: [...selector.matchAll(/([a-z]+)\s*(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label),
  }));
}
