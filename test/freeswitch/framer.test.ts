import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EslFramer, FrameError, type FrameFault } from "../../src/freeswitch/framer.ts";
import { MAX_FRAME_BODY_BYTES, MAX_FRAME_HEADER_BYTES, MAX_FRAME_HEADERS } from "../../src/freeswitch/limits.ts";

function framesOf(...chunks: (string | Uint8Array)[]): string[] {
  const framer = new EslFramer();
  const frames: string[] = [];
  for (const chunk of chunks) {
    framer.push(typeof chunk === "string" ? Buffer.from(chunk) : chunk, (frame) => {
      frames.push(frame.toString("utf8"));
      return true;
    });
  }
  return frames;
}

function assertFault(fault: FrameFault, run: () => void): void {
  assert.throws(run, (error) => error instanceof FrameError && error.fault === fault);
}

describe("frames of an event socket", () => {
  it("follow each other without anything between them, or with line ends", () => {
    assert.deepEqual(framesOf("A: 1\n\nB: 2\nContent-Length: 3\n\nxyzC: 3\n\n\n\nD: 4\n\n"), [
      "A: 1\n\n",
      "B: 2\nContent-Length: 3\n\nxyz",
      "C: 3\n\n",
      "D: 4\n\n",
    ]);
  });

  it("have a body that may begin and end with line ends", () => {
    assert.deepEqual(framesOf("Content-Length: 4\n\n\n\n\n\nA: 1\n\n"), ["Content-Length: 4\n\n\n\n\n\n", "A: 1\n\n"]);
  });

  it("count bytes, not characters, wherever a character is cut", () => {
    const bytes = Buffer.from(`Content-Length: ${Buffer.byteLength("žluťoučký 🐎")}\n\nžluťoučký 🐎A: 1\n\n`);
    for (let at = 0; at <= bytes.length; at++) {
      assert.deepEqual(framesOf(bytes.subarray(0, at), bytes.subarray(at)), [
        bytes.subarray(0, bytes.length - 6).toString("utf8"),
        "A: 1\n\n",
      ]);
    }
  });

  it("wait for the rest", () => {
    assert.deepEqual(framesOf("A: 1\n"), []);
    assert.deepEqual(framesOf("Content-Length: 3\n\nxy"), []);
  });

  it("stop where the reader says so", () => {
    const framer = new EslFramer();
    let taken = 0;
    framer.push(Buffer.from("A: 1\n\nB: 2\n\nC"), () => {
      taken++;
      return false;
    });
    assert.equal(taken, 1);
    assert.equal(framer.pendingBytes, 0);
  });

  const faults: { name: string; bytes: string; want: FrameFault }[] = [
    { name: "a length that is no number", bytes: "Content-Length: abc\n\n", want: "bad-content-length" },
    { name: "a negative length", bytes: "Content-Length: -5\n\n", want: "bad-content-length" },
    { name: "an encoded length", bytes: "Content-Length: %35\n\n", want: "bad-content-length" },
    { name: "a length in hexadecimal", bytes: "Content-Length: 0x10\n\n", want: "bad-content-length" },
    { name: "a length with something behind it", bytes: "Content-Length: 5 5\n\n", want: "bad-content-length" },
    { name: "a length in another spelling", bytes: "content-length: 5\n\n", want: "bad-content-length" },
    { name: "two lengths", bytes: "Content-Length: 5\nContent-Length: 5\n\n", want: "bad-content-length" },
    { name: "a length of 20 digits", bytes: "Content-Length: 99999999999999999999\n\n", want: "bad-content-length" },
    { name: "a body over the limit", bytes: `Content-Length: ${MAX_FRAME_BODY_BYTES + 1}\n\n`, want: "body-too-long" },
    { name: "too many headers", bytes: `${"A: 1\n".repeat(MAX_FRAME_HEADERS + 1)}\n`, want: "too-many-headers" },
    { name: "headers over the limit", bytes: `A: ${"x".repeat(MAX_FRAME_HEADER_BYTES)}\n\n`, want: "header-too-long" },
  ];
  for (const { name, bytes, want } of faults) it(`are refused for ${name}`, () => assertFault(want, () => framesOf(bytes)));

  it("hold a bounded number of bytes: headers without an end are given up, not gathered", () => {
    const framer = new EslFramer();
    const chunk = Buffer.alloc(1024, "x");
    let pushed = 0;
    assertFault("header-too-long", () => {
      for (; pushed < 1024 * 1024; pushed++) framer.push(chunk, () => true);
    });
    assert.ok(pushed * chunk.length <= MAX_FRAME_HEADER_BYTES + chunk.length, `${pushed} KiB were taken`);
    assert.ok(framer.pendingBytes <= MAX_FRAME_HEADER_BYTES + chunk.length);
  });

  it("are read in time that grows with the number of bytes only", () => {
    const size = MAX_FRAME_BODY_BYTES;
    const bytes = Buffer.concat([Buffer.from(`Content-Length: ${size}\n\n`), Buffer.alloc(size, "x")]);
    const framer = new EslFramer();
    let frames = 0;
    const beganMs = performance.now();
    for (let at = 0; at < bytes.length; at++) {
      framer.push(bytes.subarray(at, at + 1), () => {
        frames++;
        return true;
      });
    }
    assert.equal(frames, 1);
    // A million single bytes take a fifth of a second; copying all for each of them would take minutes.
    assert.ok(performance.now() - beganMs < 10_000);
  });
});
