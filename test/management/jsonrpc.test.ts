import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { INVALID_PARAMS, MiError, readRequest, resultText } from "../../src/management/jsonrpc.ts";
import { matchParams, Params } from "../../src/management/params.ts";

describe("JSON-RPC 2.0 requests", () => {
  const invalid: { name: string; value: unknown; id: unknown }[] = [
    { name: "no object", value: "lb_list", id: null },
    { name: "null", value: null, id: null },
    { name: "an array", value: [], id: null },
    { name: "no jsonrpc member", value: { method: "m", id: 4 }, id: 4 },
    { name: "another version", value: { jsonrpc: "1.0", method: "m", id: 4 }, id: 4 },
    { name: "a method that is no string", value: { jsonrpc: "2.0", method: {}, id: "a" }, id: "a" },
    { name: "params that are no list or object", value: { jsonrpc: "2.0", method: "m", params: 1, id: 4 }, id: 4 },
    { name: "an id that cannot be echoed", value: { jsonrpc: "2.0", method: "m", id: [] }, id: null },
    { name: "no method and no id", value: { jsonrpc: "2.0" }, id: null },
    { name: "members only by inheritance", value: Object.create({ jsonrpc: "2.0", method: "m", id: 1 }), id: null },
  ];
  for (const { name, value, id } of invalid) it(`refuses ${name}`, () => assert.deepEqual(readRequest(value), { kind: "invalid", id }));

  const ids: [unknown, unknown][] = [
    [undefined, undefined],
    [null, null],
    ["x".repeat(1000), "x".repeat(1000)],
    [7, 7],
    [-7, -7],
    [1.9, 1],
    [-0.5, -0],
    [2 ** 31, 2 ** 31 - 1],
    [-(2 ** 40), -(2 ** 31)],
    [Number.POSITIVE_INFINITY, 2 ** 31 - 1],
  ];
  for (const [sent, echoed] of ids) {
    it(`echoes id ${String(sent).slice(0, 20)} as OpenSIPS does`, () => {
      const request = readRequest({ jsonrpc: "2.0", method: "m", id: sent });
      assert.deepEqual(request, { kind: "call", method: "m", params: undefined, id: echoed });
    });
  }

  it("takes empty params for none", () => {
    for (const params of [[], {}])
      assert.deepEqual(readRequest({ jsonrpc: "2.0", method: "m", params, id: 1 }), {
        kind: "call",
        method: "m",
        params: undefined,
        id: 1,
      });
  });

  it("writes an id of -0 as 0", () => assert.equal(resultText("OK", -0), '{"jsonrpc":"2.0","result":"OK","id":0}'));
});

describe("parameters, OpenSIPS mi/mi.c and mi/item.c", () => {
  const recipes = [["callid"], ["callid", "from_tag"], ["index", "counter"]];
  function detail(run: () => unknown): string | undefined {
    try {
      run();
    } catch (error) {
      assert.ok(error instanceof MiError);
      assert.equal(error.code, INVALID_PARAMS);
      return error.data;
    }
    return assert.fail("no error");
  }

  it("matches names exactly, in any order", () => {
    const params = matchParams(recipes, { counter: "5", index: 2 }, true);
    assert.deepEqual([params.int("index"), params.int("counter"), params.has("callid")], [2, 5, false]);
  });

  const refused: { name: string; params: readonly unknown[] | Record<string, unknown> | undefined; namedOnly?: boolean; want: string }[] = [
    { name: "none where some are wanted", params: undefined, want: "Too few or too many parameters" },
    { name: "a list of the wrong length", params: [1, 2, 3], want: "Too few or too many parameters" },
    { name: "a list that two recipes would take", params: [1, 2], want: "Ambiguous call, use named parameters instead" },
    { name: "a list where names are wanted", params: ["a"], namedOnly: true, want: "Command only supports named parameters" },
    { name: "wrong names", params: { callid: 1, index: 2 }, want: "Named parameters do not match" },
    { name: "too many names", params: { callid: 1, from_tag: 2, index: 3 }, want: "Too few or too many parameters" },
    { name: "inherited names", params: Object.create({ callid: "x" }), want: "Too few or too many parameters" },
    { name: "__proto__ as a name", params: JSON.parse('{"__proto__":"x"}'), want: "Named parameters do not match" },
  ];
  for (const { name, params, namedOnly = false, want } of refused) {
    it(`refuses ${name}`, () =>
      assert.equal(
        detail(() => matchParams(recipes, params, namedOnly)),
        want,
      ));
  }

  const numbers: [unknown, number | undefined][] = [
    [5, 5],
    [1.7, 1],
    [-1.7, -1],
    ["5", 5],
    ["-5", -5],
    [4294967295, 4294967295],
    ["99999999999999999999", Number.MAX_SAFE_INTEGER],
    [Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER],
    ["", undefined],
    ["1.7", undefined],
    ["0x10", undefined],
    [" 1", undefined],
    ["1".repeat(400), undefined],
    [true, undefined],
    [null, undefined],
    [[1], undefined],
    [{}, undefined],
  ];
  for (const [value, want] of numbers) {
    it(`${want === undefined ? "refuses" : "reads"} ${JSON.stringify(value).slice(0, 30)} as a number`, () => {
      const params = new Params(new Map([["n", value]]));
      if (want === undefined)
        assert.equal(
          detail(() => params.int("n")),
          "Bad type for parameter 'n'",
        );
      else assert.equal(params.int("n"), want);
    });
  }

  it("reads a number as text, and one text as a list", () => {
    const params = new Params(
      new Map<string, unknown>([
        ["a", 5.9],
        ["b", "x"],
        ["c", ["x", 7]],
        ["d", []],
        ["e", [{}]],
      ]),
    );
    assert.deepEqual([params.text("a"), params.texts("b"), params.texts("c")], ["5", ["x"], ["x", "7"]]);
    assert.equal(
      detail(() => params.texts("d")),
      "Empty array for parameter 'd'",
    );
    assert.equal(
      detail(() => params.texts("e")),
      "Bad type for parameter 'e'",
    );
  });
});
