/** Numbers, times and happenings in words. Nothing here knows of elements. */

/** @typedef {import("./model.js").Status} Status */
/** @typedef {import("./model.js").Load} Load */
/** @typedef {import("./model.js").HappenedEvent} HappenedEvent */

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const TENTHS = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

/** @type {Record<Status, string>} */
export const STATUS_WORDS = {
  up: "Up",
  probing: "Down, probed",
  disabled: "Disabled",
  draining: "Draining",
  breaker: "Breaker open",
  resting: "Resting",
  rate: "At its rate",
  withdrawn: "Withdrawn",
};

/** How a decision ended, by its code (OpenSIPS `lb_start`). */
export const DECISION_WORDS = /** @type {const} */ ([
  ["1", "placed"],
  ["-2", "all full"],
  ["-3", "none up"],
  ["-4", "no such resource"],
  ["-1", "failed"],
]);

/** @param {number} value */
export function number(value) {
  return Math.abs(value) < 100 ? TENTHS.format(value) : WHOLE.format(value);
}

/** @param {number} count @param {string} one @param {string} [many] */
export function counted(count, one, many = `${one}s`) {
  return `${WHOLE.format(count)} ${count === 1 ? one : many}`;
}

/** Time of day, as the clock on the wall has it. @param {number} ms since 1970 */
export function clock(ms) {
  const date = new Date(ms);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}

/** The same with the day where it is not today. @param {number} ms since 1970 */
export function moment(ms) {
  const date = new Date(ms);
  const day = [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
  return date.toDateString() === new Date().toDateString() ? clock(ms) : `${day} ${clock(ms)}`;
}

/** A length of time with its two largest parts. @param {number} ms */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days ${hours % 24} h`;
}

/** A length of time that need not move each second once it is more than a minute. @param {number} ms */
export function roughly(ms) {
  const minutes = Math.floor(ms / 60_000);
  return minutes >= 1 && minutes < 60 ? `${minutes} min` : span(ms);
}

/** @param {number} ms */
export function milliseconds(ms) {
  return `${number(ms < 10 ? ms : Math.round(ms))} ms`;
}

/** What a bar says: "12 of 30 channels, 18 free". @param {string} resource @param {Load} load */
export function barWords(resource, [load, max, capacity, remote, foreign]) {
  const used = load + foreign;
  const parts = [`${used} of ${max} ${resource}, ${Math.max(0, max - used)} free`];
  if (capacity > max) parts.push(`${capacity} when all is open`);
  if (remote > 0) parts.push(`${remote} of them on other nodes`);
  if (foreign > 0) parts.push(`${foreign} calls of others`);
  return parts.join(", ");
}

/** @type {Record<string, string>} */
const CAUSES = {
  mi: "by an operator",
  probe: "by a probe",
  script: "after a failed call",
  drain: "by the end of a drain",
  registration: "by its registration",
  breaker: "by its breaker",
  cluster: "by another node",
};
const DIALOG_STATES = ["", "unconfirmed", "ringing", "answered", "ongoing", "ended"];

/** @type {Record<string, (p: Record<string, any>) => string>} */
const SENTENCES = {
  E_LOAD_BALANCER_STATUS: (p) => `${at(p)} ${p.status} ${CAUSES[p.cause] ?? ""}`,
  E_LOAD_BALANCER_BREAKER: (p) =>
    `Breaker of ${at(p)} ${p.state === "trials" ? "lets trial calls through" : `is ${p.state}`} (${p.failures} of ${p.calls} calls failed)`,
  E_LOAD_BALANCER_REST: (p) => (p.seconds > 0 ? `${at(p)} rests for ${p.seconds} s, as it asked` : `Rest of ${at(p)} ended by an operator`),
  E_LOAD_BALANCER_DRAIN: (p) =>
    `Drain of ${at(p)} ${p.change}${p.reason === undefined ? `, load ${p.load}` : p.reason === "idle" ? ": no call is left" : `: time is up, load ${p.load}`}`,
  E_LOAD_BALANCER_GROUP: (p) =>
    `Group ${p.group} ${p.state === "raised" ? "has no destination that gets calls" : p.state === "recovered" ? "gets calls again" : "is not asked for any more"}`,
  E_LOAD_BALANCER_HEADROOM: (p) =>
    `Group ${p.group} ${p.state === "raised" ? "is low on" : "has enough of"} ${p.resource}: ${p.free} of ${p.capacity} free`,
  E_LOAD_BALANCER_AUDIT: (p) =>
    p.freeswitch === undefined
      ? `Load of ${p.pool ?? at(p)} was ${p.counted}, is ${p.true}: corrected`
      : `${p.freeswitch} has ${p.sessions} sessions, ${p.calls} calls are counted there`,
  E_DLG_STATE_CHANGED: (p) =>
    `Call ${p.callid} ${DIALOG_STATES[p.new_state] ?? p.new_state}${p.reason === undefined ? "" : ` (${p.reason})`}`,
  E_DLG_PING_OUTAGE: (p) => `Pings to ${p.address}: outage ${p.state}`,
  E_DISPATCHER_STATUS: (p) => `${p.address} of set ${p.group} ${p.status}`,
  "dispatcher:dst-down": (p) => `${p.uri} of set ${p.group} is down`,
  "dispatcher:dst-up": (p) => `${p.uri} of set ${p.group} is up`,
  E_CLUSTERER_NODE_STATE_CHANGED: (p) => `Node ${p.node_id} is ${p.new_state === 1 ? "up" : "down"}`,
  E_CLUSTERER_SHARING_TAG_CHANGED: (p) => `Tag ${p.name} is ${p.state} on this node (${p.reason})`,
  E_CLUSTERER_REDIS: (p) => `Redis is ${p.state}`,
  E_PIKE_BLOCKED: (p) => `${p.ip} sends too much and is banned`,
  E_PIKE_UNBLOCKED: (p) => `Ban of ${p.ip} has ended, ${p.refused} requests were refused`,
  E_OVERLOAD: (p) =>
    p.state === "began" ? `New calls are refused: ${p.cause}` : `New calls are taken again, ${p.refused ?? 0} were refused`,
  E_MANAGEMENT_CHANGE: (p) =>
    `${p.by}: ${changeWords(p.method, p.params)}${p.outcome === "done" ? "" : ` (${p.outcome}${p.reason === undefined ? "" : `: ${p.reason}`})`}`,
};

/** What a destination of an event is called. @param {Record<string, any>} params */
function at({ id, uri }) {
  return id === undefined ? `${uri}` : `#${id} ${uri}`;
}

/** An event as a sentence. @param {HappenedEvent} event */
export function eventSentence({ event, params }) {
  const sentence = Object.hasOwn(SENTENCES, event) ? SENTENCES[event] : undefined;
  try {
    if (sentence !== undefined) return sentence(params).trim();
  } catch {
    // Another node may have another version: what it tells must not end the list.
  }
  return `${event} ${JSON.stringify(params) ?? ""}`.trim();
}

/** How grave it is. @param {HappenedEvent} event @returns {"bad" | "good" | "note"} */
export function eventTone({ event, params }) {
  if (event === "E_LOAD_BALANCER_STATUS") return params.status === "disabled" ? "bad" : "good";
  if (event === "E_LOAD_BALANCER_BREAKER") return params.state === "closed" ? "good" : "bad";
  if (event === "E_LOAD_BALANCER_GROUP" || event === "E_LOAD_BALANCER_HEADROOM") return params.state === "raised" ? "bad" : "good";
  if (event === "E_OVERLOAD" || event === "E_DLG_PING_OUTAGE") return params.state === "began" ? "bad" : "good";
  if (event === "E_CLUSTERER_NODE_STATE_CHANGED") return params.new_state === 1 ? "good" : "bad";
  if (event === "E_CLUSTERER_REDIS") return params.state === "connected" ? "good" : "bad";
  if (event === "E_PIKE_BLOCKED" || event === "dispatcher:dst-down" || event === "E_LOAD_BALANCER_AUDIT") return "bad";
  if (event === "E_MANAGEMENT_CHANGE") return params.outcome === "done" ? "note" : "bad";
  return "note";
}

/**
 * What somebody asked management for.
 *
 * @param {string} method its newer name
 * @param {string} paramsText JSON, which may be cut off
 */
export function changeWords(method, paramsText) {
  const short = method.replace(/^load_balancer:/, "");
  /** @type {any} */
  let params;
  try {
    params = JSON.parse(paramsText);
  } catch {
    return `${method} ${paramsText ?? ""}`.trim();
  }
  const list = Array.isArray(params) ? params : Object.values(params ?? {});
  if (short === "status" && list.length === 2) return `${String(list[1]) === "0" ? "disable" : "enable"} destination ${list[0]}`;
  if (short === "resize" && list.length === 3) return `resize ${list[1]} of destination ${list[0]} to ${list[2]}`;
  if (short === "drain") {
    const until = Number(list[1] ?? 0) > 0 ? ` within ${span(Number(list[1]) * 1000)}` : "";
    return `drain destination ${list[0]}${until}${String(list[2] ?? 0) === "0" ? "" : ", then end its calls"}`;
  }
  if (short === "undrain") return `undo the drain of destination ${list[0]}`;
  if (short === "reload") return "reload the table of destinations";
  return `${method} ${list.join(" ")}`.trim();
}
