import { isoTime, plain } from "./terminal.ts";

/** A management result as text for a terminal: a table where there are rows, else lines of `key: value`. */
export function formatResult(result: unknown): string {
  if (isObject(result)) {
    const { Destinations: destinations, Cluster: cluster } = result;
    if (Array.isArray(destinations) && isObject(cluster)) return `${clusterLine(cluster)}\n\n${formatDestinations(destinations)}`;
    const { Dialogs: dialogs, matches } = result;
    if (Array.isArray(dialogs) && typeof matches === "number") return formatFound(dialogs, matches);
    const [only, ...others] = Object.entries(result);
    if (only !== undefined && others.length === 0) {
      const [key, value] = only;
      if (key === "Destinations" && Array.isArray(value)) return formatDestinations(value);
      if (isTable(value))
        return formatTable(
          Object.keys(value[0]!),
          value.map((row) => Object.values(row).map(plain)),
        );
      if (Array.isArray(value) && value.length === 0) return `No ${key.toLowerCase()}`;
    }
  }
  if (typeof result === "string") return result.replace(/\n$/, "").split("\n").map(plain).join("\n");
  return lines(result, "").join("\n");
}

/** One line about the cluster, above the destinations; loads are those of all its nodes. */
export function clusterLine(cluster: Record<string, unknown>): string {
  const { id, node_id, redis, rtt_ms, nodes, gone, tags, unsynced_statuses, unsynced_dialogs } = cluster;
  const waiting = Number(unsynced_statuses ?? 0) + Number(unsynced_dialogs ?? 0);
  const parts = [
    `Cluster ${plain(id)}, node ${plain(node_id)}`,
    `Redis ${plain(redis)}${rtt_ms === undefined ? "" : ` (${plain(rtt_ms)} ms)`}`,
    `nodes ${idList(nodes)}${gone === undefined ? "" : `, gone ${idList(gone)}`}`,
    ...(Array.isArray(tags) ? tags.filter(isObject).map((tag) => `tag ${plain(tag["Tag"])} ${plain(tag["State"])}`) : []),
    ...(waiting > 0 ? [`${waiting} changes not told yet`] : []),
  ];
  return parts.join("; ");
}

function idList(ids: unknown): string {
  return Array.isArray(ids) && ids.length > 0 ? ids.map(plain).join(" ") : "none";
}

function formatDestinations(destinations: readonly unknown[]): string {
  if (destinations.length === 0) return 'No destinations: add one with "headroom destinations add", then run "headroom mi lb_reload"';
  const rows = destinations
    .filter(isObject)
    .map((destination) => [
      plain(destination["id"]),
      plain(destination["group"]),
      plain(destination["uri"]),
      resourceCells(destination["Resources"]),
      statusCell(destination),
      plain(destination["auto-reenable"]),
      plain(destination["attrs"]),
    ]);
  return formatTable(["ID", "Group", "URI", "Resources", "Status", "Auto re-enable", "Attributes"], rows);
}

const DIALOG_STATES: Readonly<Record<number, string>> = { 1: "begun", 2: "rings", 3: "up, no ACK", 4: "up" };

/** What `dlg_find` has found: a line a call, and how many it has left out. */
function formatFound(dialogs: readonly unknown[], matches: number): string {
  if (dialogs.length === 0) return "No dialogs";
  const rows = dialogs
    .filter(isObject)
    .map(({ callid, from_uri, to_uri, state, timestart, destinations }) => [
      plain(callid),
      plain(from_uri),
      plain(to_uri),
      DIALOG_STATES[Number(state)] ?? plain(state),
      Number(timestart) > 0 ? isoTime(Number(timestart) * 1000).replace(".000", "") : "-",
      (Array.isArray(destinations) ? destinations.filter(isObject) : []).map(heldCell).join(", "),
    ]);
  const table = formatTable(["Call-ID", "From", "To", "State", "Up since", "Destinations"], rows);
  const left = matches - rows.length;
  return left > 0 ? `${table}\n${left} more match: want a longer text, or a number up to 100 behind it` : table;
}

function heldCell({ id, uri, resources }: Record<string, unknown>): string {
  return `${plain(id)} ${plain(uri)} (${Array.isArray(resources) ? resources.map(plain).join(" ") : ""})`;
}

/** What keeps new calls away says more than the status: these members stand there only while they do. */
function statusCell({ draining, drain_load, enabled, breaker, freeswitch, registered, resting }: Record<string, unknown>): string {
  if (draining === "yes") return `draining ${plain(drain_load)} left`;
  if (enabled !== "yes") return "disabled";
  if (registered === "leaving") return "leaving";
  if (breaker !== undefined) return `breaker ${plain(breaker)}`;
  if (resting !== undefined) return `resting ${plain(resting)} s`;
  return freeswitch === undefined ? "enabled" : `FreeSWITCH ${plain(freeswitch)}`;
}

/** `name=load/max` for each resource, as opensips-cp shows them; in a cluster with what of the load is on other nodes. */
function resourceCells(resources: unknown): string {
  if (!Array.isArray(resources)) return "";
  return resources
    .filter(isObject)
    .map(({ name, load, max, remote_load: remote }) => {
      return `${plain(name)}=${plain(load)}/${plain(max)}${remote === undefined ? "" : `(${plain(remote)} remote)`}`;
    })
    .join(" ");
}

/** Columns under their titles. */
export function formatTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = titles.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)));
  return [titles, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function lines(value: unknown, indent: string): string[] {
  if (Array.isArray(value)) {
    if (value.every((item) => !isNested(item))) return value.map((item) => indent + plain(item));
    return value.flatMap((item, index) => [...(index > 0 ? [""] : []), ...lines(item, indent)]);
  }
  if (!isObject(value)) return [indent + plain(value)];
  return Object.entries(value).flatMap(([key, member]) => {
    if (!isNested(member)) return [`${indent}${plain(key)}: ${plain(member)}`];
    const inner = lines(member, `${indent}  `);
    return inner.length > 0 ? [`${indent}${plain(key)}:`, ...inner] : [`${indent}${plain(key)}: none`];
  });
}

/** Rows that all have the same keys and no nested values. */
function isTable(value: unknown): value is Record<string, unknown>[] {
  if (!Array.isArray(value) || value.length === 0 || !value.every(isObject)) return false;
  const keys = Object.keys(value[0] ?? {}).join();
  return value.every((row) => Object.keys(row).join() === keys && Object.values(row).every((cell) => !isNested(cell)));
}

function isNested(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

/** A JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return isNested(value) && !Array.isArray(value);
}
