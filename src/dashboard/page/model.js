/** What the page knows: pure data, no element. Frames of the feed go in, lists to show come out. */

/** @typedef {"up" | "probing" | "disabled" | "draining" | "breaker" | "resting" | "rate" | "withdrawn"} Status */
/** Calls of all nodes, what is open, what there is when all is open, those of the calls that are on other nodes, and calls of strangers, which take room too. @typedef {[load: number, max: number, capacity: number, remote: number, foreign: number]} Load */
/**
 * @typedef {object} Hello
 * @property {string} version
 * @property {string} name
 * @property {"viewer" | "operator"} role
 * @property {string} by
 * @property {boolean} needsToken
 * @property {number} startedAt
 * @property {number | null} node
 * @property {string[]} methods
 * @property {string} [mi] path of management
 */
/** @typedef {{ id: number, group: number, uri: string, attrs: string | null, resources: string[], probe: number }} TableRow */
/** @typedef {{ groups: { id: number, name?: string }[], destinations: TableRow[] }} Table */
/**
 * @typedef {object} Figures
 * @property {number} id
 * @property {Status} status
 * @property {string} why
 * @property {Load[]} loads
 * @property {number} calls
 * @property {{ load: number, deadline: number | null } | null} drain
 * @property {number | null} probeMs
 * @property {number | null} probeAvgMs
 * @property {number | null} lastCode
 * @property {number} factor
 */
/** @typedef {{ id: number, alive: boolean, self: boolean, url: string, sip: string[], version: string, lastSeen: number }} ClusterNode */
/** @typedef {{ node: number, redis: string, rttMs: number | null, nodes: ClusterNode[], tags: { tag: string, state: string, owner: number | null }[] }} Cluster */
/**
 * @typedef {object} Totals
 * @property {number} at
 * @property {number} calls
 * @property {number} early
 * @property {number} cps
 * @property {Record<string, number>} decisions
 * @property {Record<string, number>} decisionsPerSecond
 * @property {number} failovers
 * @property {number} refused
 * @property {number} lagMs
 * @property {number} memoryMb
 * @property {Cluster | null} cluster
 * @property {Record<string, Record<string, [load: number, max: number]>>} groups
 */
/** @typedef {{ id: string, event: string, at: string, params: Record<string, any> }} HappenedEvent */
/** @typedef {TableRow & { text: string, figures: Figures | undefined, free: number, share: number }} Destination */
/** @typedef {{ kind: "group", id: number, name: string | undefined, count: number, notUp: number, isOpen: boolean } | { kind: "destination", destination: Destination }} Item */
/** @typedef {"group" | "id" | "least-free" | "most-free" | "load"} Order */

/** Samples that the charts show: ten minutes. */
export const MAX_SAMPLES = 600;
/** Events that are kept. */
export const MAX_EVENTS = 200;
/** Further apart than this, two samples are not joined by a line. */
const GAP_MS = 5_000;
/** Nearer to the last one than this there is no sample: whoever opens a page makes the server look for all, and ten minutes are to stay ten minutes. */
const LEAST_DISTANCE_MS = 500;

/** Names of the series, in the order of `Model.series`; the first are seconds since 1970. */
export const SERIES = /** @type {const} */ (["at", "calls", "cps", "placed", "notPlaced", "failovers", "lagMs"]);

export class Model {
  /** @type {Hello | undefined} */
  hello;
  /** @type {Totals | undefined} */
  totals;
  /** In the order of their ids. @type {Destination[]} */
  destinations = [];
  /** @type {Map<number, Destination>} */
  byId = new Map();
  /** @type {Map<number, string | undefined>} */
  groups = new Map();
  /** One list for each of SERIES. @type {(number | null)[][]} */
  series = SERIES.map(() => []);
  /** Latest first. @type {HappenedEvent[]} */
  events = [];
  /** Wall clock in ms of what came last; 0: nothing yet. */
  at = 0;
  /** The totals that the last sample was made of. @type {Totals | undefined} */
  #sampled;
  /** @type {Set<string>} */
  #seenEvents = new Set();

  /** Another table: figures of destinations that stay are kept until new ones come. @param {Table} table */
  setTable({ groups, destinations }) {
    this.groups = new Map(groups.map(({ id, name }) => [id, name]));
    this.destinations = destinations.map((row) => {
      const before = this.byId.get(row.id);
      const isSame = before !== undefined && before.resources.join() === row.resources.join();
      return {
        ...row,
        text: "",
        figures: isSame ? before.figures : undefined,
        free: isSame ? before.free : 0,
        share: isSame ? before.share : 0,
      };
    });
    this.byId = new Map(this.destinations.map((destination) => [destination.id, destination]));
    for (const destination of this.destinations) destination.text = textOf(destination, this.groups.get(destination.group));
  }

  /** @param {{ at: number, rows: Figures[] }} figures @returns {boolean} whether a destination has now something to say, or no longer: its row has another height */
  setFigures({ at, rows }) {
    this.at = at;
    let isOther = false;
    for (const figures of rows) {
      const destination = this.byId.get(figures.id);
      if (destination === undefined) continue;
      const wasStatus = destination.figures?.status;
      if ((destination.figures?.why ?? "") === "" ? figures.why !== "" : figures.why === "") isOther = true;
      destination.figures = figures;
      destination.free = freeOf(figures);
      destination.share = shareOf(figures);
      if (figures.status !== wasStatus) destination.text = textOf(destination, this.groups.get(destination.group));
    }
    return isOther;
  }

  /** @param {Totals} totals */
  addTotals(totals) {
    const before = this.#sampled;
    this.totals = totals;
    this.at = totals.at;
    const distanceMs = before === undefined ? Number.POSITIVE_INFINITY : totals.at - before.at;
    if (distanceMs < -GAP_MS)
      this.series = SERIES.map(() => []); // the clock there was set back: what came before is in no order with what comes
    else if (distanceMs < LEAST_DISTANCE_MS) return;
    this.#sampled = totals;
    const { decisionsPerSecond: now } = totals;
    const notPlaced = ["-1", "-2", "-3", "-4"].reduce((sum, code) => sum + (now[code] ?? 0), 0);
    const failovers = before === undefined ? 0 : Math.max(0, totals.failovers - before.failovers);
    if (before !== undefined && distanceMs > GAP_MS) this.#addSample([(before.at + 1000) / 1000, ...SERIES.slice(1).map(() => null)]);
    this.#addSample([totals.at / 1000, totals.calls, totals.cps, now["1"] ?? 0, notPlaced, failovers, totals.lagMs]);
  }

  /** @param {(number | null)[]} sample */
  #addSample(sample) {
    this.series.forEach((list, i) => {
      list.push(sample[i] ?? null);
      if (list.length > MAX_SAMPLES) list.shift();
    });
  }

  /** @param {HappenedEvent} event @returns {boolean} whether it is a new one: a feed that was begun again tells what it told before */
  addEvent(event) {
    if (this.#seenEvents.has(event.id)) return false;
    this.#seenEvents.add(event.id);
    this.events.unshift(event);
    for (const { id } of this.events.splice(MAX_EVENTS)) this.#seenEvents.delete(id);
    return true;
  }

  /**
   * What the list of destinations shows.
   *
   * @param {{ filter: string, order: Order, onlyTroubled: boolean, closed: ReadonlySet<number> }} wish `closed`: groups of which only the heading is shown
   * @returns {{ items: Item[], count: number }} `count`: destinations that match, shown or in a closed group
   */
  items({ filter, order, onlyTroubled, closed }) {
    const words = filter
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== "");
    const found = this.destinations.filter(
      ({ text, figures }) =>
        words.every((word) => text.includes(word)) && (!onlyTroubled || (figures !== undefined && figures.status !== "up")),
    );
    if (order !== "group") {
      const sorted = order === "id" ? found : found.sort(COMPARE[order]);
      return { items: sorted.map((destination) => ({ kind: "destination", destination })), count: found.length };
    }
    /** @type {Map<number, Destination[]>} */
    const byGroup = new Map();
    for (const destination of found) {
      const members = byGroup.get(destination.group);
      if (members === undefined) byGroup.set(destination.group, [destination]);
      else members.push(destination);
    }
    /** @type {Item[]} */
    const items = [];
    for (const [id, members] of [...byGroup].sort(([a], [b]) => a - b)) {
      const isOpen = !closed.has(id);
      const notUp = members.reduce((sum, { figures }) => sum + (figures !== undefined && figures.status !== "up" ? 1 : 0), 0);
      items.push({ kind: "group", id, name: this.groups.get(id), count: members.length, notUp, isOpen });
      if (isOpen) for (const destination of members) items.push({ kind: "destination", destination });
    }
    return { items, count: found.length };
  }
}

/** @type {Record<"least-free" | "most-free" | "load", (a: Destination, b: Destination) => number>} */
const COMPARE = {
  "least-free": (a, b) => a.free - b.free || a.id - b.id,
  "most-free": (a, b) => b.free - a.free || a.id - b.id,
  load: (a, b) => b.share - a.share || a.id - b.id,
};

/** What calls can still use: of the scarcest resource, as a call wants all of them. @param {Figures} figures */
function freeOf({ loads }) {
  return loads.reduce(
    (least, [load, max, , , foreign]) => Math.min(least, Math.max(0, max - load - foreign)),
    loads.length === 0 ? 0 : Number.POSITIVE_INFINITY,
  );
}

/** How full the fullest resource is, 0 to 1 and beyond. @param {Figures} figures */
function shareOf({ loads }) {
  return loads.reduce((most, [load, max, , , foreign]) => Math.max(most, (load + foreign) / Math.max(1, max)), 0);
}

/** What the filter looks at. @param {Destination} destination @param {string | undefined} groupName */
function textOf({ id, group, uri, attrs, resources, figures }, groupName) {
  return [`#${id}`, uri, attrs ?? "", `group ${group}`, `group:${group}`, groupName ?? "", ...resources, figures?.status ?? ""]
    .join("\n")
    .toLowerCase();
}
