import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { headText, ownerText, readHead } from "../../../src/cluster/dialogs/dialog-head.ts";
import { DIALOG_END, DIALOG_HEAD, DIALOG_PUT, DIALOG_TAKE } from "../../../src/cluster/dialogs/dialog-scripts.ts";
import { Keys } from "../../../src/cluster/keys.ts";
import type { LuaScript } from "../../../src/cluster/ports.ts";
import { Wire } from "../../../src/cluster/wire.ts";
import { MemoryRedis } from "../../support/memory-redis.ts";
import { DIALOG_TWINS } from "../../support/memory-scripts/dialogs.ts";
import { type RedisServer, startRedis } from "../../support/redis-server.ts";

const A = { nodeId: 1, incarnation: "aa" };
const B = { nodeId: 2, incarnation: "bb" };
const KEY = new Keys(1).dialog("d1");
const LIFE = 60_000;

function record(by: typeof A, taken = 0, mark = 0): string {
  return new Wire(by).encode([taken, mark, "d1", "call"]);
}
const tombstone = (by: typeof A): string => new Wire(by).encode(0);

interface Case {
  readonly name: string;
  /** What stands there first; null: nothing. */
  readonly first: string | null;
  readonly script: LuaScript;
  readonly args: readonly (string | number)[];
  readonly answer: unknown;
  readonly left: string | null;
  /** Rest of its life, milliseconds, when it is another than {@link LIFE}. */
  readonly lifeMs?: number;
}

const put = [ownerText(A), record(A, 0, 0), 5_000];
const end = (mode: string): (string | number)[] => [mode === "forgotten" ? ownerText(A) : headText(A, 0, false), tombstone(A), 3_000, mode];
const cases: Case[] = [
  { name: "put: nothing is there", first: null, script: DIALOG_PUT, args: put, answer: 1, left: record(A), lifeMs: 5_000 },
  { name: "put: its own is there", first: record(A, 7, 1), script: DIALOG_PUT, args: put, answer: 1, left: record(A), lifeMs: 5_000 },
  { name: "put: that of another is there", first: record(B, 1), script: DIALOG_PUT, args: put, answer: record(B, 1), left: record(B, 1) },
  { name: "put: it has ended", first: tombstone(B), script: DIALOG_PUT, args: put, answer: tombstone(B), left: tombstone(B) },
  {
    name: "put: another incarnation is another node",
    first: record({ nodeId: 1, incarnation: "aaa" }),
    script: DIALOG_PUT,
    args: put,
    answer: record({ nodeId: 1, incarnation: "aaa" }),
    left: record({ nodeId: 1, incarnation: "aaa" }),
  },
  {
    name: "put: something foreign is there",
    first: "x".repeat(500),
    script: DIALOG_PUT,
    args: put,
    answer: "x".repeat(128),
    left: "x".repeat(500),
  },
  {
    name: "take: as expected, it lives on as long",
    first: record(B, 1, 1),
    script: DIALOG_TAKE,
    args: [headText(B, 1, true), headText(A, 2, false), "", ""],
    answer: record(A, 2),
    left: record(A, 2),
  },
  {
    name: "take: another was faster",
    first: record(B, 2),
    script: DIALOG_TAKE,
    args: [headText(B, 1, true), headText(A, 2, false), "", ""],
    answer: null,
    left: record(B, 2),
  },
  {
    name: "take: nothing is there",
    first: null,
    script: DIALOG_TAKE,
    args: [headText(B, 1, true), headText(A, 2, false), "", ""],
    answer: null,
    left: null,
  },
  {
    name: "take: with a record of its own",
    first: tombstone(B),
    script: DIALOG_TAKE,
    args: [tombstone(B), "", record(A, 4), 9_000],
    answer: record(A, 4),
    left: record(A, 4),
    lifeMs: 9_000,
  },
  { name: "end: nobody else had it", first: record(A), script: DIALOG_END, args: end("sure"), answer: 0, left: null },
  { name: "end: nothing is there", first: null, script: DIALOG_END, args: end("sure"), answer: 0, left: null },
  {
    name: "end: it was elsewhere before",
    first: record(A, 2),
    script: DIALOG_END,
    args: end("sure"),
    answer: 1,
    left: tombstone(A),
    lifeMs: 3_000,
  },
  { name: "end: another has it", first: record(B, 1), script: DIALOG_END, args: end("sure"), answer: 1, left: tombstone(A), lifeMs: 3_000 },
  {
    name: "end: said before, and its answer was lost",
    first: tombstone(A),
    script: DIALOG_END,
    args: end("told"),
    answer: 1,
    left: tombstone(A),
  },
  { name: "end: it has ended", first: tombstone(B), script: DIALOG_END, args: end("told"), answer: 0, left: tombstone(B) },
  {
    name: "end: nothing is there, others may have it",
    first: null,
    script: DIALOG_END,
    args: end("told"),
    answer: 1,
    left: tombstone(A),
    lifeMs: 3_000,
  },
  { name: "end, told: nobody else had it", first: record(A), script: DIALOG_END, args: end("told"), answer: 0, left: null },
  {
    name: "left: as expected",
    first: record(A, 3, 1),
    script: DIALOG_END,
    args: [headText(A, 3, true), tombstone(A), 3_000, "left"],
    answer: 1,
    left: tombstone(A),
    lifeMs: 3_000,
  },
  {
    name: "left: another has it now",
    first: record(B, 4),
    script: DIALOG_END,
    args: [headText(A, 3, true), tombstone(A), 3_000, "left"],
    answer: 0,
    left: record(B, 4),
  },
  { name: "forgotten: its own", first: record(A, 3, 1), script: DIALOG_END, args: end("forgotten"), answer: 0, left: null },
  { name: "forgotten: that of another", first: record(B, 3), script: DIALOG_END, args: end("forgotten"), answer: 0, left: record(B, 3) },
  {
    name: "head: of a long record",
    first: `${record(A)}${"y".repeat(300)}`,
    script: DIALOG_HEAD,
    args: [],
    answer: `${record(A)}${"y".repeat(300)}`.slice(0, 128),
    left: `${record(A)}${"y".repeat(300)}`,
  },
  { name: "head: nothing is there", first: null, script: DIALOG_HEAD, args: [], answer: "", left: null },
];

describe("scripts of the dialog replica", () => {
  it("do what their table says, in Redis and in memory", async () => {
    const redis = await startRedis();
    try {
      for (const one of cases) {
        await checkReal(redis, one);
        checkTwin(one);
      }
    } finally {
      await redis.close();
    }
  });

  it("find the owner in the longest head", () => {
    const owner = { nodeId: 2_147_483_647, incarnation: "z".repeat(64) };
    const text = new Wire(owner).encode([999_999_999, 1, "did"]);
    const head = readHead(text.slice(0, 128));
    assert.deepEqual(head, { kind: "record", ...owner, taken: 999_999_999, isAdopted: true, text: headText(owner, 999_999_999, true) });
    assert.deepEqual(readHead(tombstone(A)), { kind: "tombstone" });
    for (const other of [
      undefined,
      null,
      "",
      "x",
      `[2,1,"a",[0,0,`,
      `[1,1,"a b",[0,0,`,
      `[1,1,"a",[-1,0,`,
      `[1,1,"a",[1,2,`,
      `${tombstone(A)} `,
    ])
      assert.equal(readHead(other), undefined);
  });
});

async function checkReal(redis: RedisServer, { name, first, script, args, answer, left, lifeMs = LIFE }: Case): Promise<void> {
  await redis.flush();
  if (first !== null) await redis.cli("SET", KEY, first, "PX", LIFE);
  assert.deepEqual(await redis.cli("EVAL", script.lua, 1, KEY, ...args), answer, name);
  assert.equal(await redis.cli("GET", KEY), left, name);
  const remaining = Number(await redis.cli("PTTL", KEY));
  if (left !== null) assert.ok(remaining <= lifeMs && remaining > lifeMs - 1_000, `${name}: lives ${remaining} ms`);
}

function checkTwin({ name, first, script, args, answer, left, lifeMs = LIFE }: Case): void {
  const memory = new MemoryRedis().scripts(DIALOG_TWINS);
  if (first !== null) memory.store.call("set", KEY, first, "px", LIFE);
  assert.deepEqual(memory.runTwin(script.name, [KEY], args.map(String)), answer, `twin, ${name}`);
  assert.equal(memory.store.call("get", KEY), left, `twin, ${name}`);
  if (left !== null) assert.equal(memory.store.call("pttl", KEY), lifeMs, `twin, ${name}`);
}
