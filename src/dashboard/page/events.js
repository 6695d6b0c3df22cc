import { byId, h } from "./dom.js";
import { eventSentence, eventTone, moment } from "./words.js";

/** @typedef {import("./model.js").Model} Model */

const OF_CALLS = "E_DLG_STATE_CHANGED";
const MAX_SHOWN = 100;

/** The feed of events, the latest first. */
export class Events {
  #model;
  #list = byId("events");
  #ofCalls = /** @type {HTMLInputElement} */ (byId("events-of-calls"));
  #isDue = false;

  /** @param {Model} model */
  constructor(model) {
    this.#model = model;
    this.#ofCalls.addEventListener("change", () => this.draw());
  }

  /** Whether events of calls are shown: they are many, so they are not even read else. */
  get wantsCalls() {
    return this.#ofCalls.checked;
  }

  /** Draws soon: many may come at once. */
  ask() {
    if (this.#isDue) return;
    this.#isDue = true;
    setTimeout(() => {
      this.#isDue = false;
      this.draw();
    }, 100);
  }

  draw() {
    const events = this.#model.events.filter(({ event }) => this.#ofCalls.checked || event !== OF_CALLS).slice(0, MAX_SHOWN);
    if (events.length === 0) {
      this.#list.replaceChildren(h("li", { class: "empty" }, "Nothing has happened yet."));
      return;
    }
    const kept = new Map([...this.#list.children].map((element) => [/** @type {HTMLElement} */ (element).dataset["id"], element]));
    this.#list.replaceChildren(
      ...events.map(
        (event) =>
          kept.get(event.id) ??
          h(
            "li",
            { "data-id": event.id, "data-tone": eventTone(event), title: event.event },
            h("time", { datetime: event.at }, moment(Date.parse(event.at))),
            h("span", {}, eventSentence(event)),
          ),
      ),
    );
  }
}
