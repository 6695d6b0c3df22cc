import { Bar } from "./bar.js";
import { byId, h, setAttribute, setText } from "./dom.js";
import { VirtualList } from "./virtual-list.js";
import { counted, milliseconds, number, STATUS_WORDS, span } from "./words.js";

/** @typedef {import("./model.js").Item} Item */
/** @typedef {import("./model.js").Destination} Destination */
/** @typedef {import("./model.js").Order} Order */

/** Heights in rem, as style.css has them: rows are placed by what is computed here. */
const WIDE = { line: 1.5, least: 3, leastWithWhy: 4.25, around: 0.75, group: 2.75 };
const NARROW = { line: 1.5, least: 0, leastWithWhy: 0, around: 4.25, whyLine: 2.5, group: 2.75 };
const NARROW_QUERY = "(max-width: 47.99rem)";
/** After the pointer has moved the order stays for so long: a row must not go away from under it. */
const HOLD_MS = 4_000;
const MAX_GROUP_BARS = 3;

/** The list of destinations: groups, filter, order, a bar for each resource. */
export class Destinations {
  #model;
  #filter = /** @type {HTMLInputElement} */ (byId("filter"));
  #sort = /** @type {HTMLSelectElement} */ (byId("sort"));
  #onlyTroubled = /** @type {HTMLInputElement} */ (byId("only-troubled"));
  #shown = byId("shown");
  #table = byId("destinations");
  #body = h("div", { role: "rowgroup", class: "rows" });
  #empty = h("p", { class: "empty", hidden: true });
  /** Groups of which only the heading is shown. @type {Set<number>} */
  #closed = new Set();
  #narrow = matchMedia(NARROW_QUERY);
  #pointerAt = Number.NEGATIVE_INFINITY;
  /** @type {VirtualList<Item>} */
  #list;

  /** @param {import("./model.js").Model} model @param {(id: number) => void} onDetails somebody wants to see more of a destination */
  constructor(model, onDetails) {
    this.#model = model;
    const headings = ["Id", "Destination", "Status", "Load", "Probe", "Details"].map((text) =>
      h("span", { role: "columnheader", class: `c-${text.toLowerCase()}` }, text),
    );
    this.#table.append(
      h("div", { role: "rowgroup", class: "head" }, h("div", { role: "row", class: "row", "aria-rowindex": 1 }, ...headings)),
      this.#body,
      this.#empty,
    );
    this.#list = new VirtualList({
      body: this.#body,
      keyOf: (item) => (item.kind === "group" ? `group ${item.id}` : `${item.destination.id}`),
      kindOf: ({ kind }) => kind,
      heightOf: (item) => this.#heightOf(item),
      make: (kind) =>
        kind === "group"
          ? new GroupRow(model, (id) => this.#toggle(id))
          : new DestinationRow(onDetails, () => this.#sort.value === "group"),
    });
    this.#filter.addEventListener("input", () => this.arrange());
    this.#sort.addEventListener("change", () => this.arrange());
    this.#onlyTroubled.addEventListener("change", () => this.arrange());
    this.#narrow.addEventListener("change", () => this.arrange());
    this.#body.addEventListener("pointermove", ({ timeStamp }) => (this.#pointerAt = timeStamp), { passive: true });
    this.#body.addEventListener("keydown", (event) => this.#onKey(event));
  }

  focusFilter() {
    this.#filter.focus();
    this.#filter.select();
  }

  /** Other destinations, another filter or another order. */
  arrange() {
    const order = /** @type {Order} */ (this.#sort.value);
    const filter = this.#filter.value;
    const { items, count } = this.#model.items({ filter, order, onlyTroubled: this.#onlyTroubled.checked, closed: this.#closed });
    const all = this.#model.destinations.length;
    setText(this.#shown, count === all ? `${number(all)} in all` : `${number(count)} of ${number(all)} match`);
    setAttribute(this.#table, "aria-rowcount", String(items.length + 1));
    this.#empty.hidden = items.length > 0;
    setText(this.#empty, all === 0 ? "There is no destination yet: headroom destinations add makes one." : "No destination matches.");
    this.#list.setItems(items);
    this.#list.refresh();
  }

  /** Other figures. */
  refresh() {
    const follows = this.#sort.value !== "group" && this.#sort.value !== "id";
    const isHeld = performance.now() - this.#pointerAt < HOLD_MS || this.#body.contains(document.activeElement);
    if ((follows && !isHeld) || this.#onlyTroubled.checked || this.#filter.value !== "") this.arrange();
    else this.#list.refresh();
  }

  /** The view is shown again. */
  render() {
    this.#list.render();
  }

  /** @param {number} group */
  #toggle(group) {
    if (!this.#closed.delete(group)) this.#closed.add(group);
    this.arrange();
  }

  /** @param {Item} item @returns {number} pixels */
  #heightOf(item) {
    const isNarrow = this.#narrow.matches;
    const { line, least, leastWithWhy, around, group } = isNarrow ? NARROW : WIDE;
    let rem = group;
    if (item.kind === "destination") {
      const { resources, figures } = item.destination;
      const hasWhy = figures !== undefined && figures.why !== "";
      rem = Math.max(hasWhy ? leastWithWhy : least, resources.length * line) + around + (isNarrow && hasWhy ? NARROW.whyLine : 0);
    }
    return Math.round(rem * Number.parseFloat(getComputedStyleOfRoot().fontSize));
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(innerHeight / 90));
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: Number.NEGATIVE_INFINITY, End: Number.POSITIVE_INFINITY }[
      event.key
    ];
    if (by !== undefined && this.#list.moveFocus(by)) event.preventDefault();
  }
}

/** @type {CSSStyleDeclaration | undefined} */
let rootStyle;
function getComputedStyleOfRoot() {
  rootStyle ??= getComputedStyle(document.documentElement); // it is live
  return rootStyle;
}

class DestinationRow {
  #id = 0;
  #address = "";
  #idCell = h("span", { role: "cell", class: "c-id" });
  #uri = h("span", { class: "uri" });
  #attrs = h("span", { class: "quiet cut" });
  #status = h("span", { class: "status" });
  #why = h("span", { class: "quiet why" });
  #bars = h("span", { role: "cell", class: "c-load" });
  /** @type {Bar[]} */
  #resources = [];
  #probe = h("span");
  #average = h("span", { class: "quiet" });
  #button;
  #isGrouped;
  element;

  /** @param {(id: number) => void} onDetails @param {() => boolean} isGrouped */
  constructor(onDetails, isGrouped) {
    this.#isGrouped = isGrouped;
    this.#button = h("button", { type: "button", onclick: () => onDetails(this.#id) }, "Details");
    this.element = h(
      "div",
      { role: "row", class: "row" },
      this.#idCell,
      h("span", { role: "cell", class: "c-destination" }, this.#uri, this.#attrs),
      h("span", { role: "cell", class: "c-status" }, this.#status, this.#why),
      this.#bars,
      h("span", { role: "cell", class: "c-probe" }, this.#probe, this.#average),
      h("span", { role: "cell", class: "c-details" }, this.#button),
    );
  }

  /** @param {Item} item @param {boolean} isOther */
  update(item, isOther) {
    if (item.kind !== "destination") return;
    const { id, uri, attrs, group, resources, figures } = item.destination;
    const isGrouped = this.#isGrouped();
    if (id !== this.#id || uri !== this.#address) {
      this.#id = id;
      this.#address = uri; // a reload may give an id to another one
      setText(this.#idCell, `${id}`);
      setText(this.#uri, uri);
      this.#uri.title = uri;
      this.#button.setAttribute("aria-label", `Details of destination ${id}, ${uri}`);
    }
    // Under the heading of its group the group needs no words.
    const about = [...(isGrouped ? [] : [`Group ${group}`]), ...(attrs === null || attrs === "" ? [] : [attrs])].join(" · ");
    setText(this.#attrs, about);
    setAttribute(this.#attrs, "title", about);
    const status = figures?.status;
    setAttribute(this.element, "data-status", status ?? null);
    setText(this.#status, status === undefined ? "" : STATUS_WORDS[status]);
    const why = figures === undefined ? "" : whyOf(figures);
    setText(this.#why, why);
    setAttribute(this.#why, "title", why === "" ? null : why);
    if (resources.length !== this.#resources.length) {
      while (this.#resources.length > resources.length) this.#resources.pop()?.element.remove();
      while (this.#resources.length < resources.length) {
        const bar = new Bar();
        this.#resources.push(bar);
        this.#bars.append(bar.element);
      }
    }
    for (const [i, bar] of this.#resources.entries()) bar.update(resources[i] ?? "", figures?.loads[i], isOther);
    const { probeMs = null, probeAvgMs = null } = figures ?? {};
    setText(this.#probe, probeMs === null ? "" : milliseconds(probeMs));
    setText(this.#average, probeAvgMs === null ? "" : `avg ${milliseconds(probeAvgMs)}`);
  }
}

/** Why it is as it is, with the time that a drain has left. @param {import("./model.js").Figures} figures */
export function whyOf({ why, drain, status }) {
  if (status !== "draining" || drain === null || drain.deadline === null) return why;
  return `${span(drain.deadline - Date.now())} to go: ${why}`;
}

class GroupRow {
  #model;
  #id = 0;
  #button;
  #name = h("span", { class: "group-name" });
  #count = h("span", { class: "quiet" });
  #bars = h("span", { class: "group-bars" });
  /** @type {Bar[]} */
  #resources = [];
  element;

  /** @param {import("./model.js").Model} model @param {(id: number) => void} onToggle */
  constructor(model, onToggle) {
    this.#model = model;
    this.#button = h(
      "button",
      { type: "button", class: "fold", onclick: () => onToggle(this.#id) },
      h("span", { class: "arrow", "aria-hidden": "true" }),
      this.#name,
    );
    this.element = h(
      "div",
      { role: "row", class: "row group" },
      h("span", { role: "cell", class: "group-cell" }, this.#button, this.#count, this.#bars),
    );
  }

  /** @param {Item} item @param {boolean} isOther */
  update(item, isOther) {
    if (item.kind !== "group") return;
    const { id, name, count, notUp, isOpen } = item;
    this.#id = id;
    setText(this.#name, `Group ${id}${name === undefined ? "" : ` ${name}`}`);
    setAttribute(this.#button, "aria-expanded", String(isOpen));
    setText(this.#count, `${counted(count, "destination")}${notUp === 0 ? "" : `, ${notUp} not up`}`);
    const totals = Object.entries(this.#model.totals?.groups[id] ?? {}).slice(0, MAX_GROUP_BARS);
    while (this.#resources.length > totals.length) this.#resources.pop()?.element.remove();
    while (this.#resources.length < totals.length) {
      const bar = new Bar();
      this.#resources.push(bar);
      this.#bars.append(bar.element);
    }
    for (const [i, [resource, [load, max]]] of totals.entries()) this.#resources[i]?.update(resource, [load, max, max, 0, 0], isOther);
  }
}
