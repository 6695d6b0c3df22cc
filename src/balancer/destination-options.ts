/** What a row's `attrs` say to the balancer. */
export interface DestinationOptions {
  /** `shared=NAME`: rows with the same name count their calls together, resource by resource. */
  readonly shared: string | undefined;
  /** `priority=N`: the tier, 0 to {@link MAX_PRIORITY}; a lower one goes first. 0 unless given. */
  readonly priority: number;
  /** `weight=X`: by how much the slot is multiplied when destinations are compared, 0.01 to 100 with two decimals. 1 unless given. */
  readonly weight: number;
  /** `cps=N`: most calls a second, up to {@link MAX_CALLS_PER_SECOND}; 0 for no limit. `undefined` leaves it to the configuration. */
  readonly callsPerSecond: number | undefined;
  /** What was meant as an option and cannot be used, as ends of a sentence. Such an option counts as not given. */
  readonly problems: readonly string[];
}

/** Largest number of a tier: nobody needs more, and a typing error stands out. */
export const MAX_PRIORITY = 1000;

/** Largest `cps`: above what one process of this program forwards. It bounds what a rate limit remembers. */
export const MAX_CALLS_PER_SECOND = 10_000;

const OPTION = /^(shared|priority|weight|cps)\s*=\s*(.*)$/s;
const OPTION_NAMES = ["shared", "priority", "weight", "cps"] as const;
/** An item with a name of letters only: what may be a misspelled option. */
const ITEM_NAME = /^([A-Za-z]{1,16})\s*=/;
const POOL_NAME = /^[A-Za-z0-9_.-]{1,64}$/;
const WHOLE_NUMBER = /^[0-9]{1,9}$/;
const WEIGHT = /^[0-9]{1,3}(?:\.[0-9]{1,2})?$/;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Options of rows without `attrs`. */
const NO_OPTIONS: DestinationOptions = { shared: undefined, priority: 0, weight: 1, callsPerSecond: undefined, problems: [] };

/**
 * Reads the options in a row's `attrs`, such as `gw=fra1; shared=fra1, weight=2`. Items stand between `;` or `,`; an item that is no option is
 * free text of the operator. Never throws: attributes had another use before, so what cannot be read is told in `problems` and the row stays.
 */
export function parseDestinationOptions(attrs: string | undefined): DestinationOptions {
  if (attrs === undefined || !attrs.includes("=")) return NO_OPTIONS;
  const problems: string[] = [];
  const options: Mutable<DestinationOptions> = { ...NO_OPTIONS, problems };
  const seen = new Set<string>();
  for (const item of attrs.split(/[;,]/)) {
    const [, name = "", text = ""] = OPTION.exec(item.trim()) ?? [];
    if (name === "") {
      const problem = misspelled(item.trim());
      if (problem !== undefined) problems.push(problem);
      continue;
    }
    const value = text.trim();
    if (seen.has(name)) problems.push(`"${name}" stands twice; want each option once`);
    else setOption(options, name, value, problems);
    seen.add(name);
  }
  return options;
}

function setOption(options: Mutable<DestinationOptions>, name: string, value: string, problems: string[]): void {
  const number = Number(value);
  if (name === "shared") {
    if (POOL_NAME.test(value)) options.shared = value;
    else problems.push(`shared "${clip(value)}" must be 1 to 64 letters, digits, "_", "." or "-"`);
  } else if (name === "priority") {
    if (WHOLE_NUMBER.test(value) && number <= MAX_PRIORITY) options.priority = number;
    else problems.push(`priority "${clip(value)}" must be a whole number from 0 to ${MAX_PRIORITY}`);
  } else if (name === "weight") {
    if (WEIGHT.test(value) && number >= 0.01 && number <= 100) options.weight = number;
    else problems.push(`weight "${clip(value)}" must be a number from 0.01 to 100 with at most two decimals`);
  } else if (WHOLE_NUMBER.test(value) && number <= MAX_CALLS_PER_SECOND) {
    options.callsPerSecond = number;
  } else {
    problems.push(`cps "${clip(value)}" must be a whole number from 0 to ${MAX_CALLS_PER_SECOND}`);
  }
}

/** Says what an item was most likely meant to be; `undefined` for the operator's own text. */
function misspelled(item: string): string | undefined {
  const [, name] = ITEM_NAME.exec(item) ?? [];
  const meant = name && OPTION_NAMES.find((option) => isNear(name.toLowerCase(), option));
  return meant && `"${name}" is no option; want "${meant}" if that is meant`;
}

/** Whether a name is an option but for one slip: two letters swapped, or, as short names have many neighbours, in a long one a letter wrong, lost or added. */
function isNear(name: string, option: string): boolean {
  let start = 0;
  while (start < name.length && name[start] === option[start]) start++;
  let end = 0;
  while (end < name.length - start && end < option.length - start && name.at(-1 - end) === option.at(-1 - end)) end++;
  const wrong = name.slice(start, name.length - end);
  const right = option.slice(start, option.length - end);
  if (wrong.length === 2 && right.length === 2) return wrong[0] === right[1] && wrong[1] === right[0];
  return wrong.length + right.length === 0 || (option.length > 4 && wrong.length <= 1 && right.length <= 1);
}

/** Sentences stay readable whatever the column holds. */
function clip(text: string): string {
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
