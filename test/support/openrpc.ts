import assert from "node:assert/strict";
import type { TSchema } from "typebox";
import { Compile } from "typebox/schema";
import type { Method } from "../../src/management/define-method.ts";
import { allMethods } from "../../src/management/methods/index.ts";
import { SHARED_SHAPES } from "../../src/management/shapes/shared.ts";

const methodsByName = new Map<string, Method>(
  allMethods.flatMap((method) => [method.name, ...method.aliases].map((name) => [name, method])),
);
const checks = new Map<string, ReturnType<typeof Compile>>();

/** Faults of a value, judged by a schema that may refer to the shared ones; members that are not described are faults too. */
export function faultsOf(key: string, schema: TSchema, value: unknown): string[] {
  let check = checks.get(key);
  if (check === undefined) {
    check = Compile(strict({ ...schema, components: { schemas: SHARED_SHAPES } }) as TSchema);
    checks.set(key, check);
  }
  if (check.Check(value)) return [];
  const [, errors] = check.Errors(value);
  return errors.map(({ instancePath, message }) => `${instancePath === "" ? "it" : instancePath} ${message}`);
}

/** Asserts that what a server answered to a method is what its description says. Methods that there are not are passed over. */
export function assertDescribed(
  name: string,
  answer: { readonly result?: unknown; readonly error?: { code: number; message: string } },
): void {
  const method = methodsByName.get(name);
  if (method === undefined) return;
  const { error } = answer;
  if (error === undefined) {
    const faults = faultsOf(method.name, method.result, answer.result);
    assert.deepEqual(faults, [], `${name} answered ${JSON.stringify(answer.result).slice(0, 2_000)}`);
    return;
  }
  if (error.code < 0 || error.code === 403 || error.message === "Internal Error") return;
  const isTold = (method.failures ?? []).some(({ code, message }) => code === error.code && error.message.startsWith(message));
  assert.ok(isTold, `${name} failed with ${error.code} "${error.message}", which its description does not have`);
}

/** The schema with every object closed, so that a member that nobody has described is seen. */
function strict(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(strict);
  if (typeof schema !== "object" || schema === null) return schema;
  const entries = Object.entries(schema).map(([key, value]) => [key, key === "enum" || key === "const" ? value : strict(value)]);
  const isClosed = "properties" in schema && typeof schema.properties === "object" && "type" in schema && schema.type === "object";
  return { ...Object.fromEntries(entries), ...(isClosed && { additionalProperties: false }) };
}
