import { Chart } from "./charts.js";
import { byId, h, setText } from "./dom.js";
import { SERIES } from "./model.js";
import { clock, DECISION_WORDS, milliseconds, number } from "./words.js";

/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").Totals} Totals */
/** @typedef {(typeof SERIES)[number]} SeriesName */

/**
 * @typedef {object} TileSpec
 * @property {string} title
 * @property {SeriesName[]} lines
 * @property {(totals: Totals) => string} value
 * @property {(totals: Totals, model: Model) => string} below
 * @property {(value: number) => string} [format]
 */

/** @type {TileSpec[]} */
const TILES = [
  {
    title: "Calls",
    lines: ["calls"],
    value: ({ calls }) => number(calls),
    below: ({ early }) => (early === 0 ? "ongoing" : `ongoing, ${number(early)} of them ringing`),
  },
  {
    title: "Calls a second",
    lines: ["cps"],
    value: ({ cps }) => number(cps),
    below: (_, model) => `at most ${number(most(model, "cps"))} in ten minutes`,
  },
  {
    title: "Decisions a second",
    lines: ["placed", "notPlaced"],
    value: ({ decisionsPerSecond: now }) => number(Object.values(now).reduce((sum, count) => sum + count, 0)),
    below: ({ decisions, refused }) =>
      [
        ...DECISION_WORDS.filter(([code]) => code === "1" || (decisions[code] ?? 0) > 0).map(
          ([code, words]) => `${number(decisions[code] ?? 0)} ${words}`,
        ),
        ...(refused > 0 ? [`${number(refused)} refused by overload`] : []),
      ].join(", "),
  },
  {
    title: "Failovers",
    lines: ["failovers"],
    value: ({ failovers }) => number(failovers),
    below: (_, model) => `since the start, ${number(sum(model, "failovers"))} in ten minutes`,
  },
  {
    title: "Lag",
    lines: ["lagMs"],
    value: ({ lagMs }) => milliseconds(lagMs),
    below: ({ memoryMb }) => `of the event loop, ${number(Math.round(memoryMb))} MB in use`,
    format: milliseconds,
  },
];

/** The figures of the last ten minutes, each with a chart. */
export class Tiles {
  #model;
  /** @type {Tile[]} */
  #tiles;

  /** @param {Model} model */
  constructor(model) {
    this.#model = model;
    this.#tiles = TILES.map((spec) => new Tile(spec, model));
    byId("tiles").append(...this.#tiles.map(({ element }) => element));
  }

  update() {
    const { totals } = this.#model;
    if (totals !== undefined) for (const tile of this.#tiles) tile.update(totals);
  }

  redraw() {
    for (const tile of this.#tiles) tile.redraw();
  }
}

class Tile {
  #spec;
  #model;
  #value = h("p", { class: "value" });
  #below = h("p", { class: "quiet below" });
  #chart;
  /** Sample that the pointer is at. @type {number | null} */
  #point = null;
  element;

  /** @param {TileSpec} spec @param {Model} model */
  constructor(spec, model) {
    this.#spec = spec;
    this.#model = model;
    this.#chart = new Chart(spec.lines, (index) => {
      this.#point = index;
      if (model.totals !== undefined) this.#texts(model.totals);
    });
    this.element = h("article", { class: "tile card" }, h("h2", {}, spec.title), this.#value, this.#below, this.#chart.element);
  }

  /** @param {Totals} totals */
  update(totals) {
    const { title, lines, format = number } = this.#spec;
    this.#texts(totals);
    const data = /** @type {import("./uplot.js").default.AlignedData} */ ([
      listOf(this.#model, "at"),
      ...lines.map((line) => listOf(this.#model, line)),
    ]);
    const known = listOf(this.#model, lines[0] ?? "calls").filter((value) => value !== null);
    const range = known.length === 0 ? "no figure yet" : `from ${format(Math.min(...known))} to ${format(Math.max(...known))}`;
    this.#chart.update(data, `${title}, the last ten minutes: ${range}`);
  }

  redraw() {
    this.#chart.redraw();
  }

  /** @param {Totals} totals */
  #texts(totals) {
    const { lines, value, below, format = number } = this.#spec;
    const at = this.#point === null ? null : listOf(this.#model, "at")[this.#point];
    const values = lines.map((line) => listOf(this.#model, line)[this.#point ?? -1]);
    const [first] = values;
    if (at === null || at === undefined || first === null || first === undefined) {
      setText(this.#value, value(totals));
      setText(this.#below, below(totals, this.#model));
      return;
    }
    setText(this.#value, format(first));
    setText(this.#below, `at ${clock(at * 1000)}${values[1] ? `, ${number(values[1])} not placed` : ""}`);
  }
}

/** @param {Model} model @param {SeriesName} name @returns {(number | null)[]} */
function listOf(model, name) {
  return model.series[SERIES.indexOf(name)] ?? [];
}

/** @param {Model} model @param {SeriesName} name */
function most(model, name) {
  return listOf(model, name).reduce((/** @type {number} */ max, value) => Math.max(max, value ?? 0), 0);
}

/** @param {Model} model @param {SeriesName} name */
function sum(model, name) {
  return listOf(model, name).reduce((/** @type {number} */ all, value) => all + (value ?? 0), 0);
}
