import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drawFrame, type Frame, plainLine, Screen } from "../../src/demo/screen.ts";

const FRAME: Frame = {
  elapsedMs: 12_345,
  totalMs: 30_000,
  chapters: ["calls spread", "one dies", "all are full"],
  chapter: 1,
  bars: [
    { name: "media-1", max: 10, load: 10, running: true, enabled: true },
    { name: "media-2", max: 20, load: 5, running: true, enabled: true },
    { name: "media-3", max: 40, load: 2, running: false, enabled: false },
  ],
  counts: { placed: 20, up: 17, ended: 2, failedOver: 1, refused: 3, failed: 0 },
};

/** An output that keeps what is written. */
function recorder(isTTY: boolean): { isTTY: boolean; columns: number; rows: number; text: string; write(text: string): void } {
  return {
    isTTY,
    columns: 100,
    rows: 40,
    text: "",
    write(text) {
      this.text += text;
    },
  };
}

describe("a frame of the demo", () => {
  it("shows load, capacity and state of each server, a cell for each call", () => {
    const lines = drawFrame(FRAME, 100).map(({ text }) => text);
    assert.ok(lines.includes(`  media-1   10 of 10   ${"█".repeat(10)} full`), lines.join("\n"));
    assert.ok(lines.includes(`  media-2    5 of 20   ${"█".repeat(5)}${"░".repeat(15)} 15 free`), lines.join("\n"));
    assert.ok(lines.includes(`  media-3    2 of 40   ${"█".repeat(2)}${"░".repeat(38)} dead, disabled`), lines.join("\n"));
  });
  it("marks the chapters that are over and the one that is on", () => {
    const lines = drawFrame(FRAME, 100).map(({ text }) => text);
    for (const line of ["✓ calls spread", "▶ one dies", "  all are full"]) assert.ok(lines.includes(line), line);
  });
  it("fits terminals of every width", () => {
    for (const columns of [1, 20, 41, 60, 80, 200])
      for (const { text } of drawFrame(FRAME, columns)) assert.ok(text.length <= columns, `${text} in ${columns}`);
  });
  it("fits into one line for a pipe", () => {
    assert.equal(
      plainLine(FRAME),
      " 12 s | media-1 10/10 | media-2 5/20 | media-3 2/40 dead, disabled | calls: 20 placed, 17 up, 2 ended, 1 by failover, 3 refused with 503, 0 failed",
    );
  });
});

describe("the screen of the demo", () => {
  it("draws frames over each other on a terminal, and gives the cursor back", () => {
    const output = recorder(true);
    const screen = new Screen(output);
    screen.show(FRAME);
    const height = drawFrame(FRAME, 100).length;
    assert.ok(!output.text.includes(`\u001b[${height}A`));
    screen.show(FRAME);
    assert.ok(output.text.includes(`\u001b[${height}A`));
    screen.close();
    assert.ok(output.text.startsWith("\u001b[?25l") && output.text.endsWith("\u001b[?25h"));
  });
  it("draws no more lines than the terminal has", () => {
    const output = recorder(true);
    output.rows = 5;
    new Screen(output).show(FRAME);
    assert.equal(output.text.split("\n").length, 5);
  });
  it("writes a line a second and each chapter once where there is no terminal, without escapes", () => {
    const output = recorder(false);
    const screen = new Screen(output);
    for (const elapsedMs of [1_000, 1_200, 1_900, 2_100]) screen.show({ ...FRAME, elapsedMs });
    screen.close();
    const lines = output.text.trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => line.slice(0, 8)),
      ["one dies", "  1 s | ", "  2 s | "],
    );
    assert.ok(!output.text.includes("\u001b"));
  });
});
