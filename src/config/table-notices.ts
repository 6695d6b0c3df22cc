import { parseRequestedResources } from "../balancer/index.ts";
import { parseBlacklist } from "../health/index.ts";
import type { ConfigValues } from "./schema.ts";

/** A destination, as far as the configuration names parts of it. */
export interface NamedDestination {
  readonly group: number;
  readonly resources: readonly { readonly name: string }[];
}

/** The table, as these notices look at it. */
interface Table {
  readonly groups: ReadonlySet<number>;
  readonly resources: ReadonlySet<string>;
  readonly destinations: readonly NamedDestination[];
}

/**
 * One sentence for each thing that the configuration names and the table does not have: such a part of it refuses calls, or does nothing. Not for a
 * table without any destination, which has a sentence of its own.
 */
export function tableNotices(
  { routing, load_balancer, registrar }: Pick<ConfigValues, "routing" | "load_balancer" | "registrar">,
  rows: readonly NamedDestination[],
): string[] {
  const destinations = [...rows, ...registrar.accounts.map(willRegister)];
  if (destinations.length === 0) return [];
  const table: Table = {
    groups: new Set(destinations.map(({ group }) => group)),
    resources: new Set(destinations.flatMap(({ resources }) => resources.map(({ name }) => name))),
    destinations,
  };
  const notices = [
    ...(routing.script === null ? [...ruleNotices(routing, table), ...outboundNotices(routing, table)] : []),
    ...load_balancer.lb_define_blacklist.flatMap((text) => blacklistNotices(text, table)),
  ];
  return [...new Set(notices)];
}

/** What an account makes of each server that registers: there may be none yet. */
function willRegister({ group, resources }: ConfigValues["registrar"]["accounts"][number]): NamedDestination {
  const names = resources.split(";").map((item) => item.split("=", 1)[0]!.trim());
  return { group, resources: names.filter((name) => name !== "").map((name) => ({ name })) };
}

function ruleNotices({ rules }: ConfigValues["routing"], table: Table): string[] {
  return rules.flatMap(({ group, resources, dispatch, distribute, answer }) => {
    if (answer !== undefined) return [];
    const names = parseRequestedResources(resources) ?? [];
    const unknown = names.filter((name) => !table.resources.has(name));
    const other = dispatch !== undefined ? "dispatch" : distribute !== undefined ? `distribute "${distribute}"` : undefined;
    if (other !== undefined) {
      const what = `routing.rules with ${other} and resources "${resources}" do not count all of them`;
      return unknown.length > 0 ? [`${what}: no destination has ${quoted(unknown)}`] : [];
    }
    if (unknown.length > 0)
      return [`routing.rules with resources "${resources}" refuse their calls: no destination has ${quoted(unknown)}`];
    if (!table.groups.has(group)) return [`routing.rules with group ${group} refuse their calls: the group has no destination`];
    if (table.destinations.some((destination) => destination.group === group && hasAll(destination, names))) return [];
    return [
      `routing.rules with group ${group} and resources "${resources}" refuse their calls: no destination of the group has all of them`,
    ];
  });
}

function outboundNotices({ outbound }: ConfigValues["routing"], table: Table): string[] {
  if (!outbound) return [];
  const { resources, group, limit } = outbound;
  const unknown = (parseRequestedResources(resources) ?? []).filter((name) => !table.resources.has(name));
  const what = limit ? "are refused" : "are not counted";
  return [
    ...(unknown.length > 0
      ? [`routing.outbound.resources "${resources}": no destination has ${quoted(unknown)}, calls from destinations ${what}`]
      : []),
    ...(group === -1 || table.groups.has(group)
      ? []
      : [`routing.outbound.group ${group} has no effect: the group has no destination that calls could come from`]),
  ];
}

function blacklistNotices(text: string, { groups }: Table): string[] {
  const empty = parseBlacklist(text).groups.filter((group) => !groups.has(group));
  if (empty.length === 0) return [];
  const which = empty.length === 1 ? `group ${empty[0]}, which has` : `groups ${empty.join(", ")}, which have`;
  return [`load_balancer.lb_define_blacklist "${text}" names ${which} no destination`];
}

function hasAll({ resources }: NamedDestination, names: readonly string[]): boolean {
  return names.every((name) => resources.some((resource) => resource.name === name));
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}
