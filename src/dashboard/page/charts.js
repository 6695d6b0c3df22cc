import { h } from "./dom.js";
import UPlot from "./uplot.js";

const WINDOW_S = 600;

/** A small chart of the last ten minutes, without axes: the tile says what the numbers are, the pointer what they were. */
export class Chart {
  #box = h("div", { class: "chart", role: "img" });
  /** @type {UPlot | undefined} */
  #plot;
  /** @type {UPlot.AlignedData} */
  #data;
  #names;
  #onPoint;
  element = this.#box;

  /**
   * @param {string[]} names of the lines, which have classes `line-NAME`
   * @param {(index: number | null) => void} onPoint the pointer is at this sample, or away
   */
  constructor(names, onPoint) {
    this.#names = names;
    this.#onPoint = onPoint;
    this.#data = [[], ...names.map(() => [])];
    new ResizeObserver(() => this.#fit()).observe(this.#box);
  }

  /** @param {UPlot.AlignedData} data seconds since 1970, then a list for each line @param {string} words for who does not see it */
  update(data, words) {
    this.#data = data;
    if (this.#box.getAttribute("aria-label") !== words) this.#box.setAttribute("aria-label", words);
    this.#plot?.setData(data);
  }

  /** Other colours. */
  redraw() {
    this.#plot?.redraw(false, false);
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.#box;
    if (width === 0) return;
    if (this.#plot === undefined) this.#plot = this.#make(width, height);
    else this.#plot.setSize({ width, height });
  }

  /** @param {number} width @param {number} height @returns {UPlot} */
  #make(width, height) {
    const probes = new Map(this.#names.map((name) => [name, this.#box.appendChild(h("i", { class: `probe line-${name}` }))]));
    /** A variable with light-dark() is resolved in a property alone. @param {string} name */
    const stroke = (name) => getComputedStyle(probes.get(name) ?? this.#box).color;
    /** @param {string} name */
    const fill = (name) => getComputedStyle(probes.get(name) ?? this.#box).backgroundColor;
    const last = () => this.#data[0].at(-1) ?? Date.now() / 1000;
    return new UPlot(
      {
        width,
        height,
        padding: [4, 0, 0, 0],
        legend: { show: false },
        axes: [{ show: false }, { show: false }],
        cursor: { y: false, drag: { setScale: false, x: false }, points: { size: 5 } },
        scales: {
          x: { time: true, range: () => [last() - WINDOW_S, last()] },
          y: { range: (_plot, _least, most) => [0, Math.max(1, (most ?? 0) * 1.1)] },
        },
        series: [
          {},
          ...this.#names.map((name, i) => ({
            width: 1.5,
            points: { show: false },
            stroke: () => stroke(name),
            ...(i === 0 && { fill: () => fill(name) }),
          })),
        ],
        hooks: { setCursor: [({ cursor }) => this.#onPoint(cursor.idx ?? null)] },
      },
      this.#data,
      this.#box,
    );
  }
}
