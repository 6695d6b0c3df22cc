import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type TSchema, Type } from "typebox";
import { createManagementServer, type ManagementServer } from "../../src/management/index.ts";
import { allMethods } from "../../src/management/methods/index.ts";
import { openRpcDocument, parametersOf } from "../../src/management/openrpc.ts";
import { managementReference } from "../../src/management/reference.ts";
import { SECURITY_HEADERS } from "../../src/management/security-headers.ts";
import { faultsOf } from "../support/openrpc.ts";
import { fakePorts } from "./fake-ports.ts";
import { fullPorts } from "./full-ports.ts";
import { CALLS } from "./method-calls.ts";
import { call, request } from "./raw-http.ts";

/** Rules of the OpenRPC specification for the parts that the document has. Every object may have `x-` members besides, and no others. */
const string = Type.String({ minLength: 1 });
const SCHEMA = Type.Unsafe<object>({ type: "object" });
const reference = Type.Object(
  { $ref: Type.String({ pattern: "^#/components/(errors|schemas)/[A-Za-z]+$" }) },
  { additionalProperties: false },
);
const RULES = open({
  openrpc: Type.Literal("1.3.2"),
  info: open({ title: string, version: string, description: Type.Optional(string), license: Type.Optional(open({ name: string })) }),
  servers: Type.Optional(Type.Array(open({ name: string, url: string }), { minItems: 1 })),
  methods: Type.Array(
    open({
      name: string,
      tags: Type.Array(open({ name: string })),
      summary: string,
      description: Type.Optional(string),
      paramStructure: Type.Unsafe<string>({ enum: ["by-name", "by-position", "either"] }),
      params: Type.Array(open({ name: string, description: string, required: Type.Boolean(), schema: SCHEMA })),
      result: open({ name: string, schema: SCHEMA }),
      errors: Type.Array(Type.Union([open({ code: Type.Integer(), message: string }), reference])),
    }),
  ),
  components: open({ schemas: SCHEMA, errors: SCHEMA }),
});

function open(properties: Record<string, TSchema>): TSchema {
  return Type.Object(properties, { patternProperties: { "^x-": {} }, additionalProperties: false });
}

interface Document {
  readonly servers?: readonly { readonly url: string }[];
  readonly methods: readonly {
    readonly name: string;
    readonly params: readonly { readonly name: string; readonly required: boolean }[];
    readonly "x-aliases": readonly string[];
    readonly "x-role": string;
    readonly "x-changes": string;
  }[];
  readonly components: { readonly schemas: object; readonly errors: object };
}

const WHOLE = JSON.parse(JSON.stringify(openRpcDocument(allMethods, "0.1.0"))) as Document;

describe("the OpenRPC document", () => {
  it("keeps to the rules of the specification", () => {
    const faults = faultsOf("OpenRPC", RULES, WHOLE);
    assert.deepEqual(faults, []);
  });

  it("leads somewhere with each reference", () => {
    const { schemas, errors } = WHOLE.components;
    const known = [...Object.keys(schemas).map((name) => `schemas/${name}`), ...Object.keys(errors).map((name) => `errors/${name}`)];
    const named = [...JSON.stringify(WHOLE).matchAll(/"\$ref":"#\/components\/([^"]*)"/g)].map(([, name]) => name!);
    assert.deepEqual(new Set(named.filter((name) => !known.includes(name))), new Set());
    assert.deepEqual(new Set(known.filter((name) => !named.includes(name))), new Set());
  });

  it("has each name once, and what is required first", () => {
    const names = WHOLE.methods.map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
    for (const { name, params } of WHOLE.methods) {
      const required = params.map((param) => param.required);
      assert.deepEqual(
        required,
        required.toSorted((a, b) => Number(b) - Number(a)),
        name,
      );
    }
  });

  it("describes each parameter of a recipe, and no other", () => {
    for (const method of allMethods) {
      const described = parametersOf(method).map(({ name }) => name);
      assert.deepEqual(described.toSorted(), Object.keys(method.parameters).toSorted(), method.name);
    }
  });

  it("says in words when a method that looks at its parameters changes something", () => {
    for (const { name, writes, writesWhen } of allMethods) assert.equal(writesWhen !== undefined, (writes?.length ?? 0) > 0, name);
  });

  it("says who may run a method", () => {
    const rights = new Map(WHOLE.methods.map((method) => [method.name, [method["x-role"], method["x-changes"]]]));
    assert.deepEqual(rights.get("load_balancer:list"), ["viewer", "never"]);
    assert.deepEqual(rights.get("load_balancer:status"), ["viewer", "with `new_status`"]);
    assert.deepEqual(rights.get("load_balancer:drain"), ["operator", "always"]);
    assert.deepEqual(rights.get("load_balancer:audit"), ["operator", "never"]);
  });
});

describe("the reference of the methods", () => {
  it("docs/management-reference.md says what the methods say (UPDATE_REFERENCE=1 writes it anew)", () => {
    const path = join(import.meta.dirname, "..", "..", "docs", "management-reference.md");
    if (process.env["UPDATE_REFERENCE"]) writeFileSync(path, managementReference(allMethods));
    assert.equal(readFileSync(path, "utf8"), managementReference(allMethods));
  });
});

describe("GET openrpc.json", () => {
  const SERVER = { host: "127.0.0.1", port: 0, root: "mi" };
  const TOKENS = [{ name: "wall", token: "token-of-the-wall", role: "viewer" }] as const;

  async function answered(config: Parameters<typeof createManagementServer>[1], path: string, headers: [string, string][] = []) {
    const server = await createManagementServer(fakePorts(), config);
    try {
      return { ...(await request(server.url, { method: "GET", path, headers })), url: server.url };
    } finally {
      await server.close();
    }
  }

  it("has the methods that this server offers, and its address", async () => {
    const { status, headers, body, url } = await answered({ ...SERVER, bearerTokens: [] }, "/mi/openrpc.json");
    assert.deepEqual([status, headers.get("content-type")], [200, "application/json"]);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) assert.equal(headers.get(name.toLowerCase()), value, name);
    const { servers, methods } = JSON.parse(body) as Document;
    assert.deepEqual(servers, [{ name: "this balancer", url }]);
    const names = methods.map(({ name }) => name);
    assert.deepEqual([names.includes("load_balancer:list"), names.includes("clusterer:list")], [true, false]);
  });

  it("is there without a root, too", async () => {
    assert.equal((await answered({ ...SERVER, root: "", bearerTokens: [] }, "/openrpc.json")).status, 200);
  });

  it("wants the token of anybody who may read", async () => {
    const config = { ...SERVER, bearerTokens: [], tokens: TOKENS };
    assert.equal((await answered(config, "/mi/openrpc.json")).status, 401);
    assert.equal((await answered(config, "/mi/openrpc.json", [["Authorization", "Bearer token-of-the-wall"]])).status, 200);
  });
});

describe("what methods answer", () => {
  let server: ManagementServer;
  before(async () => {
    server = await createManagementServer(fullPorts(), { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
  });
  after(() => server.close());

  it("is called for here, for every method", () => {
    assert.deepEqual(Object.keys(CALLS).toSorted(), allMethods.map(({ name }) => name).toSorted());
  });

  for (const [method, calls] of Object.entries(CALLS)) {
    it(`is as it is described: ${method}`, async () => {
      for (const params of calls) await call(server.url, method, params);
    });
  }

  it("is refused by the check when it has a member that nobody has described", () => {
    const { result } = allMethods.find(({ name }) => name === "core:version")!;
    assert.deepEqual(faultsOf("core:version", result, { Server: "x" }), []);
    assert.notDeepEqual(faultsOf("core:version", result, { Server: "x", more: 1 }), []);
    assert.notDeepEqual(faultsOf("core:version", result, {}), []);
  });
});
