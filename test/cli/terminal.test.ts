import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isoTime, plain, printableJson, visible } from "../../src/cli/terminal.ts";
import { readTop } from "../../src/cli/top-data.ts";

const HOSTILE = 'a\u001b[2J\u009b2J\u202eb\u2028\u007f"ü漢';

describe("text from elsewhere", () => {
  it("cannot steer a terminal, nor turn round what is read", () => {
    assert.equal(plain(HOSTILE), 'a?[2J?2J?b??"ü漢');
    assert.equal(visible(HOSTILE), 'a\\x1b[2J\\x9b2J\\u202eb\\u2028\\x7f"ü漢');
  });

  it("cannot as JSON either, which means what it meant", () => {
    const text = printableJson({ uri: HOSTILE }, 2);
    assert.match(text, /^\{\n {2}"uri": "[ -~ü漢]+"\n\}$/);
    assert.deepEqual(JSON.parse(text), { uri: HOSTILE });
  });

  it("may name a moment that is none", () => {
    assert.equal(isoTime(0), "1970-01-01T00:00:00.000Z");
    for (const ms of [Number.NaN, 1e300, Number.POSITIVE_INFINITY]) assert.equal(isoTime(ms), "-");
    const draining = {
      id: 1,
      group: 1,
      uri: "sip:a",
      enabled: "yes",
      draining: "yes",
      drain_load: 1,
      drain_deadline: 1e300,
      Resources: [],
    };
    const { view } = readTop([{ result: { Destinations: [draining] } }, { result: {} }], 0, undefined);
    assert.equal(view.destinations[0]?.status, "draining");
  });
});
