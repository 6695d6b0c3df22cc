import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { accessibilityOf, LOW_CONTRASTS } from "../support/accessibility.ts";
import { openPage, startBrowser } from "../support/browser.ts";
import { type DashboardServer, startDashboardServer } from "../support/dashboard-server.ts";
import { showcase } from "../support/dashboard-showcase.ts";

/** Arrows of a ladder that do not begin and end in the middle of a lane. */
const LOOSE_ARROWS = `(() => {
  const lanes = [...document.querySelectorAll(".sides > span")].map((side) => side.getBoundingClientRect()).map(({ left, width }) => left + width / 2);
  const isLane = (x) => lanes.some((lane) => Math.abs(lane - x) < 2);
  return [...document.querySelectorAll(".rung")].filter((rung) => {
    const { left, right } = rung.getBoundingClientRect();
    return !isLane(left) || !isLane(right);
  }).map((rung) => rung.textContent);
})()`;

describe("the page of the dashboard", () => {
  let browser: Browser;
  let server: DashboardServer;
  before(async () => {
    [browser, server] = await Promise.all([startBrowser(), startDashboardServer(showcase(), 500)]);
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  async function live(page: Page): Promise<void> {
    await page.getByText("Live", { exact: true }).waitFor();
    await page.getByRole("meter").first().waitFor();
  }

  for (const colorScheme of ["light", "dark"] as const) {
    it(`names everything and can be read, in every view and dialog, ${colorScheme}`, async () => {
      const { page, context, faults } = await openPage(browser, server.url, { colorScheme });
      await live(page);
      const check = async (what: string): Promise<Map<string, number>> => {
        const { counts, nameless } = await accessibilityOf(page);
        assert.deepEqual(nameless, [], what);
        assert.deepEqual(await page.evaluate(LOW_CONTRASTS), [], what);
        return counts;
      };
      const counts = await check("destinations");
      assert.ok((counts.get("meter") ?? 0) > 10 && (counts.get("row") ?? 0) > 8, [...counts].join(" "));
      for (const view of ["Calls", "Changes"]) {
        await page.getByRole("link", { name: view, exact: true }).click();
        await page.locator(`section[data-section="${view.toLowerCase()}"] table`).waitFor();
        await check(view);
      }
      await page.getByRole("link", { name: "Calls", exact: true }).click();
      await page
        .getByRole("button", { name: /^Explain: call/ })
        .first()
        .click();
      await page.getByRole("heading", { name: "Attempt 2: placed" }).waitFor();
      await check("explain");
      await page.keyboard.press("Escape");
      await page
        .getByRole("button", { name: /^Messages: call/ })
        .first()
        .click();
      await page.getByText("503 Service Unavailable").first().waitFor();
      await check("messages");
      assert.deepEqual(await page.evaluate(LOOSE_ARROWS), [], "arrows go from lane to lane");
      await page.keyboard.press("Escape");
      await page.getByRole("link", { name: "Destinations", exact: true }).click();
      await page.getByRole("button", { name: /^Details of destination 1,/ }).click();
      await page.getByRole("button", { name: "Resize…" }).click();
      await check("resize");
      assert.deepEqual(faults, []);
      await context.close();
    });
  }

  it("is worked by the keyboard: / to the filter, Tab and arrows through the rows, Escape back to where it was", async () => {
    const { page, context } = await openPage(browser, server.url);
    await live(page);
    await page.keyboard.press("/");
    await page.keyboard.type("conference");
    await page.getByText("3 of 12 match").waitFor();
    assert.equal(await page.evaluate("document.activeElement.id"), "filter");
    await page.getByLabel("Filter").fill("");
    await page.getByRole("button", { name: /^Details of destination 1,/ }).focus();
    for (let i = 0; i < 3; i++) await page.keyboard.press("ArrowDown");
    const focused = () => page.evaluate("document.activeElement.getAttribute('aria-label')");
    assert.match(String(await focused()), /^Details of destination 4,/);
    await page.keyboard.press("End");
    assert.match(String(await focused()), /^Details of destination 12,/);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Destination 12" }).waitFor();
    await page.keyboard.press("Escape");
    assert.match(String(await focused()), /^Details of destination 12,/);
    const outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle");
    assert.equal(outline, "solid", "the focus can be seen");
    await context.close();
  });

  it("fits a phone of 360 pixels without scrolling sideways, dialogs too", async () => {
    const { page, context } = await openPage(browser, server.url, { width: 360, height: 740 });
    await live(page);
    const overflow = () => page.evaluate("document.documentElement.scrollWidth - innerWidth");
    for (const view of ["Destinations", "Calls", "Changes", "Events", "Cluster"]) {
      await page.getByRole("link", { name: view, exact: true }).click();
      await page.waitForTimeout(200);
      assert.equal(await overflow(), 0, view);
    }
    await page.getByRole("link", { name: "Destinations", exact: true }).click();
    await page.getByRole("button", { name: /^Details of destination 3,/ }).click();
    await page.getByRole("button", { name: "Undo the drain…" }).waitFor();
    assert.equal(await page.evaluate("(() => { const d = document.querySelector('dialog'); return d.scrollWidth - d.clientWidth; })()"), 0);
    await context.close();
  });

  it("keeps the theme that was chosen", async () => {
    const { page, context } = await openPage(browser, server.url);
    await page.getByLabel("Theme").selectOption("dark");
    const background = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    const dark = await background();
    await page.reload();
    assert.equal(await background(), dark);
    assert.equal(dark, "rgb(17, 22, 26)");
    await context.close();
  });

  it("works in a browser that keeps nothing", async () => {
    const denied = `for (const name of ["localStorage", "sessionStorage"]) {
      Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });
    }`;
    const { page, context, faults } = await openPage(browser, server.url, { script: denied });
    await live(page);
    await page.getByLabel("Theme").selectOption("dark");
    assert.deepEqual(faults, []);
    await context.close();
  });

  it("says that the connection is lost, and comes back by itself", async () => {
    const { page, context } = await openPage(browser, server.url);
    await live(page);
    server.isUp = false;
    server.drop();
    await page.getByRole("status").filter({ hasText: "No connection" }).waitFor();
    await page.getByText(/These figures are those of/).waitFor();
    server.isUp = true;
    await page.getByText("Live", { exact: true }).waitFor({ timeout: 15_000 });
    await page.getByText(/These figures are those of/).waitFor({ state: "hidden" });
    await context.close();
  });
});
