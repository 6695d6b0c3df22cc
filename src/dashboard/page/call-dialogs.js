import { openDialog } from "./dialogs.js";
import { h } from "./dom.js";
import { columnsOf, labelOf } from "./ladder.js";
import { clock, counted, DECISION_WORDS } from "./words.js";

/** @typedef {import("./mi.js").Management} Management */
/** @typedef {import("./ladder.js").Message} Message */
/** @typedef {{ name: string, load: number, max: number, slot: number, own?: number }} LookedResource */
/** @typedef {{ id: number, uri: string, Resources: LookedResource[], score?: number, chosen?: boolean, skipped?: string, reason?: string }} Looked */
/** @typedef {{ at: string, attempt: number, group: number, resources: string, flags: string, code: number, summary: string, Destinations: Looked[], destinations_omitted?: number }} Decision */

/**
 * Why a call went where it went: each decision with the destinations that were looked at.
 *
 * @param {Management} management @param {string} callId
 */
export async function explain(management, callId) {
  const content = h("div", {}, h("p", { role: "status" }, "Asking …"));
  openDialog("Why did this call go there?", [h("p", { class: "uri" }, callId), content], { isWide: true });
  try {
    const { Decisions: decisions } = /** @type {{ Decisions: Decision[] }} */ (await management.ask("lb_explain", [callId]));
    content.replaceChildren(...decisions.map(decisionOf));
  } catch (error) {
    content.replaceChildren(refusalOf(error, "Nothing is remembered of this call: it took no decision here, or it was too long ago."));
  }
}

/** @param {Decision} decision */
function decisionOf({ at, attempt, group, resources, flags, code, summary, Destinations: looked, destinations_omitted: omitted = 0 }) {
  const outcome = DECISION_WORDS.find(([known]) => known === String(code))?.[1] ?? `code ${code}`;
  const heading = attempt === 1 ? "First choice" : `Attempt ${attempt}`;
  const rows = looked.map(({ id, uri, Resources, score, chosen, reason, skipped }) =>
    h(
      "tr",
      { class: chosen ? "chosen" : false },
      h("td", { "data-head": "Destination" }, h("div", {}, h("span", { class: "number" }, `${id} `), h("span", { class: "uri" }, uri))),
      h(
        "td",
        { "data-head": "Load" },
        ...Resources.map(({ name, load, max, slot }) => h("div", {}, `${name} ${load}\u00a0/\u00a0${max}, slot\u00a0${slot}`)),
      ),
      h("td", { "data-head": "Score", class: "number" }, score ?? ""),
      h("td", { "data-head": "Outcome" }, chosen ? h("strong", {}, "Chosen") : (reason ?? skipped ?? "")),
    ),
  );
  return h(
    "section",
    { class: "decision" },
    h("h3", {}, `${heading}: ${outcome}`),
    h("p", {}, `${summary[0]?.toUpperCase() ?? ""}${summary.slice(1)}.`),
    h(
      "p",
      { class: "quiet" },
      `At ${clock(Date.parse(at))}; group ${group}, resources ${resources}${flags === "" ? "" : `, flags ${flags}`}`,
    ),
    rows.length === 0
      ? null
      : h(
          "div",
          { class: "scrolls", tabindex: 0, role: "region", "aria-label": `Destinations of ${heading.toLowerCase()}` },
          h(
            "table",
            { class: "cards", "aria-label": `Destinations of ${heading.toLowerCase()}` },
            h("thead", {}, h("tr", {}, ...["Destination", "Load", "Score", "Outcome"].map((text) => h("th", { scope: "col" }, text)))),
            h("tbody", {}, ...rows),
          ),
        ),
    omitted > 0 ? h("p", { class: "quiet" }, `Looked at, too: ${counted(omitted, "further destination")}.`) : null,
  );
}

/**
 * The messages of a call as a ladder; each opens to show it in full.
 *
 * @param {Management} management @param {string} callId
 */
export async function showMessages(management, callId) {
  const content = h("div", {}, h("p", { role: "status" }, "Asking …"));
  openDialog("Messages of a call", [h("p", { class: "uri" }, callId), content], { isWide: true });
  try {
    const { Messages: messages, messages_omitted: omitted = 0 } = /** @type {{ Messages: Message[], messages_omitted?: number }} */ (
      await management.ask("capture", [callId])
    );
    content.replaceChildren(
      ladderOf(messages),
      ...(omitted > 0 ? [h("p", { class: "quiet" }, `Not shown: ${counted(omitted, "further message")}.`)] : []),
    );
  } catch (error) {
    content.replaceChildren(refusalOf(error, "No message of this call is remembered any more."));
  }
}

/** @param {Message[]} messages */
function ladderOf(messages) {
  const { columns, columnOf } = columnsOf(messages);
  const own = 1;
  const startMs = Date.parse(messages[0]?.time ?? "");
  const head = h("div", { class: "sides", "aria-hidden": "true" }, h("span"), ...columns.map((name) => h("span", { title: name }, name)));
  const rungs = messages.map((message, i) => {
    const other = columnOf(message);
    const [from, to] = message.direction === "in" ? [other, own] : [own, other];
    const ms = Date.parse(message.time) - startMs;
    const time = i === 0 ? clock(startMs) : `+${(ms / 1000).toFixed(3)}`;
    const label = labelOf(message);
    const arrow = h("span", { class: `rung ${from < to ? "to-right" : "to-left"}` }, h("span", { class: "rung-label" }, label));
    arrow.style.gridColumn = `${Math.min(from, to) + 2} / ${Math.max(from, to) + 2}`;
    arrow.style.setProperty("--span", String(Math.max(1, Math.abs(to - from))));
    const way = `${time} s: ${message.remote} ${message.direction === "in" ? "sends" : "gets"} ${label}`;
    const lanes = h("span", { class: "lanes", "aria-hidden": "true" }, h("span", { class: "time" }, time), arrow);
    const summary = h("summary", {}, h("span", { class: "unseen" }, way), lanes);
    lanes.style.setProperty("--sides", String(columns.length));
    return h(
      "li",
      {},
      h(
        "details",
        {},
        summary,
        h(
          "p",
          { class: "quiet" },
          `${message.transport} ${message.local} ${message.direction === "in" ? "←" : "→"} ${message.remote}, ${message.time}`,
        ),
        h("pre", { tabindex: 0 }, message.message.trimEnd()),
      ),
    );
  });
  head.style.setProperty("--sides", String(columns.length));
  return h("div", { class: "ladder" }, head, h("ol", {}, ...rungs));
}

/** @param {unknown} error @param {string} sentence for a call that is not known */
function refusalOf(error, sentence) {
  const isUnknown = error instanceof Error && "code" in error && error.code === 404;
  return h("p", { role: "alert", class: "refusal" }, isUnknown ? sentence : error instanceof Error ? error.message : String(error));
}
