import { h, setAttribute, setText } from "./dom.js";
import { barWords } from "./words.js";

/** @typedef {import("./model.js").Load} Load */

/** From here on a bar is shown as nearly full. */
const NEARLY_FULL = 0.85;

/** One resource: its name, a bar, load and maximum, what is free. The bar is as long as what there is when all is open. */
export class Bar {
  #resource = "";
  #last = "";
  #name = h("span", { class: "bar-name" });
  // Below each other: all load, that of our nodes, that of this node. So the ends of the parts show.
  #parts = [h("i", { class: "of-others" }), h("i", { class: "of-nodes" }), h("i", { class: "of-this" })];
  #closed = h("i", { class: "not-open" });
  #meter = h("span", { class: "bar", role: "meter", "aria-valuemin": 0 }, ...this.#parts, this.#closed);
  #count = h("span", { class: "bar-count" });
  #free = h("span", { class: "bar-free" });
  element = h("div", { class: "resource" }, this.#name, this.#meter, this.#count, this.#free);

  constructor() {
    // What they show stands in the words of the meter.
    for (const text of [this.#count, this.#free]) text.setAttribute("aria-hidden", "true");
  }

  /** @param {string} resource @param {Load | undefined} load undefined: not known yet @param {boolean} isOther whether it belonged to another destination: nothing moves then */
  update(resource, load, isOther) {
    if (resource !== this.#resource) {
      this.#resource = resource;
      setText(this.#name, resource);
      this.#name.title = resource;
      this.#meter.setAttribute("aria-label", resource);
    }
    const key = load?.join() ?? "";
    if (key === this.#last && !isOther) return;
    this.#last = key;
    const [own, max, capacity, remote, foreign] = load ?? [0, 0, 0, 0, 0];
    const now = own + foreign;
    const length = Math.max(capacity, max, 1);
    [now, own, own - remote].forEach((value, i) => {
      const part = this.#parts[i];
      if (part !== undefined) part.style.transform = `scaleX(${Math.min(1, Math.max(0, value / length)).toFixed(4)})`;
    });
    this.#closed.style.width = `${(100 * Math.max(0, length - max)) / length}%`;
    const isFull = load !== undefined && now >= max;
    setAttribute(this.element, "data-level", isFull ? "full" : now / Math.max(1, max) >= NEARLY_FULL ? "high" : null);
    setText(this.#count, load === undefined ? "" : `${now} / ${max}`);
    setText(this.#free, load === undefined ? "" : isFull ? "full" : `${max - now} free`);
    setAttribute(this.#meter, "aria-valuemax", String(max));
    setAttribute(this.#meter, "aria-valuenow", String(Math.min(now, max)));
    const words = load === undefined ? "not known yet" : barWords(resource, load);
    setAttribute(this.#meter, "aria-valuetext", words);
    setAttribute(this.element, "title", words);
  }
}
