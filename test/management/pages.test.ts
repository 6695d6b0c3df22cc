import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isForeignPage } from "../../src/management/access.ts";

describe("what browsers say of the page that asks", () => {
  const post = { isRead: false, host: "localhost:8888", origin: undefined, site: undefined, mode: undefined };
  const cases = [
    { name: "a program, which says nothing", asked: post, foreign: false },
    { name: "our own page", asked: { ...post, origin: "http://localhost:8888" }, foreign: false },
    {
      name: "our own page behind a proxy that ends TLS",
      asked: { ...post, host: "panel.example", origin: "https://panel.example" },
      foreign: false,
    },
    { name: "a page on another port of this machine", asked: { ...post, origin: "http://localhost:3000" }, foreign: true },
    { name: "a page of this machine by another name", asked: { ...post, origin: "http://127.0.0.1:8888" }, foreign: true },
    { name: "a page of somebody else", asked: { ...post, origin: "http://evil.example" }, foreign: true },
    { name: "a page without an origin", asked: { ...post, origin: "null" }, foreign: true },
    { name: "an Origin that is none", asked: { ...post, origin: "" }, foreign: true },
    { name: "a page of the same site", asked: { ...post, site: "same-site" }, foreign: true },
    { name: "a page of another site", asked: { ...post, site: "cross-site" }, foreign: true },
    {
      name: "our own page through a proxy that changes Host",
      asked: { ...post, origin: "https://panel.example", site: "same-origin" },
      foreign: false,
    },
    { name: "an address that a person has typed", asked: { ...post, isRead: true, site: "none", mode: "navigate" }, foreign: false },
    { name: "a link of somebody else to our page", asked: { ...post, isRead: true, site: "cross-site", mode: "navigate" }, foreign: false },
    { name: "a form of somebody else", asked: { ...post, site: "cross-site", mode: "navigate" }, foreign: true },
    { name: "somebody else's script that reads", asked: { ...post, isRead: true, site: "cross-site", mode: "cors" }, foreign: true },
  ];
  for (const { name, asked, foreign } of cases)
    it(`${name}: ${foreign ? "refused" : "let in"}`, () => assert.equal(isForeignPage(asked), foreign));
});
