import { Calls } from "./calls.js";
import { Changes } from "./changes.js";
import { ClusterView } from "./cluster.js";
import { Destinations } from "./destinations.js";
import { closeDialogs } from "./dialogs.js";
import { byId, setText } from "./dom.js";
import { Events } from "./events.js";
import { Feed } from "./feed.js";
import { DestinationDialog } from "./manage.js";
import { Management } from "./mi.js";
import { Model } from "./model.js";
import { storageOf } from "./storage.js";
import { Tiles } from "./tiles.js";
import { clock, roughly, span } from "./words.js";

const TOKEN_KEY = "headroom-token";
const THEME_KEY = "headroom-theme";
const VIEWS = ["destinations", "calls", "changes", "events", "cluster"];
/** So an event of a call begins; they are passed over unread unless somebody wants to see them. */
const EVENT_OF_CALL = '"event":"E_DLG_STATE_CHANGED"';
const BEGIN_LENGTH = 120;

const tokens = storageOf("sessionStorage");
const themes = storageOf("localStorage");
const model = new Model();
const token = () => tokens.getItem(TOKEN_KEY);
const management = new Management(() => new URL((model.hello?.mi ?? "/mi").slice(1), document.baseURI), token);
const tiles = new Tiles(model);
const dialog = new DestinationDialog(model, management);
const destinations = new Destinations(model, (id) => dialog.open(id));
const calls = new Calls(model, management);
const changes = new Changes(management);
const events = new Events(model);
const cluster = new ClusterView();
const feed = new Feed({ url: new URL("dashboard/feed", document.baseURI), token, onFrame, onState });

/** What has to be drawn before the next frame; a page that nobody sees draws nothing. */
const due = { table: false, figures: false, totals: false };
let isAsked = false;

function ask() {
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(() => {
    isAsked = false;
    if (due.table) destinations.arrange();
    if (due.table || due.figures || due.totals) destinations.refresh();
    if (due.totals) {
      tiles.update();
      cluster.update(model.totals?.cluster ?? null);
    }
    if (due.table || due.figures) dialog.refresh();
    due.table = due.figures = due.totals = false;
  });
}

/** @param {string} name @param {string} data */
function onFrame(name, data) {
  if (name === "event" && !events.wantsCalls && data.slice(0, BEGIN_LENGTH).includes(EVENT_OF_CALL)) return;
  const value = JSON.parse(data);
  switch (name) {
    case "hello":
      model.hello = value;
      greet();
      break;
    case "table":
      model.setTable(value);
      due.table = true;
      break;
    case "figures":
      if (model.setFigures(value)) due.table = true;
      due.figures = true;
      break;
    case "totals":
      model.addTotals(value);
      identify();
      due.totals = true;
      break;
    case "event":
      if (!model.addEvent(value)) return;
      events.ask();
      if (value.event === "E_MANAGEMENT_CHANGE") void changes.ask();
      return;
    default:
      return;
  }
  ask();
}

/** @param {import("./model.js").Hello} hello @returns {string[]} what this balancer is called, as far as it is told from others */
function namesOf({ name, node }) {
  return [...(name === "" || /^headroom\b/i.test(name) ? [] : [name]), ...(node === null ? [] : [`node ${node}`])];
}

/** Which balancer this is, and for how long it has run: by its own clock, as that of this machine may be another. */
function identify() {
  const { hello, totals } = model;
  if (hello === undefined) return;
  const up = totals === undefined || totals.at < hello.startedAt ? [] : [`up ${roughly(totals.at - hello.startedAt)}`];
  setText(byId("identity"), [...namesOf(hello), `version ${hello.version}`, ...up].join(" · "));
}

function greet() {
  const { hello } = model;
  if (hello === undefined) return;
  identify();
  setText(byId("person"), hello.needsToken ? `${hello.by} · ${hello.role}` : hello.role);
  document.title = [...namesOf(hello), "Headroom"].join(" · ");
  byId("sign-out").hidden = token() === null;
  document.body.dataset["role"] = hello.role;
  route(); // views that wait for what the server offers
}

/** @type {ReturnType<typeof setInterval> | undefined} */
let countdown;

/** @param {import("./feed.js").FeedState} state */
function onState(state) {
  clearInterval(countdown);
  const { body } = document;
  const stale = byId("stale");
  const wait = byId("connection-wait");
  setText(wait, "");
  stale.hidden = state.kind === "live" || model.at === 0;
  body.dataset["connection"] = state.kind;
  switch (state.kind) {
    case "live":
      body.dataset["state"] = "board";
      setText(byId("connection-text"), "Live");
      calls.show(false);
      route();
      return;
    case "connecting":
      if (model.at === 0) setText(byId("connection-text"), "Connecting");
      return;
    case "unauthorized":
      tokens.removeItem(TOKEN_KEY);
      closeDialogs(); // beneath one nobody could type a token
      calls.show(false);
      changes.show(false);
      body.dataset["state"] = "sign-in";
      setText(byId("connection-text"), "Signed out");
      setText(byId("sign-in-refusal"), state.why === "" ? "" : "This token is not accepted.");
      byId("token").focus();
      stale.hidden = true;
      return;
    case "waiting": {
      body.dataset["state"] = "board";
      calls.show(false);
      changes.show(false);
      setText(byId("connection-text"), `No connection: ${state.why}`);
      setText(stale, model.at === 0 ? "" : `These figures are those of ${clock(model.at)}. The page comes back by itself.`);
      const tick = () => setText(wait, `, next try in ${span(state.untilMs - Date.now())}`);
      tick();
      countdown = setInterval(tick, 1000);
    }
  }
}

function route() {
  const asked = location.hash.slice(1);
  const view = VIEWS.includes(asked) ? asked : "destinations";
  document.body.dataset["view"] = view;
  for (const link of document.querySelectorAll("#views a")) {
    if (link.getAttribute("href") === `#${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const isLive = document.body.dataset["connection"] === "live" && model.hello !== undefined;
  calls.show(isLive && view === "calls");
  changes.show(isLive && view === "changes");
  destinations.render();
}

function signIn() {
  byId("sign-in-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const input = /** @type {HTMLInputElement} */ (byId("token"));
    tokens.setItem(TOKEN_KEY, input.value.trim());
    input.value = "";
    setText(byId("sign-in-refusal"), "");
    feed.start();
  });
  byId("sign-out").addEventListener("click", () => {
    tokens.removeItem(TOKEN_KEY);
    location.reload(); // nothing of what was seen stays
  });
}

function theme() {
  const select = /** @type {HTMLSelectElement} */ (byId("theme"));
  const { dataset } = document.documentElement;
  select.value = dataset["theme"] ?? "auto";
  select.addEventListener("change", () => {
    if (select.value === "auto") {
      delete dataset["theme"];
      themes.removeItem(THEME_KEY);
    } else {
      dataset["theme"] = select.value;
      themes.setItem(THEME_KEY, select.value);
    }
    tiles.redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => tiles.redraw());
}

/** `/` goes to the filter, or to the search of calls. @param {KeyboardEvent} event */
function onKey(event) {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target instanceof Element && event.target.closest("input, select, textarea, dialog") !== null) return;
  if (document.body.dataset["state"] !== "board") return;
  event.preventDefault();
  if (document.body.dataset["view"] === "calls") {
    calls.focusSearch();
    return;
  }
  if (document.body.dataset["view"] !== "destinations") location.hash = "#destinations";
  document.body.dataset["view"] = "destinations"; // the hash tells later, and what is hidden takes no focus
  destinations.focusFilter();
}

theme();
signIn();
route();
events.draw();
addEventListener("hashchange", route);
addEventListener("keydown", onKey);
addEventListener("online", () => feed.isWaiting && feed.start());
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && feed.isWaiting && feed.start());
feed.start();
