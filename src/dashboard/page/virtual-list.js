/** Pixels above and below the window in which rows are kept, so that quick scrolling and Tab find some there. */
const MARGIN_PX = 400;

/**
 * A row on the screen. It is used for another item when its own one has left the window.
 *
 * @template T
 * @typedef {{ element: HTMLElement, update: (item: T, isOther: boolean) => void }} Row
 */

/**
 * Shows only those rows of a long list that are in the window; the page scrolls, not the list. Elements stand in the order of the items, as the Tab key and
 * readers of the screen follow that. The row that has the focus stays wherever it is.
 *
 * @template T
 */
export class VirtualList {
  #body;
  #options;
  /** @type {readonly T[]} */
  #items = [];
  /** Where each item begins, and the end. @type {Float64Array} */
  #offsets = new Float64Array(1);
  /** By key. @type {Map<string, { row: Row<T>, index: number, item: T, kind: string }>} */
  #shown = new Map();
  /** Rows without an item, by kind. @type {Map<string, Row<T>[]>} */
  #spare = new Map();
  /** @type {Map<string, number>} */
  #indexes = new Map();
  #isAsked = false;

  /**
   * @param {object} options
   * @param {HTMLElement} options.body
   * @param {(item: T) => string} options.keyOf unique
   * @param {(item: T) => string} options.kindOf rows of one kind can take each other's place
   * @param {(item: T) => number} options.heightOf in pixels
   * @param {(kind: string) => Row<T>} options.make
   */
  constructor(options) {
    this.#options = options;
    this.#body = options.body;
    addEventListener("scroll", () => this.ask(), { passive: true });
    addEventListener("resize", () => this.ask());
  }

  get items() {
    return this.#items;
  }

  /** @param {readonly T[]} items */
  setItems(items) {
    const { heightOf, keyOf } = this.#options;
    this.#items = items;
    this.#offsets = new Float64Array(items.length + 1);
    this.#indexes = new Map();
    let end = 0;
    items.forEach((item, i) => {
      end += heightOf(item);
      this.#offsets[i + 1] = end;
      this.#indexes.set(keyOf(item), i);
    });
    this.#body.style.height = `${end}px`;
    this.render();
  }

  /** Draws before the next frame. */
  ask() {
    if (this.#isAsked) return;
    this.#isAsked = true;
    requestAnimationFrame(() => {
      this.#isAsked = false;
      this.render();
    });
  }

  /** What is shown is told its items again: their figures are others. */
  refresh() {
    for (const { row, item } of this.#shown.values()) row.update(item, false);
  }

  render() {
    if (this.#body.offsetParent === null) return; // another view is shown
    const { keyOf, kindOf } = this.#options;
    const top = -this.#body.getBoundingClientRect().top;
    const first = this.#indexAt(top - MARGIN_PX);
    const end = Math.min(this.#items.length, this.#indexAt(top + innerHeight + MARGIN_PX) + 1);
    /** @type {number[]} */
    const wanted = [];
    for (let i = first; i < end; i++) wanted.push(i);
    const focused = this.#focusedIndex();
    if (focused !== undefined && (focused < first || focused >= end)) wanted[focused < first ? "unshift" : "push"](focused);
    const keys = new Set(wanted.map((i) => keyOf(/** @type {T} */ (this.#items[i]))));
    for (const [key, { row, kind }] of this.#shown) {
      if (keys.has(key)) continue;
      this.#shown.delete(key);
      row.element.remove();
      const spare = this.#spare.get(kind);
      if (spare === undefined) this.#spare.set(kind, [row]);
      else spare.push(row);
    }
    /** @type {Element | null} */
    let next = this.#body.firstElementChild;
    for (const i of wanted) {
      const item = /** @type {T} */ (this.#items[i]);
      const key = keyOf(item);
      const kind = kindOf(item);
      let shown = this.#shown.get(key);
      if (shown === undefined) {
        const row = this.#spare.get(kind)?.pop() ?? this.#options.make(kind);
        shown = { row, index: -1, item, kind };
        this.#shown.set(key, shown);
        row.update(item, true);
      } else if (shown.item !== item) {
        shown.item = item;
        shown.row.update(item, false);
      }
      const { element } = shown.row;
      if (element === next) next = element.nextElementSibling;
      else this.#body.insertBefore(element, next);
      const offset = this.#offsets[i] ?? 0;
      const transform = `translateY(${offset}px)`;
      if (element.style.transform !== transform) element.style.transform = transform;
      const height = `${(this.#offsets[i + 1] ?? 0) - offset}px`;
      if (element.style.height !== height) element.style.height = height;
      if (shown.index !== i) element.setAttribute("aria-rowindex", String(i + 2)); // the heading is row 1
      shown.index = i;
    }
  }

  /** Item whose row has the focus, or undefined. */
  #focusedIndex() {
    const active = document.activeElement;
    if (active === null || !this.#body.contains(active)) return undefined;
    for (const [key, { row }] of this.#shown) if (row.element.contains(active)) return this.#indexes.get(key);
    return undefined;
  }

  /** Index of the item at this height of the list. @param {number} y */
  #indexAt(y) {
    let low = 0;
    let high = Math.max(0, this.#items.length - 1);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#offsets[middle] ?? 0) <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Moves the focus by so many rows, to the first button there. @param {number} by rows, or an infinite number for the ends @returns {boolean} whether a row had it */
  moveFocus(by) {
    const from = this.#focusedIndex();
    if (from === undefined) return false;
    const to = Math.min(this.#items.length - 1, Math.max(0, from + by));
    this.show(to);
    const key = this.#options.keyOf(/** @type {T} */ (this.#items[to]));
    this.#shown.get(key)?.row.element.querySelector("button")?.focus({ preventScroll: true });
    return true;
  }

  /** Scrolls until the item is in the window. @param {number} index */
  show(index) {
    const top = this.#body.getBoundingClientRect().top + (this.#offsets[index] ?? 0);
    const height = (this.#offsets[index + 1] ?? 0) - (this.#offsets[index] ?? 0);
    const above = Number.parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0;
    if (top < above) scrollBy(0, top - above);
    else if (top + height > innerHeight) scrollBy(0, top + height - innerHeight);
    this.render();
  }
}
