import { type SchemaView, valueBranchOf, wantedOf } from "./read-values.ts";
import { ConfigSchema } from "./schema.ts";

const INTRODUCTION = `# Configuration

One YAML file: \`headroom.yaml\` in the working directory, or the one that \`--config FILE\` names. Every key is optional. A commented example is
[examples/headroom.yaml](../examples/headroom.yaml).

- \`headroom check\` reads the file and the rows of the database, says everything that is wrong, and changes nothing. \`headroom start\` does the same
  checks first and does not start with a file that has a mistake. Each message has file, line, column, what was found and what is wanted.
- An unknown key is a mistake too, so a slip of the pen is never silently ignored.
- A key that is set although this version does nothing with it is a *notice*: it is logged at start and printed by \`headroom check\`. Such keys are
  marked **no effect yet** below.
- \`\${NAME}\` in a value is replaced by that variable of the environment, so that secrets stay out of the file. \`$\${\` stands for a plain \`\${\`.
  Within \`[ ]\` and \`{ }\` put the value in quotes.
- A relative file name starts from the working directory.

This page is made from the schema of the configuration.
`;

/** The user reference of every key, in Markdown, made from the schema. */
export function configurationReference(): string {
  const sections = Object.entries((ConfigSchema as unknown as SchemaView).properties ?? {});
  return `${[INTRODUCTION, ...sections.map(([name, schema]) => sectionOf(name, schema))].join("\n")}`;
}

function sectionOf(name: string, schema: SchemaView): string {
  return `## ${name}\n\n${schema.description}\n\n${rowsOf(schema, "").join("\n\n")}\n`;
}

/** One paragraph a key; the keys of a group behind it, by their path within the section. */
function rowsOf(schema: SchemaView, prefix: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, key]) => {
    const path = prefix === "" ? name : `${prefix}.${name}`;
    const inner = key.items?.properties ? { schema: key.items, prefix: `${path}[]` } : { schema: valueBranchOf(key), prefix: path };
    return [paragraphOf(path, key), ...rowsOf(inner.schema, inner.prefix)];
  });
}

function paragraphOf(path: string, key: SchemaView): string {
  const lines = [`**\`${path}\`** ${key.description ?? ""}`];
  if (!key.properties) lines.push(`Wanted: ${itemsOf(key)}.${defaultText(key)}`);
  if (key.unbuilt !== undefined) lines.push(`**No effect yet**: ${key.unbuilt}.`);
  return lines.join("  \n");
}

function itemsOf(key: SchemaView): string {
  const wanted = wantedOf(key);
  if (!key.items || key.items.properties || key.single) return wanted;
  return `${wanted}, each ${wantedOf(key.items)}`;
}

function defaultText(key: SchemaView): string {
  if (key.default === undefined) return "";
  // The one rule that is there by itself is shown by the defaults of its keys.
  if (key.items?.properties && JSON.stringify(key.default) !== "[]") return " Default: one rule with the defaults below.";
  return ` Default: \`${JSON.stringify(key.default)}\`.`;
}
