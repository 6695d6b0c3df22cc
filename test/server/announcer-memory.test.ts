import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parseConfig } from "../../src/config/load.ts";
import { Dialog, DialogState } from "../../src/dialog/index.ts";
import { Announcer } from "../../src/server/announcer.ts";
import type { Endpoint } from "../../src/transaction/index.ts";

const LOG = { debug() {}, info() {}, warn() {}, error() {} };
const INVITE_CHARS = 60_000;
const EVENTS = 1_000;

/** What stays of the heap when everything that nobody holds has gone. */
function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}

/** A dialog whose texts are cut from an INVITE of 60,000 characters, as the parser does it. @param valueChars of the caller's values */
function dialogOf(i: number, valueChars: number): Dialog {
  const invite = Buffer.alloc(INVITE_CHARS, `${i} INVITE of a caller `).toString("latin1");
  const callerEndpoint = { transport: "udp", address: "192.0.2.1", port: 5060, listener: {} as Endpoint["listener"] } as const;
  const dialog = new Dialog(
    invite.slice(100, 116),
    {
      ...{ callId: invite.slice(200, 260), fromTag: invite.slice(300, 330), fromUri: invite.slice(310, 350), toUri: "", toValue: "" },
      ...{ fromValue: invite.slice(280, 280 + valueChars), callerContact: invite.slice(1_000, 1_060) },
      ...{ callerEndpoint, callerRouteSet: [], callerCseq: 1 },
    },
    () => {},
  );
  const [tag, contact] = [invite.slice(400, 430), invite.slice(500, 520 + valueChars)];
  dialog.restoreLegs([{ tag, contact, routeSet: [], cseq: 0, state: "confirmed" }]);
  dialog.state = DialogState.Deleted;
  dialog.endReason = "Upstream BYE";
  return dialog;
}

function announcerOf(text: string): Announcer {
  return new Announcer({ config: parseConfig(text, "headroom.yaml", {}), after: () => () => undefined, log: LOG });
}

describe("events that are remembered", () => {
  for (const valueChars of [300, 8_000]) keepsNoMessage(valueChars);
});

function keepsNoMessage(valueChars: number): void {
  it(`keep no message in memory: a thousand calls with an INVITE of 60 KB each, ${valueChars} characters a value, take less than 3 MB`, () => {
    const webhooks = "webhooks: [{ url: 'http://192.0.2.1/' }], webhook_queue: 1000";
    const announcer = announcerOf(`events: { history: ${EVENTS}, ${webhooks} }`);
    try {
      const before = heapBytes();
      for (let i = 0; i < EVENTS; i++) announcer.dialogChanged(dialogOf(i, valueChars), DialogState.Confirmed);
      const grown = heapBytes() - before;
      assert.ok(grown < 3_000_000, `${grown} bytes`);
      assert.equal(announcer.counters["published"], EVENTS);
    } finally {
      announcer.close();
    }
  });
}

describe("the id of a run", () => {
  it("is another one each time, also when the clock says the same as before", (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: 1_700_000_000_000 });
    const ids = Array.from({ length: 50 }, () => {
      const announcer = announcerOf("");
      announcer.close();
      return announcer.run;
    });
    assert.equal(new Set(ids).size, ids.length);
    for (const id of ids) assert.match(id, /^loyw3v28[a-z0-9]{6}$/);
  });
});
