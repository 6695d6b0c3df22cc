import { byId, h } from "./dom.js";
import { milliseconds, moment } from "./words.js";

/** @typedef {import("./model.js").Cluster} Cluster */

/** The nodes of the cluster, how Redis is reached, who holds each tag. Without a cluster nothing is shown. */
export class ClusterView {
  #box = byId("cluster");
  #section = /** @type {HTMLElement} */ (this.#box.closest("section"));
  #link = /** @type {HTMLElement} */ (document.querySelector('#views a[href="#cluster"]'));
  #last = "";

  /** @param {Cluster | null} cluster */
  update(cluster) {
    this.#link.hidden = cluster === null;
    this.#section.hidden = cluster === null;
    if (cluster === null) return;
    const { redis, nodes, tags } = cluster;
    const rtt = cluster.rttMs === null ? "" : `, ${milliseconds(Math.max(1, Math.round(cluster.rttMs)))}`;
    // When a living node was last heard of changes every second and tells nothing.
    const key = JSON.stringify([redis, rtt, nodes.map((node) => (node.alive ? { ...node, lastSeen: 0 } : node)), tags]);
    if (key === this.#last) return;
    this.#last = key;
    this.#box.replaceChildren(
      h(
        "p",
        {},
        h("span", { class: "status", "data-tone": redis === "connected" ? "good" : "bad" }, `Redis ${redis}`),
        h("span", { class: "quiet" }, rtt),
      ),
      h(
        "ul",
        { class: "nodes" },
        ...nodes.map(({ id, alive, self, url, sip, version, lastSeen }) =>
          h(
            "li",
            {},
            h("span", { class: "status", "data-tone": alive ? "good" : "bad" }, `Node ${id} ${alive ? "up" : "gone"}`),
            self ? h("span", { class: "badge" }, "this one") : null,
            ...tags.filter(({ owner }) => owner === id).map(({ tag }) => h("span", { class: "badge" }, `holds ${tag}`)),
            h("div", { class: "quiet" }, `${version} · ${sip.join(", ")}${alive ? "" : ` · last seen ${moment(lastSeen)}`}`),
            self || url === "" ? null : h("div", { class: "quiet uri" }, url),
          ),
        ),
      ),
      ...tags
        .filter(({ owner }) => owner === null)
        .map(({ tag }) => h("p", { class: "status", "data-tone": "bad" }, `Nobody holds tag ${tag}`)),
    );
  }
}
