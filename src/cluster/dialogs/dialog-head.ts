import { SCHEMA_VERSION } from "../keys.ts";
import type { NodeIdentity } from "../ports.ts";

/** The beginning of a record, which says who has the dialog: what scripts compare. */
export interface RecordHead {
  readonly kind: "record";
  readonly nodeId: number;
  readonly incarnation: string;
  /** How often the dialog went from one node to another. */
  readonly taken: number;
  /** Taken from a node that was gone, as a precaution: nothing was heard of the call since. Its node may have it back. */
  readonly isAdopted: boolean;
  /** The text itself. */
  readonly text: string;
}

/** What stands where a record was: the call has ended. */
export interface Tombstone {
  readonly kind: "tombstone";
}

const RECORD = new RegExp(`^\\[${SCHEMA_VERSION},(\\d{1,10}),"([A-Za-z0-9]{0,64})",\\[(\\d{1,9}),([01]),`);
const TOMBSTONE = new RegExp(`^\\[${SCHEMA_VERSION},\\d{1,10},"[A-Za-z0-9]{0,64}",0\\]$`);

type Owner = Pick<NodeIdentity, "nodeId" | "incarnation">;

/** How each record of a node begins. */
export function ownerText({ nodeId, incarnation }: Owner): string {
  return `[${SCHEMA_VERSION},${nodeId},${JSON.stringify(incarnation)},[`;
}

/** How a record begins, to its first field of the call. */
export function headText(owner: Owner, taken: number, isAdopted: boolean): string {
  return `${ownerText(owner)}${taken},${isAdopted ? 1 : 0},`;
}

/** Undefined when it is neither. */
export function readHead(text: unknown): RecordHead | Tombstone | undefined {
  if (typeof text !== "string") return undefined;
  const match = RECORD.exec(text);
  if (match === null) return TOMBSTONE.test(text) ? { kind: "tombstone" } : undefined;
  const [head, nodeId, incarnation = "", taken, mark] = match;
  return { kind: "record", nodeId: Number(nodeId), incarnation, taken: Number(taken), isAdopted: mark === "1", text: head };
}
