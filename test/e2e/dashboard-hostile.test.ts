import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join, resolve } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { openPage, startBrowser, type WatchedPage } from "../support/browser.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";
import { headerOf, request, responseTo, statusOf } from "../support/sip-messages.ts";
import { UdpPeer } from "../support/udp-peer.ts";

const ADDRESS = "127.0.97.1";
const ROOT = resolve(import.meta.dirname, "../..");
const COMPILED = join(ROOT, "dist/src/main.js");
/** What somebody writes who would like to be the operator. Quotes for attributes, tags for texts; each sets something that the test looks for. */
const TAG = "<img/src=x/onerror=window.broken=1>";
const CALL_ID = `"><script>window.broken=2</script>${TAG}@evil`;
const FROM_USER = "a'&;onclick=window.broken=3;";
const ATTRS = `rack="><svg/onload=window.broken=4>${TAG}`;

describe("the dashboard of the compiled program, with callers that mean harm", () => {
  let headroom: Headroom;
  let browser: Browser;
  let caller: UdpPeer;
  let callee: UdpPeer;
  let watched: WatchedPage;
  let page: Page;
  let answer: string;

  before(async () => {
    execFileSync(process.execPath, [join(ROOT, "scripts/build-if-older.ts")], { stdio: "inherit" }); // "npm ci" has done it
    [caller, callee, browser] = await Promise.all([UdpPeer.open("127.0.97.2"), UdpPeer.open("127.0.97.3"), startBrowser()]);
    headroom = await startHeadroom(
      "routing: { rules: [{ group: 1, resources: pstn, disable_on: [] }] }",
      [{ uri: `sip:${callee.sentBy}`, resources: "pstn=30", attrs: ATTRS }],
      ADDRESS,
      undefined,
      [],
      COMPILED,
    );
    watched = await openPage(browser, headroom.miUrl.replace(/mi$/, ""));
    page = watched.page;
    page.on("dialog", (dialog) => watched.faults.push(`a dialog was opened: ${dialog.message()}`));
    await page.getByText("Live", { exact: true }).waitFor();
    await page.getByLabel("Calls, too").check();
    await call();
  });
  after(async () => {
    await browser?.close();
    await headroom?.stop();
    await Promise.all([caller, callee].map((peer) => peer?.close()));
  });

  async function call(): Promise<void> {
    const uri = `sip:service@${headroom.address}:${headroom.port}`;
    caller.send(
      request({
        uri,
        sentBy: caller.sentBy,
        callId: CALL_ID,
        from: `"${TAG}" <sip:${FROM_USER}@${caller.sentBy}>;tag=f1`,
        to: `"<b>you</b>" <${uri}>`,
        headers: [`Subject: ${TAG}`, `User-Agent: </pre>${TAG}`],
      }),
      headroom,
    );
    const invite = await callee.nextRequest("INVITE");
    callee.send(responseTo(invite, 200, { toTag: "t1", reason: TAG, headers: [`Contact: <sip:callee@${callee.sentBy}>`] }), headroom);
    answer = await caller.next("the 200", (text) => statusOf(text) === 200);
    caller.send(inDialog("ACK", 1), headroom);
    await callee.nextRequest("ACK");
  }

  function inDialog(method: string, cseq: number): string {
    return request({
      method,
      uri: `sip:callee@${callee.sentBy}`,
      sentBy: caller.sentBy,
      from: headerOf(answer, "From"),
      to: headerOf(answer, "To"),
      callId: CALL_ID,
      cseq,
      routes: [headerOf(answer, "Record-Route")],
    });
  }

  /** Nothing of what was shown has become more than a text: no script has run, none was even tried (the console would say so), no element is there. */
  async function assertHarmless(what: string): Promise<void> {
    const found = await page.evaluate(
      `[String(window.broken), document.querySelectorAll("body img:not([alt='']), body script, body b, td svg, span svg").length]`,
    );
    assert.deepEqual(found, ["undefined", 0], what);
    assert.deepEqual(watched.faults, [], what);
    assert.deepEqual([...watched.origins], [new URL(headroom.miUrl).origin], what);
  }

  it("shows what they write as text: in the list, the search, the explanation, the messages and the events", async () => {
    await page.getByText(ATTRS).first().waitFor();
    await page.locator("#events").getByText(CALL_ID).first().waitFor();
    await assertHarmless("destinations and events");

    await page.getByRole("link", { name: "Calls", exact: true }).click();
    await page.getByRole("searchbox", { name: "Search" }).fill("onerror=window");
    const row = page.getByRole("row").filter({ hasText: CALL_ID });
    await row.getByText(`sip:${FROM_USER}@${caller.sentBy}`).waitFor();
    await row.getByRole("button", { name: `Explain: call ${CALL_ID}` }).click();
    await page.getByRole("heading", { name: "First choice: placed" }).waitFor();
    await assertHarmless("the explanation");
    await page.keyboard.press("Escape");
    await row.getByRole("button", { name: `Messages: call ${CALL_ID}` }).click();
    await page.getByRole("dialog").locator("summary").first().click();
    await page
      .getByRole("dialog")
      .locator("pre")
      .filter({ hasText: `User-Agent: </pre>${TAG}` })
      .first()
      .waitFor();
    await assertHarmless("the messages");
    await page.keyboard.press("Escape");
  });

  it("shows as text what they ask of management", async () => {
    await headroom.mi("lb_resize", [1, TAG, 5]).catch(() => undefined);
    await page.getByRole("link", { name: "Changes", exact: true }).click();
    await page
      .getByRole("row")
      .filter({ hasText: `resize ${TAG} of destination 1 to 5` })
      .waitFor();
    await assertHarmless("the changes");
  });

  it("drains a destination with a call on it: the call goes on, and when it has ended the destination is disabled", async () => {
    await page.getByRole("link", { name: "Destinations", exact: true }).click();
    await page.getByRole("button", { name: /^Details of destination 1,/ }).click();
    const dialog = page.getByRole("dialog", { name: "Destination 1" });
    await dialog.getByRole("button", { name: "Drain…" }).click();
    await dialog.getByText("The 1 call that it has goes on and stays counted.").waitFor();
    await dialog.getByRole("button", { name: "Drain", exact: true }).click();
    await dialog.getByText("Draining", { exact: true }).waitFor();
    const [before] = await headroom.list();
    assert.deepEqual([before?.enabled, before?.Resources[0]?.load], ["yes", 1], "nobody has ended the call");
    caller.send(inDialog("BYE", 2), headroom);
    callee.send(responseTo(await callee.nextRequest("BYE"), 200), headroom);
    await dialog.getByText("Disabled", { exact: true }).waitFor();
    await dialog.getByText("A drain is over and has disabled it").waitFor();
    await waitFor("lb_list says so", 5_000, async () => (await headroom.list())[0]?.enabled === "no" || undefined);
    await dialog.getByRole("button", { name: "Undo the drain…" }).waitFor();
    await page.keyboard.press("Escape");
    await assertHarmless("the drain");
  });

  it("comes back after a restart of the server by itself, with what is so then", async () => {
    await headroom.restart("SIGTERM");
    await page.getByText("Live", { exact: true }).waitFor();
    await page.getByRole("row").filter({ hasText: callee.sentBy }).getByText("Disabled", { exact: true }).waitFor();
    // A browser writes of a connection that is refused or breaks itself.
    assert.deepEqual(
      watched.faults.filter((fault) => !/net::ERR_/.test(fault)),
      [],
    );
  });
});
