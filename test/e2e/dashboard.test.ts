import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { assertClean, openPage, startBrowser } from "../support/browser.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { type Sipp, startCallee, startCaller } from "../support/sipp.ts";

const CALLEES = ["127.0.93.1", "127.0.93.2"] as const;
const CALLER = "127.0.93.3";
const PROXY = "127.0.93.4";
const HOLD_MS = 60_000;

describe("the dashboard in a browser", () => {
  let headroom: Headroom;
  let callees: Sipp[] = [];
  let browser: Browser;
  let url: string;

  before(async () => {
    [headroom, browser, ...callees] = await Promise.all([
      startHeadroom("", [], PROXY),
      startBrowser(),
      ...CALLEES.map((address) => startCallee({ scenario: "callee", address })),
    ]);
    await headroom.replaceRows(callees.map(({ uri }, i) => ({ uri, resources: `pstn=${i === 0 ? 30 : 10}`, attrs: `rack=${i}` })));
    url = headroom.miUrl.replace(/mi$/, "");
  });

  after(async () => {
    await browser?.close();
    await Promise.all(callees.map((callee) => callee.stop()));
    await headroom?.stop();
  });

  function meter(page: Page, uri: string) {
    return page.getByRole("row").filter({ hasText: uri }).getByRole("meter", { name: "pstn" });
  }

  it("shows loads while calls come and go, finds a call, and tells why it went where it went and what its messages were", async () => {
    const watched = await openPage(browser, url);
    const { page } = watched;
    await page.getByText("Live", { exact: true }).waitFor();
    const bar = meter(page, callees[0]!.uri);
    assert.equal(await bar.getAttribute("aria-valuetext"), "0 of 30 pstn, 30 free");
    const caller = await startCaller({
      scenario: "caller",
      address: CALLER,
      target: `${PROXY}:${headroom.port}`,
      calls: 5,
      holdMs: HOLD_MS,
    });
    try {
      await waitFor("the bar moves", 8_000, async () => (await bar.getAttribute("aria-valuetext")) === "5 of 30 pstn, 25 free");
      await page.getByText("5 / 30").first().waitFor();

      const { Dialogs } = (await headroom.mi("dlg_list")) as { Dialogs: { callid: string }[] };
      const callId = Dialogs[0]!.callid;
      await page.getByRole("link", { name: "Calls" }).click();
      await page.getByRole("searchbox", { name: "Search" }).fill(callId);
      await page.getByRole("button", { name: "Explain: this Call-ID" }).click();
      const why = page.getByRole("dialog", { name: "Why did this call go there?" });
      await why.getByRole("heading", { name: "First choice: placed" }).waitFor();
      await why.getByText("Chosen", { exact: true }).waitFor();
      await page.keyboard.press("Escape");
      await why.waitFor({ state: "detached" });
      await page.getByRole("button", { name: "Messages: this Call-ID" }).click();
      const ladder = page.getByRole("dialog", { name: "Messages of a call" });
      await ladder.getByText("INVITE (SDP)").first().waitFor();
      await page.keyboard.press("Escape");
    } finally {
      for (const { callid } of ((await headroom.mi("dlg_list")) as { Dialogs: { callid: string }[] }).Dialogs)
        await headroom.mi("dlg_end_dlg", [callid]);
      await caller.kill();
    }
    await page.getByRole("link", { name: "Destinations", exact: true }).click();
    await waitFor("the bar is empty again", 8_000, async () => (await bar.getAttribute("aria-valuetext")) === "0 of 30 pstn, 30 free");
    assertClean(watched, url);
    await watched.context.close();
  });

  it("drains a destination after a question, and resizes one after it has said what changes", async () => {
    const watched = await openPage(browser, url);
    const { page } = watched;
    await page.getByRole("button", { name: /^Details of destination 2,/ }).click();
    const dialog = page.getByRole("dialog", { name: "Destination 2" });
    await dialog.getByRole("button", { name: "Drain…" }).click();
    await dialog.getByRole("heading", { name: "Drain destination 2?" }).waitFor();
    assert.equal((await headroom.list())[1]?.enabled, "yes", "nothing is done before the confirmation");
    await dialog.getByRole("button", { name: "Drain", exact: true }).click();
    await dialog.getByText("Done: drain.").waitFor();
    await waitFor("it is drained", 5_000, async () => (await headroom.list())[1]?.enabled === "no");
    await dialog.getByRole("button", { name: "Undo the drain…" }).click();
    await dialog.getByRole("button", { name: "Undo the drain", exact: true }).click();
    await dialog.getByText("Done: undo the drain.").waitFor();
    await waitFor("it takes calls again", 5_000, async () => (await headroom.list())[1]?.enabled === "yes");

    await dialog.getByRole("button", { name: "Resize…" }).click();
    await dialog.getByRole("spinbutton", { name: "New capacity" }).fill("44");
    await dialog.getByText("pstn: 10 → 44.").waitFor();
    await dialog.getByRole("button", { name: "Resize", exact: true }).click();
    await dialog.getByText("Done: resize.").waitFor();
    assert.equal((await headroom.list())[1]?.Resources[0]?.max, 44);
    await page.keyboard.press("Escape");
    await waitFor(
      "the bar says so",
      5_000,
      async () => (await meter(page, callees[1]!.uri).getAttribute("aria-valuetext")) === "0 of 44 pstn, 44 free",
    );

    await page.getByRole("link", { name: "Changes" }).click();
    await page.getByRole("row").filter({ hasText: "resize pstn of destination 2 to 44" }).waitFor();
    assertClean(watched, url);
    await watched.context.close();
  });

  it("does not do to another destination what was meant for the one that had its id before a reload", async () => {
    const watched = await openPage(browser, url);
    const { page } = watched;
    const [first, second] = callees.map(({ uri }) => uri);
    await page.getByRole("button", { name: `Details of destination 1, ${first}` }).click();
    const dialog = page.getByRole("dialog", { name: "Destination 1" });
    await dialog.getByRole("button", { name: "Disable…" }).click();
    await headroom.replaceRows([{ uri: second!, resources: "pstn=10" }]);
    await page.getByRole("button", { name: `Details of destination 1, ${second}`, includeHidden: true }).waitFor();
    await dialog.getByRole("button", { name: "Disable", exact: true }).click();
    await dialog.getByRole("alert").filter({ hasText: "Not done: the table has changed meanwhile" }).waitFor();
    assert.deepEqual(
      (await headroom.list()).map(({ uri, enabled }) => [uri, enabled]),
      [[second, "yes"]],
    );
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await dialog.getByText(second!).waitFor();
    await headroom.replaceRows([]);
    await dialog.getByText("It is no longer in the table, so nothing can be done to it.").waitFor();
    assertClean(watched, url);
    await watched.context.close();
  });
});
