import { formatTable, isObject } from "./mi-format.ts";
import { plain } from "./terminal.ts";

const FLAGS: Readonly<Record<string, string>> = {
  n: "full ones too, if none is free",
  r: "free slots in percent",
  s: "any of equals",
};

/** The answer of `lb_explain` for people. */
export function formatExplanation(callId: string, result: unknown, colours: boolean): string {
  const decisions = objects(result, "Decisions");
  const omitted = isObject(result) ? Number(result["decisions_omitted"] ?? 0) : 0;
  const startMs = Date.parse(String(decisions[0]?.["at"] ?? ""));
  const all = decisions.length + omitted;
  const last = decisions.at(-1);
  const outcome =
    last === undefined
      ? ""
      : last["code"] === 1
        ? `; it went to destination ${plain(last["chosen"])} in the end`
        : "; it went nowhere in the end";
  return [
    strong(`Call ${plain(callId)}: ${all} ${all === 1 ? "decision" : "decisions"}${outcome}`, colours),
    ...(omitted > 0 ? [`(the first ${omitted} are not shown)`] : []),
    ...decisions.flatMap((decision, i) => {
      const afterMs = Date.parse(String(decision["at"])) - startMs;
      const when = i === 0 || Number.isNaN(afterMs) ? plain(decision["at"]) : `${(afterMs / 1000).toFixed(3)} s later`;
      const attempt = Number(decision["attempt"]);
      const again =
        attempt > 1
          ? `, attempt ${attempt}: ${attempt === 2 ? "the destination before did" : `${attempt - 1} destinations before did`} not take it`
          : "";
      return ["", `${omitted + i + 1}. ${when}${again}`, ...describeDecision(decision, colours).map((line) => `   ${line}`.trimEnd())];
    }),
  ].join("\n");
}

/** The answer of `lb_what_if` for people. */
export function formatWhatIf(result: unknown, colours: boolean): string {
  if (!isObject(result)) return plain(result);
  return [strong("A call now:", colours), ...describeDecision(result, colours)].join("\n");
}

function describeDecision(decision: Record<string, unknown>, colours: boolean): string[] {
  const { group, resources, flags, summary, equals, failed_open: failedOpen, destinations_omitted: omitted } = decision;
  const letters = typeof flags === "string" ? [...flags] : [];
  const meanings = letters.map((letter) => `${plain(letter)}: ${FLAGS[letter] ?? "no such flag"}`).join(", ");
  const lines = [
    `asked for "${plain(resources)}" of group ${plain(group)}${letters.length > 0 ? `, flags ${meanings}` : ""}`,
    strong(`${plain(summary)} (code ${plain(decision["code"])})`, colours, decision["code"] !== 1),
  ];
  if (failedOpen === true) lines.push("all were down: the group fails open, so statuses did not count");
  if (Array.isArray(equals) && equals.length > 1) lines.push(`equally free: ${equals.map(plain).join(", ")}`);
  const rows = objects(decision, "Destinations");
  if (rows.length > 0) lines.push("", ...table(rows, colours));
  if (Number(omitted ?? 0) > 0) lines.push(`(${plain(omitted)} more destinations of the group are not kept)`);
  return lines;
}

/** The chosen one is marked; tier and weight have a column where one of the group has some. */
function table(rows: readonly Record<string, unknown>[], colours: boolean): string[] {
  const hasTier = rows.some((row) => row["tier"] !== undefined);
  const hasWeight = rows.some((row) => row["weight"] !== undefined);
  const titles = ["", "ID", "URI", "Load", "Free", ...(hasTier ? ["Tier"] : []), ...(hasWeight ? ["Weight"] : []), "Score", "Why"];
  const cells = rows.map((row) => [
    row["chosen"] === true ? ">" : "",
    plain(row["id"]),
    plain(row["uri"]),
    objects(row, "Resources").map(loadOf).join(", "),
    objects(row, "Resources")
      .map(({ slot }) => plain(slot))
      .join(", "),
    ...(hasTier ? [plain(row["tier"] ?? 0)] : []),
    ...(hasWeight ? [plain(row["weight"] ?? 1)] : []),
    plain(row["score"]),
    row["chosen"] === true ? "chosen" : plain(row["reason"]),
  ]);
  const [heading = "", ...lines] = formatTable(titles, cells).split("\n");
  return [heading, ...lines.map((line, i) => (rows[i]?.["chosen"] === true ? strong(line, colours) : line))];
}

function loadOf({ name, load, max, own }: Record<string, unknown>): string {
  const held = isObject(own) ? ` (its own ${plain(own["load"])}/${plain(own["max"])})` : "";
  return `${plain(name)} ${plain(load)}/${plain(max)}${held}`;
}

function strong(text: string, colours: boolean, isFault = false): string {
  return colours ? `\u001b[${isFault ? "31" : "1"}m${text}\u001b[0m` : text;
}

function objects(value: unknown, name: string): Record<string, unknown>[] {
  const list = isObject(value) ? value[name] : undefined;
  return Array.isArray(list) ? list.filter(isObject) : [];
}
