import { Bar } from "./bar.js";
import { whyOf } from "./destinations.js";
import { openDialog } from "./dialogs.js";
import { h, setAttribute, setText } from "./dom.js";
import { counted, milliseconds, STATUS_WORDS } from "./words.js";

/** @typedef {import("./model.js").Destination} Destination */
/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./mi.js").Management} Management */

/**
 * Something that can be done to a destination.
 *
 * @typedef {object} Action
 * @property {string} title of its button
 * @property {string} question
 * @property {string} confirm
 * @property {string} method without which it is not offered
 * @property {string[]} effects what will happen, sentence by sentence
 * @property {() => { fields: Node[], params: () => unknown[] | undefined }} form
 */

const MAX_DRAIN_MINUTES = 10_080;
const PROBE_WORDS = ["never", "while it is disabled by a probe or a failed call", "always"];

/** The dialog of one destination: what is known of it, and what can be done to it. */
export class DestinationDialog {
  #model;
  #management;
  #id = 0;
  /** @type {HTMLDialogElement | undefined} */
  #dialog;
  #content = h("div");
  /** @type {(() => void) | undefined} */
  #refresh;

  /** @param {Model} model @param {Management} management */
  constructor(model, management) {
    this.#model = model;
    this.#management = management;
  }

  /** @param {number} id */
  open(id) {
    if (this.#model.byId.get(id) === undefined) return;
    this.#id = id;
    this.#content = h("div");
    this.#dialog = openDialog(`Destination ${id}`, [this.#content], { onClose: () => this.#closed() });
    this.#showDetails();
  }

  /** There are new figures. */
  refresh() {
    this.#refresh?.();
  }

  #closed() {
    this.#dialog = undefined;
    this.#refresh = undefined;
  }

  /** @param {string} [done] what was just done */
  #showDetails(done) {
    const destination = this.#model.byId.get(this.#id);
    if (destination === undefined) {
      this.#showGone(done);
      return;
    }
    const { uri, group, attrs, probe, resources } = destination;
    const status = h("span", { class: "status" });
    const why = h("span");
    const latency = h("dd");
    const calls = h("dd");
    const bars = resources.map(() => new Bar());
    const buttons = h("div", { class: "actions", role: "group", "aria-label": "Actions" });
    const cell = h("dd", { class: "row-status" }, status, " ", why);
    let offered = "";
    const refresh = () => {
      const now = this.#model.byId.get(this.#id);
      const figures = now?.figures;
      if (now === undefined || !isSame(now, destination)) {
        this.#showDetails(now === undefined ? done : "The table has changed: this is what has the id now.");
        return;
      }
      if (figures === undefined) {
        setText(status, "");
        return;
      }
      setAttribute(cell, "data-status", figures.status);
      setText(status, STATUS_WORDS[figures.status]);
      setText(why, whyOf(figures));
      setText(calls, counted(figures.calls, "call"));
      const { probeMs, probeAvgMs, lastCode } = figures;
      const times =
        probeMs === null
          ? "no answer yet"
          : `${milliseconds(probeMs)}${probeAvgMs === null ? "" : `, ${milliseconds(probeAvgMs)} on average`}`;
      setText(
        latency,
        `${PROBE_WORDS[probe] ?? ""}${probe === 0 ? "" : `; ${times}${lastCode === null ? "" : `, last answer ${lastCode}`}`}`,
      );
      for (const [i, bar] of bars.entries()) bar.update(resources[i] ?? "", figures.loads[i], false);
      const actions = this.#actions(now);
      const titles = actions.map(({ title }) => title).join();
      if (titles === offered) return;
      offered = titles;
      const reason = this.#reasonAgainst();
      const focused = buttons.contains(document.activeElement) ? document.activeElement?.textContent : undefined;
      buttons.replaceChildren(
        ...actions.map((action) =>
          h("button", { type: "button", disabled: reason !== undefined, onclick: () => this.#confirm(action) }, `${action.title}…`),
        ),
        ...(reason === undefined ? [] : [h("p", { class: "quiet" }, reason)]),
      );
      if (focused === undefined) return;
      const next = [...buttons.querySelectorAll("button")].find(({ textContent }) => textContent === focused);
      (next ?? this.#dialog?.querySelector("h2"))?.focus();
    };
    this.#content.replaceChildren(
      h("p", { class: "done", role: "status" }, done ?? ""),
      h(
        "dl",
        { class: "facts" },
        h("dt", {}, "Address"),
        h("dd", { class: "uri" }, uri),
        h("dt", {}, "Status"),
        cell,
        h("dt", {}, "Calls"),
        calls,
        h("dt", {}, "Group"),
        h("dd", {}, `${group}${this.#model.groups.get(group) === undefined ? "" : ` ${this.#model.groups.get(group)}`}`),
        ...(attrs === null || attrs === "" ? [] : [h("dt", {}, "Attributes"), h("dd", { class: "uri" }, attrs)]),
        h("dt", {}, "Probed"),
        latency,
      ),
      h("div", { class: "bars" }, ...bars.map(({ element }) => element)),
      buttons,
    );
    this.#refresh = refresh;
    refresh();
    if (done !== undefined) this.#dialog?.querySelector("h2")?.focus();
  }

  /** It has left the table. @param {string} [done] what was just done */
  #showGone(done) {
    this.#refresh = undefined;
    this.#content.replaceChildren(
      h("p", { class: "done", role: "status" }, done ?? ""),
      h("p", { role: "status" }, "It is no longer in the table, so nothing can be done to it."),
    );
    this.#dialog?.querySelector("h2")?.focus();
  }

  /** Why this person may not change anything; undefined: he may. */
  #reasonAgainst() {
    const { hello } = this.#model;
    return hello?.role === "operator"
      ? undefined
      : `You are ${hello?.by ?? "a viewer"}, with role viewer: a token with role operator is wanted to change something.`;
  }

  /** What will be written down of who did it. */
  #signature() {
    const { hello } = this.#model;
    return hello?.needsToken
      ? `The audit log will say that ${hello.by} did it.`
      : "The audit log will have your address: nobody needs a token here, so there is no name.";
  }

  /** @param {Destination} destination @returns {Action[]} */
  #actions(destination) {
    const { id, figures, resources } = destination;
    if (figures === undefined) return [];
    const { status, why, calls } = figures;
    const goOn =
      calls === 0
        ? "It has no call now."
        : `The ${counted(calls, "call")} that it has go${calls === 1 ? "es" : ""} on and stay${calls === 1 ? "s" : ""} counted.`;
    const fixed = (/** @type {unknown[]} */ params) => () => ({ fields: [], params: () => params });
    const isDrained = status === "draining" || (status === "disabled" && /drain/i.test(why));
    /** @type {(Action | false)[]} */
    const all = [
      status !== "draining" &&
        status !== "disabled" && {
          title: "Drain",
          question: `Drain destination ${id}?`,
          confirm: "Drain",
          method: "lb_drain",
          effects: [
            "New calls go to other destinations at once.",
            goOn,
            "When the last one has ended it is disabled, until somebody enables it or undoes the drain.",
          ],
          form: () => drainForm(id),
        },
      isDrained && {
        title: "Undo the drain",
        question: `Undo the drain of destination ${id}?`,
        confirm: "Undo the drain",
        method: "lb_undrain",
        effects: ["It gets the status back that it had before the drain: new calls come at once if it was up."],
        form: fixed([id]),
      },
      status !== "disabled" && {
        title: "Disable",
        question: `Disable destination ${id}?`,
        confirm: "Disable",
        method: "lb_status",
        effects: [
          "New calls go to other destinations at once.",
          goOn,
          "It stays disabled whatever its probes say, also after a restart, until somebody enables it.",
        ],
        form: fixed([id, 0]),
      },
      status !== "up" &&
        status !== "rate" && {
          title: "Enable",
          question: `Enable destination ${id}?`,
          confirm: "Enable",
          method: "lb_status",
          effects: ["New calls may come at once.", "A rest that it asked for ends, its breaker closes, a drain is undone."],
          form: fixed([id, 1]),
        },
      resources.length > 0 && {
        title: "Resize",
        question: `Resize destination ${id}`,
        confirm: "Resize",
        method: "lb_resize",
        effects: [
          "The new capacity holds at once and after a restart, until the row in the database says another one. The row itself is not changed.",
        ],
        form: () => resizeForm(destination),
      },
    ];
    // A viewer is told of none of them, and sees what others may do.
    const { methods = [], role } = this.#model.hello ?? {};
    return all.filter((action) => action !== false).filter(({ method }) => role !== "operator" || methods.includes(method));
  }

  /** @param {Action} action */
  #confirm(action) {
    this.#refresh = undefined;
    const destination = this.#model.byId.get(this.#id);
    const { fields, params } = action.form();
    const refusal = h("p", { role: "alert", class: "refusal" });
    const confirm = h("button", { type: "submit", class: "main" }, action.confirm);
    const question = h("h3", { tabindex: -1 }, action.question);
    const form = h(
      "form",
      { class: "confirm" },
      question,
      h("p", { class: "uri" }, destination?.uri ?? ""),
      h("ul", {}, ...action.effects.map((text) => h("li", {}, text))),
      ...fields,
      h("p", { class: "quiet" }, this.#signature()),
      refusal,
      h("div", { class: "actions" }, confirm, h("button", { type: "button", onclick: () => this.#showDetails() }, "Cancel")),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const given = params();
      if (given === undefined) return;
      const now = this.#model.byId.get(this.#id);
      if (now === undefined || destination === undefined || !isSame(now, destination)) {
        setText(
          refusal,
          "Not done: the table has changed meanwhile, and this id is another destination now, or none. Close this and look again.",
        );
        return;
      }
      confirm.disabled = true;
      setText(refusal, "");
      try {
        await this.#management.ask(action.method, given);
        if (form.isConnected) this.#showDetails(`Done: ${action.title.toLowerCase()}.`);
      } catch (error) {
        setText(refusal, error instanceof Error ? error.message : String(error));
      } finally {
        confirm.disabled = false;
      }
    });
    this.#content.replaceChildren(form);
    /** @type {HTMLElement} */ (form.querySelector("input, select") ?? question).focus();
  }
}

/** Whether an id still means what it meant: a reload may give it to another. @param {Destination} now @param {Destination} before */
function isSame(now, before) {
  return now.uri === before.uri && now.group === before.group && now.resources.join() === before.resources.join();
}

/** @param {number} id @returns {{ fields: Node[], params: () => unknown[] }} */
function drainForm(id) {
  const minutes = h("input", { type: "number", min: 0, max: MAX_DRAIN_MINUTES, step: 1, value: 0, inputmode: "numeric", required: true });
  const bye = h("input", { type: "checkbox", disabled: true });
  minutes.addEventListener("input", () => {
    bye.disabled = !(minutes.valueAsNumber > 0);
    if (bye.disabled) bye.checked = false;
  });
  return {
    fields: [
      h("label", { class: "field" }, "Minutes after which it is disabled all the same; 0: whenever its calls have ended", minutes),
      h("label", { class: "check" }, bye, "End the calls that are left then: both sides get a BYE"),
    ],
    params: () => {
      const seconds = (minutes.valueAsNumber || 0) * 60;
      return seconds === 0 ? [id] : bye.checked ? [id, seconds, 1] : [id, seconds];
    },
  };
}

/** @param {Destination} destination @returns {{ fields: Node[], params: () => unknown[] }} */
function resizeForm(destination) {
  const { id, resources } = destination;
  const select = h("select", {}, ...resources.map((name) => h("option", { value: name }, name)));
  const capacity = h("input", { type: "number", min: 0, max: 4_294_967_295, step: 1, inputmode: "numeric", required: true });
  const change = h("output", { class: "change" });
  const current = () => destination.figures?.loads[resources.indexOf(select.value)] ?? [0, 0, 0, 0, 0];
  const show = () => {
    const [load, , before, , foreign] = current();
    const after = capacity.valueAsNumber;
    if (Number.isNaN(after)) return setText(change, "");
    const free = after - load - foreign;
    const then =
      free >= 0
        ? `${load + foreign} in use: ${Math.max(0, before - load - foreign)} free become ${free}`
        : `${load + foreign} in use: the ${counted(-free, "call")} too many go on, new ones come when less than ${after} are left`;
    setText(change, `${select.value}: ${before} → ${after}. ${then}.`);
  };
  const choose = () => {
    capacity.value = String(current()[2]);
    show();
  };
  select.addEventListener("change", choose);
  capacity.addEventListener("input", show);
  choose();
  return {
    fields: [h("label", { class: "field" }, "Resource", select), h("label", { class: "field" }, "New capacity", capacity), change],
    params: () => [id, select.value, capacity.valueAsNumber],
  };
}
