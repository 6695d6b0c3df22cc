import type { TSchema } from "typebox";
import { Decision, ListedDestination, SharingTag } from "./destinations.ts";
import { ListedDialog } from "./dialogs.ts";

/** The shapes that several methods answer or that are long, by the names under which the OpenRPC document has them. */
export const SHARED_SHAPES: Readonly<Record<string, TSchema>> = {
  Destination: ListedDestination,
  SharingTag,
  Dialog: ListedDialog,
  Decision,
};
