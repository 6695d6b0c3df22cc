export { dump, MAX_COMMAND_LENGTH, runDistributor, runDistributorCtl } from "./commands.ts";
export { Distributor, type DistributorCounters, type DistributorPorts } from "./distributor.ts";
export { checkLists, foldCase, type ListSpec, MAX_LISTS, MAX_NAME_LENGTH, MAX_NODES, MAX_WEIGHT, type NodeSpec } from "./list-spec.ts";
export type { WeightedList, WeightedNode } from "./weighted-list.ts";
