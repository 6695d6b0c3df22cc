import { MiError } from "./jsonrpc.ts";
import type { ManagedDialog, ManagementPorts } from "./ports.ts";

/** Before a resource's name: the dialog profile in which OpenSIPS counts its calls (`lb_data.c`). The profile's values are destination ids in upper-case hexadecimal. */
const PREFIX = "lbX";

export function profileOf(resource: string): string {
  return `${PREFIX}${resource}`;
}

/** Destination id as a profile value. */
export function profileValue(destinationId: number): string {
  return destinationId.toString(16).toUpperCase();
}

/** The resource whose calls a profile counts. @throws MiError 404 when no destination has it */
export function resourceOf(ports: ManagementPorts, profile: string): string {
  const resource = profile.startsWith(PREFIX) ? profile.slice(PREFIX.length) : undefined;
  if (resource === undefined || ports.balancer.profileSize(resource) === undefined) throw new MiError(404, "Profile not found");
  return resource;
}

/** Calls counted for a resource; with a value, those on that destination. A value that is no id counts nothing. */
export function profileSize(ports: ManagementPorts, resource: string, value: string | undefined): number {
  if (value === undefined) return ports.balancer.profileSize(resource) ?? 0;
  const id = /^[0-9A-F]{1,8}$/.test(value) ? Number.parseInt(value, 16) : undefined;
  return id === undefined ? 0 : (ports.balancer.profileSize(resource, id) ?? 0);
}

/** The profile and value of each cell of the load table. Cells of destinations that were removed are not among them. */
export function profileCells(ports: ManagementPorts): ReadonlyMap<number, { readonly resource: string; readonly value: string }> {
  const cells = ports.balancer
    .destinations()
    .flatMap(({ id, resources }) => resources.map(({ name, cell }) => [cell, { resource: name, value: profileValue(id) }] as const));
  return new Map(cells);
}

/** What a dialog counts, one entry a unit of load, as `dlg_list_ctx` tells it. */
export function profilesOf(dialog: ManagedDialog, cells: ReturnType<typeof profileCells>): Record<string, string>[] {
  return dialog.load.leases.flatMap((cell) => {
    const counted = cells.get(cell);
    return counted === undefined ? [] : [{ [profileOf(counted.resource)]: counted.value }];
  });
}
