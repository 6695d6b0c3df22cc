import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { assertClean, openPage, startBrowser } from "../support/browser.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";

const PROXY = "127.0.93.5";
const OPERATOR = "token-of-anna-1234";
const VIEWER = "token-of-the-wall-1234";

describe("the dashboard with tokens", () => {
  const uri = "sip:127.0.93.1:5999";
  let headroom: Headroom;
  let browser: Browser;
  let url: string;

  before(async () => {
    const tokens = `[{ name: anna, token: ${OPERATOR}, role: operator }, { name: wall, token: ${VIEWER} }]`;
    [headroom, browser] = await Promise.all([
      startHeadroom(`mi_http: { auth: { tokens: ${tokens} } }`, [{ uri, resources: "pstn=5" }], PROXY),
      startBrowser(),
    ]);
    url = headroom.miUrl.replace(/mi$/, "");
  });
  after(async () => {
    await browser?.close();
    await headroom?.stop();
  });

  async function signIn(page: Page, token: string): Promise<void> {
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
  }

  it("asks for one, refuses a wrong one, and keeps the right one for this tab alone", async () => {
    const watched = await openPage(browser, url);
    const { page, context } = watched;
    await signIn(page, "wrong-token");
    await page.getByText("This token is not accepted.").waitFor();
    await signIn(page, OPERATOR);
    await page.getByText("anna · operator").waitFor();
    await page.reload();
    await page.getByText("anna · operator").waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    const kept = await page.evaluate("JSON.stringify([Object.keys(sessionStorage), Object.keys(localStorage)])");
    assert.equal(kept, "[[],[]]");
    assertClean(watched, url);
    await context.close();
  });

  it("writes down who has drained a destination by a click", async () => {
    const watched = await openPage(browser, url);
    const { page, context } = watched;
    await signIn(page, OPERATOR);
    await page.getByRole("button", { name: `Details of destination 1, ${uri}` }).click();
    const dialog = page.getByRole("dialog", { name: "Destination 1" });
    await dialog.getByRole("button", { name: "Disable…" }).click();
    await dialog.getByText("The audit log will say that anna did it.").waitFor();
    await dialog.getByRole("button", { name: "Disable", exact: true }).click();
    await dialog.getByText("Done: disable.").waitFor();
    await dialog.getByRole("button", { name: "Enable…" }).click();
    await dialog.getByRole("button", { name: "Enable", exact: true }).click();
    await dialog.getByText("Done: enable.").waitFor();
    const { Changes } = (await headroom.mi("audit_log")) as { Changes: { by: string; method: string; params: string }[] };
    assert.deepEqual(
      Changes.slice(-2).map(({ by, method, params }) => [by, method, params]),
      [
        ["anna", "load_balancer:status", "[1,0]"],
        ["anna", "load_balancer:status", "[1,1]"],
      ],
    );
    assert.equal((await headroom.list())[0]?.enabled, "yes");
    assertClean(watched, url);
    await context.close();
  });

  it("lets a viewer look and tells why he may not change anything; the server refuses him, too", async () => {
    const watched = await openPage(browser, url);
    const { page, context } = watched;
    await signIn(page, VIEWER);
    await page.getByText("wall · viewer").waitFor();
    await page.getByRole("button", { name: `Details of destination 1, ${uri}` }).click();
    const dialog = page.getByRole("dialog", { name: "Destination 1" });
    assert.ok(await dialog.getByRole("button", { name: "Drain…" }).isDisabled());
    assert.ok(await dialog.getByRole("button", { name: "Resize…" }).isDisabled());
    await dialog.getByText("You are wall, with role viewer").waitFor();
    // As somebody would who makes the buttons work.
    await dialog.getByRole("button", { name: "Disable…" }).evaluate((button) => {
      const { parentNode } = button as unknown as { parentNode: unknown };
      Object.assign(button, { disabled: false });
      (button as unknown as { click(): void }).click();
      return parentNode !== null;
    });
    await dialog.getByRole("button", { name: "Disable", exact: true }).click();
    await dialog.getByRole("alert").filter({ hasText: 'Cannot run load_balancer:status as viewer "wall"' }).waitFor();
    assert.equal((await headroom.list())[0]?.enabled, "yes");
    assertClean(watched, url);
    await context.close();
  });

  it("asks for another one when this one holds no more, and lets nobody go on beneath", async () => {
    const watched = await openPage(browser, url);
    const { page } = watched;
    await signIn(page, VIEWER);
    await page.getByRole("button", { name: `Details of destination 1, ${uri}` }).click();
    const file = join(headroom.folder, "headroom.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace(VIEWER, "another-token-of-the-wall"));
    await headroom.restart("SIGTERM");
    await page.getByText("This token is not accepted.").waitFor({ timeout: 40_000 });
    assert.equal(await page.getByRole("dialog").count(), 0);
    await page.getByRole("meter").first().waitFor({ state: "hidden" });
    await page.keyboard.type("another-token-of-the-wall"); // the focus is where it is wanted
    await page.keyboard.press("Enter");
    await page.getByText("wall · viewer").waitFor();
    await page.getByRole("meter").first().waitFor();
    watched.faults.splice(0, watched.faults.length, ...watched.faults.filter((fault) => !fault.includes("net::ERR_"))); // of the restart
    assertClean(watched, url);
    await watched.context.close();
  });
});
