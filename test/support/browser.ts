import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { CHROMIUM, commandOf } from "../../scripts/ensure-tools.ts";

/** A machine with other work is slow. */
const PATIENCE_MS = 15_000;

/** A page and what went wrong on it. */
export interface WatchedPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of scripts, messages of the console that are errors or warnings, requests that failed. */
  readonly faults: string[];
  /** Origins of all requests. */
  readonly origins: Set<string>;
}

/** How the page is shown. */
export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: "light" | "dark";
  /** Is run before any script of the page. */
  readonly script?: string;
}

/** Starts Debian's Chromium without a window. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = commandOf(CHROMIUM);
  if (executablePath === undefined)
    throw new Error(`Cannot run "${CHROMIUM.command}": install it with "apt-get install ${CHROMIUM.package}"`);
  // The sandbox wants another user than root, and the shared memory of a container is small.
  const sandbox = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
  return chromium.launch({
    executablePath: resolvedPath(executablePath),
    headless: true,
    args: [...sandbox, "--disable-dev-shm-usage", "--disable-lcd-text"],
  });
}

/** Playwright wants a path, no name. */
function resolvedPath(command: string): string {
  if (command.includes("/")) return command;
  for (const folder of (process.env["PATH"] ?? "").split(":")) if (existsSync(join(folder, command))) return join(folder, command);
  return command;
}

/** Opens a page that nothing was kept for. */
export async function openPage(browser: Browser, url: string, options: PageOptions = {}): Promise<WatchedPage> {
  const { width = 1440, height = 900, colorScheme = "light" } = options;
  const context = await browser.newContext({ viewport: { width, height }, colorScheme, reducedMotion: "no-preference" });
  const page = await context.newPage();
  if (options.script !== undefined) await page.addInitScript(options.script);
  page.setDefaultTimeout(PATIENCE_MS);
  const faults: string[] = [];
  const origins = new Set<string>();
  page.on("pageerror", (error) => faults.push(`page error: ${error.stack ?? error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") faults.push(`console ${message.type()}: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith("data:")) origins.add(new URL(request.url()).origin);
  });
  await page.goto(url);
  return { page, context, faults, origins };
}

/** Nothing went wrong on the page, and nobody but its own server was asked for anything. */
export function assertClean({ faults, origins }: WatchedPage, url: string): void {
  // A browser writes of each 401 itself: without a token, and with a wrong one.
  assert.deepEqual(
    faults.filter((fault) => !/^console error: .*401 \(Unauthorized\)/.test(fault)),
    [],
  );
  assert.deepEqual([...origins], [new URL(url).origin]);
}
