import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { asRouteModule } from "../../src/routing/index.ts";

const request = () => {};

describe("what a route module exports", () => {
  it("named handlers", () => {
    const failure = () => {};
    assert.deepEqual(asRouteModule({ request, failure, methods: ["MESSAGE"], other: 5 }), { request, failure, methods: ["MESSAGE"] });
  });

  it("one default object, as CommonJS modules do", () => {
    assert.deepEqual(asRouteModule({ default: { request, reply: request } }), { request, reply: request });
  });

  it("a default fills in what is not exported by name", () => {
    const failure = () => {};
    assert.deepEqual(asRouteModule({ request, default: { request: () => {}, failure } }), { request, failure });
  });

  const cases: [exports: unknown, message: string][] = [
    [{}, 'Cannot use route module: it does not export "request", want a function request(call)'],
    [undefined, 'Cannot use route module: it does not export "request", want a function request(call)'],
    [{ default: "x" }, 'Cannot use route module: it does not export "request", want a function request(call)'],
    [{ request: "relay" }, 'Cannot use route module: "request" is a value of type string, want a function request(call)'],
    [{ request, failure: null }, 'Cannot use route module: "failure" is null, want a function failure(call)'],
    [
      { request, methods: "MESSAGE" },
      'Cannot use route module: "methods" is a value of type string, want a list of SIP methods, such as ["INVITE", "MESSAGE"]',
    ],
    [
      { request, methods: [1] },
      'Cannot use route module: "methods" is a list with something else in it, want a list of SIP methods, such as ["INVITE", "MESSAGE"]',
    ],
    [
      { request, methods: ["message"] },
      'Cannot use route module: Cannot use method "message": want a SIP method in upper case, such as "INVITE"',
    ],
    [
      { failure: 1, reply: {} },
      'Cannot use route module: it does not export "request", want a function request(call); "failure" is a value of type number, want a function failure(call); "reply" is a value of type object, want a function reply(call)',
    ],
  ];
  for (const [exports, message] of cases) {
    it(`refuses ${JSON.stringify(exports) ?? "nothing"}`, () => {
      assert.throws(() => asRouteModule(exports), { name: "RoutingError", message });
    });
  }
});
