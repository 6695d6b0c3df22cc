/** Takes the pictures of the dashboard that the documents show: `npm run screenshots` writes them to docs/images. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Page } from "playwright-core";
import { openPage, type PageOptions, startBrowser } from "../test/support/browser.ts";
import { startDashboardServer } from "../test/support/dashboard-server.ts";
import { showcase } from "../test/support/dashboard-showcase.ts";
import { smallPng } from "../test/support/small-png.ts";

const FOLDER = resolve(process.argv[2] ?? join(import.meta.dirname, "../docs/images"));
/** Readers of the documents load them. */
const MAX_BYTES = 150_000;
const SETTLE_MS = 1_500;

const PICTURES: { name: string; options: PageOptions; prepare?: (page: Page) => Promise<void> }[] = [
  { name: "wide", options: { width: 1440, height: 900 } },
  {
    name: "dark",
    options: { width: 1440, height: 900, colorScheme: "dark" },
    prepare: (page) => page.getByRole("button", { name: /^Details of destination 1,/ }).click(),
  },
  { name: "phone", options: { width: 360, height: 780 } },
];

const server = await startDashboardServer(showcase());
const browser = await startBrowser();
try {
  mkdirSync(FOLDER, { recursive: true });
  for (const { name, options, prepare } of PICTURES) {
    const { page, context, faults } = await openPage(browser, server.url, options);
    await page.getByText("Live", { exact: true }).waitFor();
    await prepare?.(page);
    await page.waitForTimeout(SETTLE_MS);
    const path = join(FOLDER, `${name}.png`);
    const picture = await smallPng(browser, await page.screenshot());
    writeFileSync(path, picture);
    await context.close();
    if (faults.length > 0) throw new Error(`Cannot take ${name}.png: ${faults.join("; ")}`);
    if (picture.length > MAX_BYTES) throw new Error(`Cannot keep ${name}.png: it has ${picture.length} bytes, want at most ${MAX_BYTES}`);
    process.stdout.write(`${path}: ${picture.length} bytes\n`);
  }
} finally {
  await browser.close();
  await server.close();
}
