import { explain, showMessages } from "./call-dialogs.js";
import { byId, h, setText } from "./dom.js";
import { counted, number, span } from "./words.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./mi.js").Management} Management */
/** @typedef {{ ID: string, callid: string, from_uri: string, to_uri: string, state: number, timestart: number, destinations: { id: number, uri: string, resources: string[] }[] }} FoundCall */

const TYPING_MS = 300;
const REFRESH_MS = 5_000;
/** Calls that are asked for. */
const COUNT = 50;
const STATES = ["", "Unconfirmed", "Ringing", "Answered", "Ongoing", "Ended"];

/** Ongoing calls with a search; of each, also of one that has ended, why it went where it went and its messages. */
export class Calls {
  #model;
  #management;
  #search = /** @type {HTMLInputElement} */ (byId("calls-search"));
  #shown = byId("calls-shown");
  #over = byId("calls-over");
  #box = byId("calls");
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Answers of older questions are passed over. */
  #question = 0;
  #isShown = false;

  /** @param {Model} model @param {Management} management */
  constructor(model, management) {
    this.#model = model;
    this.#management = management;
    this.#search.addEventListener("input", () => this.#later(TYPING_MS));
  }

  focusSearch() {
    this.#search.focus();
    this.#search.select();
  }

  /** @param {boolean} isShown */
  show(isShown) {
    if (isShown === this.#isShown) return;
    this.#isShown = isShown;
    if (isShown) this.#later(0);
    else clearTimeout(this.#timer);
  }

  /** @param {number} ms */
  #later(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(), ms);
  }

  async #ask() {
    if (!this.#isShown || this.#model.hello === undefined) return;
    this.#question += 1;
    const question = this.#question;
    const text = this.#search.value.trim();
    this.#over.replaceChildren(...(text === "" ? [] : this.#buttons(text, "this Call-ID, ongoing or over")));
    try {
      if (!this.#model.hello.methods.includes("dlg_find")) throw new Error("This server does not offer the search of calls");
      const answer = await this.#management.ask("dlg_find", [text, COUNT]);
      if (question !== this.#question) return;
      this.#list(answer.Dialogs ?? [], answer.matches ?? 0, text);
    } catch (error) {
      if (question !== this.#question) return;
      this.#box.replaceChildren(h("p", { role: "alert", class: "refusal" }, error instanceof Error ? error.message : String(error)));
    }
    this.#later(REFRESH_MS);
  }

  /** @param {FoundCall[]} calls @param {number} matches how many there are in all @param {string} text */
  #list(calls, matches, text) {
    // While somebody stands on a button the list stays: what is under a finger must not become something else.
    const isHeld = this.#box.contains(document.activeElement);
    const count = matches > calls.length ? `the latest ${calls.length} of ${number(matches)}` : counted(calls.length, "call");
    setText(this.#shown, isHeld ? `${count}; the list stands still while you are in it` : count);
    if (isHeld) return;
    if (calls.length === 0) {
      const sentence =
        text === ""
          ? "No call is ongoing."
          : "No ongoing call matches. Of one that is over give the whole Call-ID: its decisions and messages are remembered for a while.";
      this.#box.replaceChildren(h("p", { class: "empty" }, sentence));
      return;
    }
    const heads = ["State", "Since", "From", "To", "Destination", "Call-ID", "Look at"];
    this.#box.replaceChildren(
      h(
        "table",
        { class: "cards", "aria-labelledby": "title-calls" },
        h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", {}, ...calls.map((call) => this.#row(call))),
      ),
    );
  }

  /** @param {FoundCall} call */
  #row({ callid, from_uri: from, to_uri: to, state, timestart, destinations }) {
    const since = timestart > 0 ? span(Date.now() - timestart * 1000) : "";
    const where = destinations.map(({ id, uri, resources }) =>
      h(
        "div",
        {},
        h("span", { class: "number" }, `${id} `),
        h("span", { class: "uri" }, uri),
        h("span", { class: "quiet" }, ` ${resources.join(", ")}`),
      ),
    );
    /** @type {[string, (Node | string)[], string][]} */
    const cells = [
      ["State", [STATES[state] ?? `${state}`], "number"],
      ["Since", [since], "number"],
      ["From", [from], "uri"],
      ["To", [to], "uri"],
      ["Destination", where.length === 0 ? ["none counted"] : where, ""],
      ["Call-ID", [callid], "uri"],
      ["Look at", this.#buttons(callid, `call ${callid}`), "buttons"],
    ];
    return h("tr", {}, ...cells.map(([head, content, name]) => h("td", { class: name, "data-head": head }, ...content)));
  }

  /** @param {string} callId @param {string} name what the buttons are about @returns {HTMLElement[]} */
  #buttons(callId, name) {
    const methods = this.#model.hello?.methods ?? [];
    const all = [
      { method: "lb_explain", text: "Explain", run: () => explain(this.#management, callId) },
      { method: "capture", text: "Messages", run: () => showMessages(this.#management, callId) },
    ];
    return all
      .filter(({ method }) => methods.includes(method))
      .map(({ text, run }) => h("button", { type: "button", "aria-label": `${text}: ${name}`, onclick: () => void run() }, text));
  }
}
