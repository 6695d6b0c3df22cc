import { formatTable, isObject } from "./mi-format.ts";
import { plain } from "./terminal.ts";

/** What kamcmd prints of a text that is not there. */
const NULL_TEXT = "<null string>";

/** A result as `kamcmd` prints it: a block in braces for each structure, a tab a level; what stands in a list follows one another. */
export function formatAsKamcmd(result: unknown): string {
  if (!isObject(result) && !Array.isArray(result)) return plain(result);
  const blocks = Array.isArray(result) ? result : [result];
  return blocks.map((block) => ["{", ...members(block, "\t"), "}"].join("\n")).join("\n");
}

/** The sets of `dispatcher.list` with a line for each destination. */
export function formatSets(result: unknown): string {
  const records = isObject(result) && Array.isArray(result["RECORDS"]) ? result["RECORDS"] : [];
  const rows = records.flatMap((record: unknown) => {
    const set = memberOf(record, "SET");
    const targets = Array.isArray(set["TARGETS"]) ? set["TARGETS"] : [];
    return targets.map((target: unknown) => {
      const dest = memberOf(target, "DEST");
      const { EST: estimate } = memberOf(dest, "LATENCY");
      return [
        set["ID"],
        dest["URI"],
        dest["FLAGS"],
        dest["PRIORITY"],
        memberOf(dest, "RUNTIME")["DLGLOAD"],
        estimate ?? null,
        memberOf(dest, "ATTRS")["BODY"] ?? "",
      ].map(plain);
    });
  });
  return formatTable(["Set", "URI", "Flags", "Priority", "Calls", "Latency ms", "Attributes"], rows);
}

function members(value: unknown, indent: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => members(item, indent));
  if (!isObject(value)) return [indent + plain(value)];
  return Object.entries(value).flatMap(([name, member]) => {
    if (isObject(member) || Array.isArray(member)) return [`${indent}${plain(name)}: {`, ...members(member, `${indent}\t`), `${indent}}`];
    return [`${indent}${plain(name)}: ${member === null ? NULL_TEXT : plain(member)}`];
  });
}

function memberOf(value: unknown, name: string): Record<string, unknown> {
  const member = isObject(value) ? value[name] : undefined;
  return isObject(member) ? member : {};
}
