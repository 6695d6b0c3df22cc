import type { TSchema } from "typebox";
import type { Method, MethodFailure } from "./define-method.ts";
import { INVALID_PARAMS, SERVER_ERROR } from "./jsonrpc.ts";
import { SHARED_SHAPES } from "./shapes/shared.ts";

/** Version of the specification that {@link openRpcDocument} keeps to: https://spec.open-rpc.org/ */
export const OPENRPC_VERSION = "1.3.2";

/** Name of {@link Method.result} in the document; nobody sends it. */
const RESULT_NAME = "result";

/** Failures that methods share, by the names under which the document has them. */
const COMMON_ERRORS = {
  InvalidParams: { code: INVALID_PARAMS, message: "Invalid params" },
  Forbidden: { code: 403, message: "Forbidden" },
  ServerError: { code: SERVER_ERROR, message: "Server error" },
} as const satisfies Record<string, MethodFailure>;

/** Who may run a method, and whether it changes something. */
export interface MethodRights {
  /** The least that the token must be. */
  readonly role: "viewer" | "operator";
  /** `always`, `never`, or when in words; a viewer may not run it then. */
  readonly changes: string;
}

export function rightsOf({ writes, writesWhen, isForOperators }: Pick<Method, "writes" | "writesWhen" | "isForOperators">): MethodRights {
  const changes = writes === undefined ? "never" : (writesWhen ?? "always");
  return { role: isForOperators === true || changes === "always" ? "operator" : "viewer", changes };
}

/** One parameter of a method that may be called with several lists of them. */
export interface Parameter {
  readonly name: string;
  /** Every list has it. */
  readonly required: boolean;
  readonly schema: TSchema;
}

/** The parameters in the order in which the recipes name them. @throws Error when one has no schema */
export function parametersOf({ name, recipes, parameters }: Pick<Method, "name" | "recipes" | "parameters">): Parameter[] {
  return [...new Set(recipes.flat())].map((parameter) => {
    const schema = parameters[parameter];
    if (schema === undefined) throw new Error(`Cannot describe method "${name}": its parameter "${parameter}" has no schema`);
    return { name: parameter, required: recipes.every((recipe) => recipe.includes(parameter)), schema };
  });
}

/** Module of a method, such as `load_balancer`: what stands before the colon, or before the point of Kamailio's commands. */
export function moduleOf({ name }: Pick<Method, "name">): string {
  return name.split(/[:.]/, 1)[0] ?? "";
}

/**
 * The methods as an OpenRPC document. Members of our own: `x-aliases`, the older names; `x-recipes`, each list of parameters that is accepted;
 * `x-role` and `x-changes`, see {@link MethodRights}; `x-offered-with`, the key of the configuration that a method needs.
 *
 * @param server where they are answered, such as `http://127.0.0.1:8888/mi`; absent: nowhere in particular
 */
export function openRpcDocument(methods: readonly Method[], version: string, server?: string): object {
  return {
    openrpc: OPENRPC_VERSION,
    info: {
      title: "Headroom management",
      version,
      description:
        "JSON-RPC 2.0 over HTTP POST, with a bearer token where tokens are configured. Parameters come in a list, in the order given, or by name. " +
        "A number may also be sent as text. Answers may get further members in later versions.",
      license: { name: "MIT" },
    },
    ...(server !== undefined && { servers: [{ name: "this balancer", url: server }] }),
    methods: methods.map(describeMethod),
    components: { schemas: SHARED_SHAPES, errors: COMMON_ERRORS },
  };
}

function describeMethod(method: Method): object {
  const { name, aliases, help, details, recipes, namedOnly, result, failures = [], offeredWith } = method;
  const { role, changes } = rightsOf(method);
  return {
    name,
    tags: [{ name: moduleOf(method) }],
    summary: help,
    ...(details !== undefined && { description: details }),
    paramStructure: namedOnly === true ? "by-name" : "either",
    params: parametersOf(method).map(({ name: parameter, required, schema }) => ({
      name: parameter,
      ...descriptionOf(schema),
      required,
      schema,
    })),
    result: { name: RESULT_NAME, schema: result },
    errors: [...failures.map(({ code, message }) => ({ code, message })), ...commonErrorsOf(changes, role)],
    "x-aliases": aliases,
    "x-recipes": recipes,
    "x-role": role,
    "x-changes": changes,
    ...(offeredWith !== undefined && { "x-offered-with": offeredWith }),
  };
}

function commonErrorsOf(changes: string, role: MethodRights["role"]): object[] {
  const names: (keyof typeof COMMON_ERRORS)[] = ["InvalidParams", "ServerError"];
  if (role === "operator" || changes !== "never") names.push("Forbidden");
  return names.map((name) => ({ $ref: `#/components/errors/${name}` }));
}

function descriptionOf(schema: TSchema): object {
  const { description } = schema as { description?: string };
  return description === undefined ? {} : { description };
}
