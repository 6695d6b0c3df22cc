import { byId, h } from "./dom.js";
import { changeWords, moment } from "./words.js";

/** @typedef {{ serial: number, by: string, client: string, method: string, params: string, outcome: string, reason?: string, at: string }} Change */

/** Who has changed what: the audit log of management. */
export class Changes {
  #management;
  #box = byId("changes");
  #isShown = false;

  /** @param {import("./mi.js").Management} management */
  constructor(management) {
    this.#management = management;
  }

  /** @param {boolean} isShown */
  show(isShown) {
    this.#isShown = isShown;
    if (isShown) void this.ask();
  }

  /** There may be a new one. */
  async ask() {
    if (!this.#isShown) return;
    try {
      const { Changes: changes } = /** @type {{ Changes: Change[] }} */ (await this.#management.ask("audit_log", [100]));
      this.#draw(changes.reverse());
    } catch (error) {
      this.#box.replaceChildren(h("p", { role: "alert", class: "refusal" }, error instanceof Error ? error.message : String(error)));
    }
  }

  /** @param {Change[]} changes */
  #draw(changes) {
    if (changes.length === 0) {
      this.#box.replaceChildren(h("p", { class: "empty" }, "Nobody has changed anything since the start."));
      return;
    }
    const heads = ["When", "Who", "From", "What", "Outcome"];
    this.#box.replaceChildren(
      h(
        "table",
        { class: "cards", "aria-labelledby": "title-changes" },
        h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
        h(
          "tbody",
          {},
          ...changes.map(({ by, client, method, params, outcome, reason, at }) =>
            h(
              "tr",
              {},
              h("td", { "data-head": "When", class: "number" }, h("time", { datetime: at }, moment(Date.parse(at)))),
              h("td", { "data-head": "Who" }, h("strong", {}, by)),
              h("td", { "data-head": "From", class: "uri" }, client),
              h("td", { "data-head": "What" }, changeWords(method, params)),
              h(
                "td",
                { "data-head": "Outcome" },
                h("span", { class: "outcome", "data-outcome": outcome }, outcome),
                reason === undefined ? null : h("span", { class: "quiet" }, ` ${reason}`),
              ),
            ),
          ),
        ),
      ),
    );
  }
}
