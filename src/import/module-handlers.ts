import type { ScriptValues } from "./script-values.ts";

/** The text of `request()`, which enters the function of the main route. */
export function requestInWords(entry: string, place: string, values: ScriptValues): string {
  return `/** The main route, line ${place}. What decides nothing is answered 500. */\nexport function request(call: Call): void {\n${guarded(`${entry}(call);`, "Call refused", values)}\n}`;
}

/** The text of `failure()`, which enters the function of the failure route that was armed. */
export function failureInWords(functions: readonly (readonly [block: string, name: string])[], values: ScriptValues): string {
  const cases = functions.map(([block, name]) => `if (armed === ${JSON.stringify(block)}) ${name}(call);`);
  return [
    "/** The failure route that t_on_failure has armed. When it decides nothing, the caller gets the best response so far. */",
    "export function failure(call: Call): void {",
    '  const armed = call.vars.get("t_on_failure");',
    '  call.vars.delete("t_on_failure");',
    guarded(cases.join("\n"), "Call not tried again", values),
    "}",
  ].join("\n");
}

/** Catches what `decided` and `holds` throw. */
function guarded(code: string, what: string, { helpers }: ScriptValues): string {
  if (!helpers.has("decided") && !helpers.has("holds")) return code.replace(/^/gm, "  ");
  const isRequest = what === "Call refused";
  return [
    "  try {",
    code.replace(/^/gm, "    "),
    "  } catch (cause) {",
    ...(helpers.has("holds") ? ["    if (cause === END) return;"] : []),
    ...(helpers.has("decided")
      ? [
          "    if (!(cause instanceof Undecided)) throw cause;",
          `    call.log.error(\`${what}: \${cause.message}\`);`,
          ...(isRequest ? ["    call.reply(403);"] : []),
        ]
      : ["    throw cause;"]),
    "  }",
  ].join("\n");
}
