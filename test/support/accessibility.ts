import type { Page } from "playwright-core";

/** What must be told apart by who does not see it. */
const NAMED_ROLES = new Set([
  "button",
  "link",
  "textbox",
  "searchbox",
  "spinbutton",
  "combobox",
  "checkbox",
  "meter",
  "image",
  "img",
  "table",
  "dialog",
  "navigation",
  "region",
]);

interface AxNode {
  readonly ignored: boolean;
  readonly role?: { readonly value?: string };
  readonly name?: { readonly value?: string };
  readonly properties?: readonly { readonly name: string; readonly value: { readonly value?: unknown } }[];
}

/** What a reader of the screen is told of a page, as Chromium computes it: how many of each role, and those that have no name. */
export async function accessibilityOf(page: Page): Promise<{ counts: Map<string, number>; nameless: string[] }> {
  const session = await page.context().newCDPSession(page);
  const { nodes } = (await session.send("Accessibility.getFullAXTree")) as { nodes: readonly AxNode[] };
  await session.detach();
  const counts = new Map<string, number>();
  const nameless: string[] = [];
  for (const { ignored, role, name } of nodes) {
    const value = role?.value ?? "";
    if (ignored) continue;
    counts.set(value, (counts.get(value) ?? 0) + 1);
    if (NAMED_ROLES.has(value) && (name?.value ?? "").trim() === "") nameless.push(value);
  }
  return { counts, nameless };
}

/**
 * Texts whose contrast with what is behind them is too low (WCAG 2.2, 1.4.3: 4.5 to 1, and 3 to 1 for large ones). To be run in the page; a background that is
 * a picture is not understood.
 */
export const LOW_CONTRASTS = `(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at !== null; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return rgba(getComputedStyle(document.documentElement).colorScheme.includes("dark") ? "#000" : "#fff");
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (text === "" || element === null || !element.checkVisibility() || element.closest(":disabled, option, script, noscript") !== null) continue;
    const style = getComputedStyle(element);
    if (parseFloat(style.fontSize) === 0) continue;
    const [a, b] = [luminance(rgba(style.color)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const isLarge = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) low.push(text.slice(0, 40) + ": " + ratio.toFixed(2));
  }
  return [...new Set(low)];
})()`;
