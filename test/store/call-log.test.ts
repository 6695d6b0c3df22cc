import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { lineOf, logOf, logsOf, MergedChanges, readLog } from "../../src/store/call-log.ts";
import { type DialogChanges, DialogFile } from "../../src/store/dialog-file.ts";
import { seededRandom } from "../support/random.ts";

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "headroom-call-log-"));
  file = join(folder, "headroom.db.calls");
});

afterEach(() => rmSync(folder, { recursive: true }));

/** The bytes of a log, and where each of its lines ends. */
function logText(identity: string, number: number, batches: readonly DialogChanges[]): { bytes: Buffer; ends: number[] } {
  const parts: Buffer[] = [];
  const ends: number[] = [];
  let sum = 0;
  let length = 0;
  for (const value of [{ calls: identity, log: number }, ...batches]) {
    const line = lineOf(value, sum);
    sum = line.sum;
    parts.push(line.bytes);
    length += line.bytes.length;
    ends.push(length);
  }
  return { bytes: Buffer.concat(parts), ends };
}

function batch(saved: readonly (readonly [string, string])[], removed: readonly string[] = []): DialogChanges {
  return { saved, removed };
}

/** What a start finds. */
function found(at: string): { calls: Record<string, string>; aliveAtMs: number | undefined; damagedBytes: number } {
  const opened = new DialogFile(at, 0);
  try {
    const { aliveAtMs, damagedBytes } = opened.begin(1);
    const calls: [string, string][] = [];
    for (let after: number | undefined = 0; after !== undefined; ) {
      const page = opened.page(after, 7);
      for (const [did, record] of page.found) calls.push([did, record]);
      after = page.last;
    }
    assert.equal(new Set(calls.map(([did]) => did)).size, calls.length, "a call is told once");
    return { calls: Object.fromEntries(calls.sort()), aliveAtMs, damagedBytes };
  } finally {
    opened.close();
  }
}

function identityOf(at: string): string {
  const opened = new DialogFile(at, 0);
  opened.close();
  return opened.identity;
}

describe("a log of calls", () => {
  it("has the batches that were written, whatever is in their texts", () => {
    const batches = [
      batch([
        ["1.a", 'quotes " and \\ and \n line ends \u0000 \u2028'],
        ["2.a", "thrée 😀 \ud800"],
      ]),
      { ...batch([], ["1.a"]), capacities: [["1 1 sip:a", "pstn", 7, 10] as const], aliveAtMs: 5 },
    ];
    const { path } = logOf(file, 1);
    writeFileSync(path, logText("x", 1, batches).bytes);
    assert.deepEqual(readLog(path, "x"), { changes: batches, damagedBytes: 0, foreignBytes: 0 });
  });

  it("that belongs to another file has nothing for this one", () => {
    const { path } = logOf(file, 1);
    writeFileSync(path, logText("x", 1, [batch([["1.a", "one"]])]).bytes);
    assert.deepEqual(readLog(path, "y"), { changes: [], damagedBytes: 0, foreignBytes: statSync(path).size });
  });

  it("cut off anywhere has the lines that are whole, as after a kill", () => {
    const batches = Array.from({ length: 6 }, (_, i) => batch([[`${i}.a`, "x".repeat(i * 30)]]));
    const { bytes, ends } = logText("x", 1, batches);
    const { path } = logOf(file, 1);
    writeFileSync(path, bytes);
    for (let length = bytes.length; length >= 0; length--) {
      truncateSync(path, length);
      const whole = Math.max(0, ends.filter((end) => end <= length).length - 1);
      assert.deepEqual(readLog(path, "x"), { changes: batches.slice(0, whole), damagedBytes: 0, foreignBytes: 0 }, `${length} bytes`);
    }
  });

  it("with any byte changed has what was before it, and nothing else", () => {
    const batches = Array.from({ length: 8 }, (_, i) => batch([[`${i}.a`, "x".repeat(i * 20)]]));
    const { bytes, ends } = logText("x", 1, batches);
    const { path } = logOf(file, 1);
    const random = seededRandom(3);
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at] = changed[at]! ^ (1 + Math.floor(random() * 255));
      writeFileSync(path, changed);
      const whole = Math.max(0, ends.filter((end) => end <= at).length - 1);
      const { changes, damagedBytes } = readLog(path, "x");
      assert.deepEqual(changes, batches.slice(0, whole), `byte ${at}`);
      assert.ok(damagedBytes > 0 || at >= ends.at(-2)!, `byte ${at}`);
    }
  });

  it("goes on where a line has failed half-way: what is left of that one is no line", () => {
    const head = logText("x", 1, [batch([["1.a", "one"]])]);
    const failed = lineOf(batch([["2.a", '{"saved":[]}\n'.repeat(50)]]), 77);
    const { bytes } = logText("x", 1, [batch([["1.a", "one"]]), batch([["3.a", "three"]])]);
    const left = Buffer.concat([head.bytes, failed.bytes]);
    bytes.copy(left);
    const { path } = logOf(file, 1);
    writeFileSync(path, left);
    assert.deepEqual(
      readLog(path, "x").changes.flatMap(({ saved }) => saved.map(([did]) => did)),
      ["1.a", "3.a"],
    );
  });

  it("that ends in zeros, as a power cut may leave it, is not what was written", () => {
    const { bytes } = logText("x", 1, [batch([["1.a", "one"]])]);
    const { path } = logOf(file, 1);
    for (const kept of [0, bytes.length - 3, bytes.length]) {
      writeFileSync(path, Buffer.concat([bytes.subarray(0, kept), Buffer.alloc(4_096)]));
      const { changes, damagedBytes } = readLog(path, "x");
      assert.equal(changes.length, kept === bytes.length ? 1 : 0);
      assert.ok(damagedBytes >= 4_096);
    }
  });

  it("has its place among the others by its number", () => {
    for (const name of ["10", "9", "0", "-1", "x", "1.5", "00", "1e3"]) writeFileSync(`${file}-log-${name}`, "");
    writeFileSync(`${file}-lock`, "");
    assert.deepEqual(
      logsOf(file).map(({ number }) => number),
      [9, 10],
    );
    assert.deepEqual(logsOf(join(folder, "missing", "calls")), []);
  });

  it("that cannot be read stops the start: nobody forgets calls by himself", () => {
    identityOf(file);
    mkdirSync(logOf(file, 1).path);
    assert.throws(() => found(file), { code: "FAILED" });
  });
});

describe("a file of calls with its logs", () => {
  it("has the same calls, whenever its logs are put into it, also twice and by halves", () => {
    for (let seed = 1; seed <= 25; seed++) {
      const random = seededRandom(seed);
      const draw = (below: number): number => Math.floor(random() * below);
      const at = join(folder, `${seed}.calls`);
      const identity = identityOf(at);
      const model = new MergedChanges();
      let number = 0;
      for (let step = 0; step < 25; step++) {
        const batches = Array.from({ length: 1 + draw(3) }, () => ({
          saved: Array.from({ length: draw(5) }, () => [`${draw(30)}.a`, `record ${step} ${draw(1e9)}`] as const),
          removed: Array.from({ length: draw(3) }, () => `${draw(30)}.a`),
          aliveAtMs: draw(4) === 0 ? draw(1e9) : undefined,
        }));
        for (const one of batches) model.add(one);
        writeFileSync(logOf(at, ++number).path, logText(identity, number, batches).bytes);
        if (draw(3) > 0) continue;
        const logs = logsOf(at).slice(0, 1 + draw(4));
        const kept = logs.slice(draw(logs.length + 1)); // what a kill has kept from being removed: never an older one without the younger ones
        for (const { path } of kept) copyFileSync(path, `${path}.kept`);
        const opened = new DialogFile(at, 0);
        try {
          assert.equal(opened.merge(logs.map(({ path }) => path)), 0);
        } finally {
          opened.close();
        }
        for (const { path } of kept) writeFileSync(path, readFileSync(`${path}.kept`));
      }
      const { calls, aliveAtMs } = found(at);
      assert.deepEqual(calls, Object.fromEntries([...model.saved].sort()), `seed ${seed}`);
      assert.equal(aliveAtMs, model.aliveAtMs ?? 1, `seed ${seed}`);
    }
  });

  it("keeps its logs when it cannot be written", () => {
    const identity = identityOf(file);
    const { path } = logOf(file, 1);
    writeFileSync(path, logText(identity, 1, [batch([["1.a", "one"]])]).bytes);
    const opened = new DialogFile(file, 0);
    opened.close();
    assert.throws(() => opened.merge([path]), { code: "FAILED" });
    assert.deepEqual(found(file).calls, { "1.a": "one" });
  });

  it("says how many logs are gone, or not what was written", () => {
    const identity = identityOf(file);
    const { bytes } = logText(identity, 1, [batch([["1.a", "one"]]), batch([["2.a", "two"]])]);
    bytes[bytes.length - 5] = 0x21;
    writeFileSync(logOf(file, 1).path, bytes);
    const { calls, damagedBytes } = found(file);
    assert.deepEqual(calls, { "1.a": "one" });
    assert.ok(damagedBytes > 0);
    const opened = new DialogFile(file, 0);
    try {
      assert.equal(opened.merge([logOf(file, 1).path, logOf(file, 2).path]), 2);
    } finally {
      opened.close();
    }
  });
});
