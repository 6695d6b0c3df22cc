/** Final failures that a failure route can see: status codes from 300 to 699, and the two that no response tells. */
export type Failure = number | "timeout" | "transport";

const FIRST = 300;
const LAST = 699;

/** All failures. */
export function everyFailure(): Set<Failure> {
  const all = new Set<Failure>(["timeout", "transport"]);
  for (let code = FIRST; code <= LAST; code += 1) all.add(code);
  return all;
}

/**
 * The failures whose code a regular expression of `t_check_status` is found in. No answer counts as 408 and a failed transport as 503, as there.
 *
 * @returns undefined for an expression that cannot be read
 */
export function failuresLike(pattern: string): Set<Failure> | undefined {
  if (pattern.length > 200 || !/^[\d()[\]|.*+?^$\-\\dx\s]*$/.test(pattern)) return undefined;
  let expression: RegExp;
  try {
    expression = new RegExp(pattern);
  } catch {
    return undefined;
  }
  const found = [...everyFailure()].filter((failure) => expression.test(String(codeOf(failure))));
  return new Set(found);
}

/** Those of a set for which a comparison of the code holds. */
export function failuresCompared(operator: string, code: number): Set<Failure> | undefined {
  const holds: Readonly<Record<string, (other: number) => boolean>> = {
    "==": (other) => other === code,
    "!=": (other) => other !== code,
    ">=": (other) => other >= code,
    "<=": (other) => other <= code,
    ">": (other) => other > code,
    "<": (other) => other < code,
  };
  const test = Object.hasOwn(holds, operator) ? holds[operator] : undefined;
  return test && new Set([...everyFailure()].filter((failure) => test(codeOf(failure))));
}

function codeOf(failure: Failure): number {
  if (failure === "timeout") return 408;
  return failure === "transport" ? 503 : failure;
}

/** A set as `failover_on` writes it: whole classes as `5xx`, tens as `50x`, and codes. `timeout` and `transport` only where their codes do not say them. */
export function namesOf(failures: ReadonlySet<Failure>): string[] {
  const names: string[] = [];
  for (let hundred = FIRST; hundred <= LAST; hundred += 100) {
    if (hasAll(failures, hundred, 100)) names.push(`${hundred / 100}xx`);
    else
      for (let ten = hundred; ten < hundred + 100; ten += 10) {
        if (hasAll(failures, ten, 10)) names.push(`${ten / 10}x`);
        else for (let code = ten; code < ten + 10; code += 1) if (failures.has(code)) names.push(String(code));
      }
  }
  if (failures.has("timeout") && !failures.has(408)) names.push("timeout");
  if (failures.has("transport") && !failures.has(503)) names.push("transport");
  return names;
}

function hasAll(failures: ReadonlySet<Failure>, from: number, count: number): boolean {
  for (let code = from; code < from + count; code += 1) if (!failures.has(code)) return false;
  return true;
}
