import type { Method } from "./define-method.ts";
import { moduleOf, type Parameter, parametersOf, rightsOf } from "./openrpc.ts";
import { SHARED_SHAPES } from "./shapes/shared.ts";

const INTRODUCTION = `# Reference of the management methods

What each method takes and answers. How to ask, who may, and what differs from OpenSIPS is in [management.md](management.md).

A running balancer tells the same to programs: GET \`/mi/openrpc.json\`, with the token of anybody who may read, is an
[OpenRPC](https://spec.open-rpc.org/) document of the methods that it offers, for making clients and for tools. So does the method \`rpc.discover\`.

- Parameters come in a list, in the order of the table, or by name in an object. Those in *italics* may be left out, the later ones first. Numbers may be sent as text.
- A method may get further members in its answer in later versions; those that are described stay.
- Every method may fail with -32602 (parameters that do not fit), -32000 (it failed or took too long), and, where it is for operators, 403.

This page is made from the methods.
`;

/** What the reader needs of a JSON Schema. */
interface SchemaView {
  readonly type?: string;
  readonly description?: string;
  readonly const?: unknown;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly anyOf?: readonly SchemaView[];
  readonly items?: SchemaView;
  readonly properties?: Readonly<Record<string, SchemaView>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaView;
  readonly $ref?: string;
}

/** The user reference of every method, in Markdown, made from the methods. */
export function managementReference(methods: readonly Method[]): string {
  const modules = [...new Set(methods.map(moduleOf))];
  const sections = modules.map((module) => {
    const own = methods.filter((method) => moduleOf(method) === module);
    return `## ${module}\n\n${own.map(sectionOf).join("\n")}`;
  });
  const shapes = Object.entries(SHARED_SHAPES).map(
    ([name, shape]) => `### ${name}\n\n${table("Member", membersOf(shape as SchemaView, ""))}\n`,
  );
  return [INTRODUCTION, ...sections, `## Shapes that several methods answer\n\n${shapes.join("\n")}`].join("\n");
}

function sectionOf(method: Method): string {
  const { name, aliases, help, details, failures = [], offeredWith } = method;
  const older = aliases.length > 0 ? ` Older name: ${aliases.map(code).join(", ")}.` : "";
  const parameters = parametersOf(method);
  const parts = [
    `### \`${name}\``,
    `${sentence(help)}${older}`,
    ...(details === undefined ? [] : [details]),
    `${rightsText(method)}${offeredWith === undefined ? "" : ` Only with \`${offeredWith}\`, else the method is not found.`}`,
    ...(method.namedOnly === true ? [`Parameters only by name: ${method.recipes.map(listText).join("; or ")}.`] : []),
    ...(parameters.length > 0 ? [table("Parameter", parameters.map(rowOf))] : []),
    answerOf(method.result as SchemaView),
    ...(failures.length > 0 ? [`Fails with ${failures.map(({ code: number, message }) => `${number} \`${message}\``).join(", ")}.`] : []),
  ];
  return `${parts.join("\n\n")}\n`;
}

function listText(names: readonly string[]): string {
  return names.length === 0 ? "none" : names.map(code).join(", ");
}

function rightsText(method: Method): string {
  const { role, changes } = rightsOf(method);
  if (changes === "always") return "For operators: it changes something.";
  if (changes !== "never") return `For operators ${changes}; else for everybody.`;
  return role === "operator" ? "For operators." : "For everybody.";
}

function rowOf({ name, required, schema }: Parameter): readonly string[] {
  const view = schema as SchemaView;
  return [required ? code(name) : `*${code(name)}*`, kindOf(view), view.description ?? ""];
}

function answerOf(schema: SchemaView): string {
  const rows = (schema.anyOf ?? [schema]).flatMap((branch) => membersOf(branch, ""));
  const said = (schema.anyOf ?? [schema]).filter((branch) => membersOf(branch, "").length === 0 && branch.type !== "null");
  const words = said.map((branch) => `${kindOf(branch)}${branch.description === undefined ? "" : `: ${branch.description}`}`);
  const answer = words.length > 0 ? `Answers ${words.join("; or ")}${rows.length > 0 ? "; or an object" : ""}.` : "Answers an object.";
  return rows.length > 0 ? `${answer}\n\n${table("Member", rows)}` : answer;
}

/** A row for each member, and for those within, by their path. */
function membersOf(schema: SchemaView, path: string): (readonly string[])[] {
  if (schema.items !== undefined) return membersOf(schema.items, `${path}[]`);
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap((branch) => membersOf(branch, path));
  return Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    const here = path === "" ? name : `${path}.${name}`;
    const isThere = schema.required?.includes(name) === true;
    return [[isThere ? code(here) : `*${code(here)}*`, kindOf(member), member.description ?? ""], ...membersOf(member, here)];
  });
}

/** The type in words. */
function kindOf(schema: SchemaView): string {
  const { $ref, anyOf, items, type, minimum, maximum } = schema;
  if ($ref !== undefined) return linkOf($ref);
  if (schema.const !== undefined) return code(JSON.stringify(schema.const));
  if (schema.enum !== undefined) return schema.enum.map((word) => code(word)).join(", ");
  if (anyOf !== undefined) return [...new Set(anyOf.map(kindOf))].join(" or ");
  if (items !== undefined) return `list of ${kindOf(items)}`;
  if (schema.additionalProperties !== undefined && schema.properties === undefined)
    return `object of ${kindOf(schema.additionalProperties)}`;
  if (type === "integer" || type === "number") return `${type === "integer" ? "whole number" : "number"}${boundsOf(minimum, maximum)}`;
  return type === undefined ? "anything" : type === "string" ? "text" : type;
}

function boundsOf(minimum: number | undefined, maximum: number | undefined): string {
  if (minimum !== undefined && maximum !== undefined) return `, ${minimum} to ${maximum}`;
  return minimum === undefined ? "" : `, from ${minimum}`;
}

function linkOf(reference: string): string {
  const name = reference.slice(reference.lastIndexOf("/") + 1);
  return `[${name}](#${name.toLowerCase()})`;
}

function table(first: string, rows: readonly (readonly string[])[]): string {
  return [`| ${first} | Type | |`, "|---|---|---|", ...rows.map((cells) => `| ${cells.map(escaped).join(" | ")} |`)].join("\n");
}

function escaped(cell: string): string {
  return cell.replaceAll("|", "\\|");
}

function code(text: string): string {
  return `\`${text}\``;
}

function sentence(help: string): string {
  return `${help.slice(0, 1).toUpperCase()}${help.slice(1)}.`;
}
