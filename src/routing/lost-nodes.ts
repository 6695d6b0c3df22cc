import type { NodeTargets } from "./node-targets.ts";

/** Nodes that a sentence each is written for. */
const MAX_LOST_NODES_TOLD = 100;

/** Lists of the distributor, as far as the names of their nodes go. */
interface NamedNodes {
  readonly name: string;
  readonly nodes: readonly { readonly name: string }[];
}

/** A node of a list that leads nowhere. */
export interface LostNode {
  readonly list: string;
  readonly node: string;
}

/** The nodes of the lists that lead nowhere, each once, with the last of the lists that have it. */
export function findLostNodes(lists: readonly NamedNodes[], targets: Pick<NodeTargets, "find">): LostNode[] {
  const lost = new Map<string, LostNode>();
  for (const { name: list, nodes } of lists) {
    for (const { name: node } of nodes) if (targets.find(node) === undefined) lost.set(node, { list, node });
  }
  return [...lost.values()];
}

/** Says of each of them why it gets no call, in a bounded number of sentences; the last one may be about all others. */
export function tellLostNodes(lost: readonly LostNode[], tell: (text: string, about?: LostNode) => void): void {
  for (const about of lost.slice(0, MAX_LOST_NODES_TOLD)) {
    const { list, node } = about;
    tell(
      `Cannot use node ${JSON.stringify(node)} of list ${JSON.stringify(list)}: want the id of a destination in the table, a SIP URI that is reached over UDP, or a name that distributor.nodes explains`,
      about,
    );
  }
  const others = lost.length - MAX_LOST_NODES_TOLD;
  if (others > 0) tell(`Cannot use ${others} further nodes of distributor lists: they lead nowhere`);
}
