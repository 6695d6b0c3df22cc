import {
  DECISIONS,
  freeSlots,
  type TopDestination,
  type TopResource,
  type TopStatus,
  type TopTotals,
  type TopView,
  usedShare,
} from "./top-data.ts";

/** Order of the destinations of a group: by id, fewest free slots first, highest load first. */
export type TopSort = "id" | "slots" | "load";

export interface TopLayout {
  /** Width of the terminal; each line fits. */
  readonly columns: number;
  /** Lines of the terminal; 0: as many as there are. */
  readonly rows: number;
  readonly sort: TopSort;
  readonly isReversed: boolean;
  /** Lines of the table that are scrolled away. */
  readonly offset: number;
  readonly colours: boolean;
  /** Bars of characters that every terminal has. */
  readonly ascii: boolean;
  /** Why the figures are old, when they are. */
  readonly fault?: string | undefined;
  /** Which keys do what, at the bottom. */
  readonly keys: boolean;
}

const STYLES = { bold: "1", dim: "2", red: "31", green: "32", yellow: "33", cyan: "36" } as const;
type Style = keyof typeof STYLES;

/** A piece of a line that looks the same all over. */
interface Span {
  readonly text: string;
  readonly style?: Style | undefined;
}
type Line = readonly Span[];

/** A narrower terminal shows the left part of a table of this width. */
const MIN_COLUMNS = 40;
const MAX_URI = 44;
const MAX_RESOURCE = 16;
const MIN_BAR = 6;
const MAX_BAR = 30;
const STATUS_WIDTH = 9;
/** Width from which the latency of probes has a column, and that column's. */
const WIDE = 100;
const PROBE_WIDTH = 9;
/** Share of its slots from which a resource is nearly full, and full enough to look at. */
const BUSY = 0.7;
const NEARLY_FULL = 0.9;

const KEYS = "q quit   i id   s free slots   l load   again: reversed   ↑ ↓ PgUp PgDn scroll";

/**
 * The table as text, without control characters but those of colours.
 *
 * @returns lines, none longer than the terminal; and how many the table has, so that a caller knows how far it may scroll
 */
export function drawTop(view: TopView, layout: TopLayout): { lines: string[]; bodyLines: number; bodyRows: number } {
  const columns = Math.max(MIN_COLUMNS, layout.columns);
  const head: Line[] = [...totalLines(view), []];
  if (layout.fault !== undefined) head.splice(0, 0, [{ text: layout.fault, style: "red" }]);
  const blocks = bodyBlocks(view, { ...layout, columns });
  const bodyLines = blocks.reduce((sum, { height }) => sum + height, 0);
  const foot: Line[] = layout.keys ? [[{ text: layout.ascii ? KEYS.replace("↑ ↓", "arrows") : KEYS, style: "dim" }]] : [];
  const bodyRows = layout.rows === 0 ? bodyLines : Math.max(1, layout.rows - head.length - foot.length);
  const from = Math.max(0, Math.min(layout.offset, bodyLines - bodyRows));
  const shown = linesOf(blocks, from, bodyRows);
  const isCut = shown.length < bodyLines;
  const lines = [...head, ...shown, ...foot];
  if (isCut && foot.length > 0) {
    lines[lines.length - 1] = [{ text: `lines ${from + 1} to ${from + shown.length} of ${bodyLines}   ` }, ...(foot[0] ?? [])];
  }
  return { lines: lines.map((line) => paint(line, layout.columns, layout.colours)), bodyLines, bodyRows };
}

function totalLines({ at, totals, cluster, destinations }: TopView): Line[] {
  const taking = destinations.filter(takesCalls).length;
  const time = new Date(at).toISOString().slice(11, 19);
  const { calls, ringing, callsPerSecond, failovers, refused, lagMs } = totals;
  const first: Line = [
    { text: "Headroom", style: "bold" },
    { text: `  ${time} UTC  ` },
    { text: `${calls} ${calls === 1 ? "call" : "calls"}`, style: "bold" },
    { text: `${ringing > 0 ? ` (${ringing} ringing)` : ""}, ${callsPerSecond ?? "-"} a second, ` },
    {
      text: `${taking} of ${destinations.length} destinations take calls`,
      ...(taking < destinations.length && { style: "yellow" as const }),
    },
  ];
  const second: Line = [
    { text: decisionText(totals) },
    { text: `; failovers ${failovers}; ` },
    { text: `refused for load ${refused}`, ...(refused > 0 && { style: "yellow" as const }) },
    { text: `; event loop ${lagMs} ms late` },
  ];
  return [first, second, ...(cluster === null ? [] : [[{ text: cluster, style: "cyan" as const }]])];
}

function decisionText({ decisions }: TopTotals): string {
  const names = {
    selected: "placed",
    no_capacity: "all full",
    no_destination: "none up",
    bad_resource: "bad resource",
    internal_error: "errors",
  };
  return `decisions: ${DECISIONS.filter((name) => name === "selected" || decisions[name] > 0)
    .map((name) => `${names[name]} ${decisions[name]}`)
    .join(", ")}`;
}

interface Widths {
  readonly id: number;
  readonly uri: number;
  readonly resource: number;
  readonly bar: number;
  readonly figure: number;
  readonly free: number;
  readonly probe: number;
}

/** Lines that belong together. They are made when they are seen: a table may have ten thousand of them. */
interface Block {
  readonly height: number;
  make(): readonly Line[];
}

/** So many lines of the blocks, from one on. */
function linesOf(blocks: readonly Block[], from: number, count: number): Line[] {
  const lines: Line[] = [];
  let at = 0;
  for (const block of blocks) {
    if (at >= from + count) break;
    if (at + block.height > from) lines.push(...block.make().slice(Math.max(0, from - at), from + count - at));
    at += block.height;
  }
  return lines;
}

function bodyBlocks({ destinations }: TopView, layout: TopLayout): Block[] {
  if (destinations.length === 0) {
    const text = 'No destinations: add one with "headroom destinations add", then run "headroom mi lb_reload"';
    return [{ height: 1, make: () => [[{ text }]] }];
  }
  const widths = widthsFor(destinations, layout.columns);
  const groups = new Map<number, TopDestination[]>();
  for (const destination of destinations) {
    const group = groups.get(destination.group);
    if (group === undefined) groups.set(destination.group, [destination]);
    else group.push(destination);
  }
  return [...groups]
    .sort(([a], [b]) => a - b)
    .flatMap(([id, members], i): Block[] => [
      { height: i > 0 ? 3 : 2, make: () => [...(i > 0 ? [[]] : []), groupLine(id, members), titles(widths)] },
      ...sorted(members, layout).map((member) => ({
        height: Math.max(1, member.resources.length),
        make: () => destinationLines(member, widths, layout),
      })),
    ]);
}

/** What is fixed comes first, the bar gets what is left up to its largest, and the reason whatever there is behind it. */
function widthsFor(destinations: readonly TopDestination[], columns: number): Widths {
  const resources = destinations.flatMap((destination) => destination.resources);
  const widest = (texts: readonly string[], least: number, most: number): number =>
    Math.min(
      most,
      texts.reduce((width, text) => Math.max(width, text.length), least),
    );
  const id = widest(
    destinations.map((destination) => String(destination.id)),
    2,
    12,
  );
  const resource = widest(
    resources.map(({ name }) => name),
    4,
    MAX_RESOURCE,
  );
  const figure = widest(resources.map(figureOf), 4, 24);
  const free = widest(
    resources.map((one) => String(one.free)),
    4,
    10,
  );
  const probe = columns >= WIDE ? PROBE_WIDTH : 0;
  const fixed = id + resource + figure + free + STATUS_WIDTH + (probe > 0 ? probe + 1 : 0) + 6;
  const most = Math.max(10, columns - fixed - MIN_BAR);
  const uri = widest(
    destinations.map((destination) => destination.uri),
    3,
    Math.min(MAX_URI, most),
  );
  // Half of what is left is for reasons.
  const bar = Math.max(MIN_BAR, Math.min(MAX_BAR, Math.trunc((columns - fixed - uri) / 2)));
  return { id, uri, resource, bar, figure, free, probe };
}

function titles({ id, uri, resource, bar, figure, free, probe }: Widths): Line {
  const cells = [
    "ID".padStart(id),
    "URI".padEnd(uri),
    "Res.".padEnd(resource),
    "Load".padEnd(bar),
    "".padStart(figure),
    "Free".padStart(free),
    "Status".padEnd(STATUS_WIDTH),
  ];
  if (probe > 0) cells.push("Probe".padStart(probe));
  return [{ text: [...cells, "Why"].join(" "), style: "dim" }];
}

function groupLine(id: number, members: readonly TopDestination[]): Line {
  const sums = new Map<string, { load: number; max: number }>();
  for (const { name, load, max } of members.filter(takesCalls).flatMap(({ resources }) => resources)) {
    const sum = sums.get(name) ?? { load: 0, max: 0 };
    sums.set(name, { load: sum.load + load, max: sum.max + max });
  }
  const taking = members.filter(takesCalls).length;
  const texts = [...sums].map(([name, { load, max }]) => `${name} ${load}/${max}, ${Math.max(0, max - load)} free`);
  return [
    { text: `Group ${id}`, style: "bold" },
    {
      text: `  ${taking} of ${members.length} take calls${texts.length > 0 ? `; ${texts.join("; ")}` : ""}`,
      ...(taking === 0 && { style: "red" as const }),
    },
  ];
}

function sorted(members: readonly TopDestination[], { sort, isReversed }: TopLayout): TopDestination[] {
  const keyOf: Readonly<Record<TopSort, (member: TopDestination) => number>> = {
    id: ({ id }) => id,
    slots: freeSlots,
    load: (member) => -usedShare(member),
  };
  const order = members
    .map((member) => ({ member, key: keyOf[sort](member) }))
    .sort((a, b) => (a.key === b.key ? a.member.id - b.member.id : a.key - b.key))
    .map(({ member }) => member);
  return isReversed ? order.reverse() : order;
}

/** One line for each resource; what is of the destination stands on the first. */
function destinationLines(destination: TopDestination, widths: Widths, layout: TopLayout): Line[] {
  const { id, uri, status, why, resources, probeMs } = destination;
  const rows = resources.length > 0 ? resources : [undefined];
  return rows.map((resource, i) => {
    const isFirst = i === 0;
    const line: Span[] = [
      {
        text: `${(isFirst ? String(id) : "").padStart(widths.id)} ${cut(isFirst ? uri : "", widths.uri, layout.ascii).padEnd(widths.uri)} `,
      },
      ...(resource === undefined
        ? [{ text: " ".repeat(widths.resource + widths.bar + widths.figure + widths.free + 3) }]
        : resourceSpans(resource, widths, layout, takesCalls(destination))),
    ];
    if (!isFirst) return line;
    line.push({ text: " " }, { text: status.padEnd(STATUS_WIDTH), style: STATUS_STYLES[status] });
    if (widths.probe > 0) line.push({ text: ` ${(probeMs === null ? "-" : `${probeMs.toFixed(1)} ms`).padStart(widths.probe)}` });
    if (why !== "") line.push({ text: ` ${why}`, style: "dim" });
    return line;
  });
}

const STATUS_STYLES: Readonly<Record<TopStatus, Style>> = {
  up: "green",
  starting: "green",
  full: "yellow",
  stale: "yellow",
  draining: "yellow",
  rate: "yellow",
  resting: "yellow",
  withdrawn: "red",
  breaker: "red",
  probing: "red",
  disabled: "red",
};

function resourceSpans(resource: TopResource, widths: Widths, { ascii }: TopLayout, isOpen: boolean): Span[] {
  const { name, load, max, capacity, free } = resource;
  const whole = Math.max(capacity, max, 1);
  const full = Math.min(widths.bar, load > 0 ? Math.max(1, Math.round((load / whole) * widths.bar)) : 0);
  const open = Math.max(full, Math.round((max / whole) * widths.bar));
  const [used, empty, closed] = ascii ? ["#", "-", "."] : ["█", "░", "·"];
  const share = max > 0 ? load / max : 1;
  const style: Style = !isOpen ? "dim" : share >= NEARLY_FULL ? "red" : share >= BUSY ? "yellow" : "green";
  return [
    { text: `${cut(name, widths.resource, ascii).padEnd(widths.resource)} ` },
    { text: used.repeat(full), style },
    { text: empty.repeat(open - full) + closed.repeat(Math.max(0, widths.bar - open)), style: "dim" },
    { text: ` ${cut(figureOf(resource), widths.figure, ascii).padStart(widths.figure)} ${String(free).padStart(widths.free)}` },
  ];
}

function figureOf({ load, max, capacity }: TopResource): string {
  return max < capacity ? `${load}/${max} of ${capacity}` : `${load}/${max}`;
}

/** New calls may come to it, if there is room. */
function takesCalls({ status }: TopDestination): boolean {
  return status === "up" || status === "full" || status === "starting" || status === "stale" || status === "rate";
}

function cut(text: string, most: number, ascii: boolean): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}${ascii ? "~" : "…"}`;
}

function paint(line: Line, columns: number, colours: boolean): string {
  let left = columns;
  let out = "";
  for (const { text, style } of line) {
    const shown = text.slice(0, left);
    left -= shown.length;
    if (shown === "") continue;
    out += colours && style !== undefined ? `\u001b[${STYLES[style]}m${shown}\u001b[0m` : shown;
  }
  return colours ? out : out.trimEnd();
}
