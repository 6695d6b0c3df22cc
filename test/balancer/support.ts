import {
  Balancer,
  type BalancerOptions,
  CallLoad,
  type Destination,
  type DestinationRow,
  parseResources,
} from "../../src/balancer/index.ts";

/** A row as a test names it: what is left out does not matter to the test. */
export interface RowSketch {
  id: number;
  group?: number;
  resources: string;
  uri?: string;
  attrs?: string;
  ip?: string;
  port?: number;
  probeMode?: 0 | 1 | 2;
}

/** Destination 3 is sip:127.0.0.23:5080 with attributes id=3 unless the sketch says otherwise. */
export function row(sketch: RowSketch): DestinationRow {
  const ip = sketch.ip ?? `127.0.0.${20 + sketch.id}`;
  const port = sketch.port ?? 5080;
  return {
    id: sketch.id,
    group: sketch.group ?? 1,
    uri: sketch.uri ?? `sip:${ip}:${port}`,
    resources: parseResources(sketch.resources),
    probeMode: sketch.probeMode ?? 0,
    attrs: sketch.attrs ?? `id=${sketch.id}`,
    description: undefined,
    addresses: [{ ip, port, transport: "udp" }],
  };
}

/** A balancer with these rows that fails the test when an invariant breaks. Chance answers 0 unless a test says otherwise. */
export function balancerOf(sketches: readonly RowSketch[], options: Partial<BalancerOptions> = {}): Balancer {
  const balancer = new Balancer({
    below: () => 0,
    onFault(text) {
      throw new Error(text);
    },
    ...options,
  });
  balancer.replaceTable(sketches.map(row));
  return balancer;
}

/** A call that has a dialog. */
export function newCall(): CallLoad {
  const call = new CallLoad();
  call.opened = true;
  return call;
}

/** `2/10` of a destination's resource: load and capacity. */
export function usage(balancer: Balancer, id: number, resource: string): string {
  const cell = cellOf(balancer.destination(id), resource);
  return `${balancer.load(cell)}/${balancer.maxLoad(cell)}`;
}

export function cellOf(destination: Destination | undefined, resource: string): number {
  const cell = destination?.resources.find(({ name }) => name === resource)?.cell;
  if (cell === undefined) throw new Error(`no resource ${resource}`);
  return cell;
}

/** Counts `times` calls on a destination and answers them, so that the test can end them. */
export function occupy(balancer: Balancer, id: number, resource: string, times: number): CallLoad[] {
  const address = balancer.destination(id)!.addresses[0]!;
  return Array.from({ length: times }, () => {
    const call = newCall();
    if (balancer.countCall(call, address.ip, address.port, -1, resource) !== 1) throw new Error(`cannot count on ${id}`);
    return call;
  });
}

/** Every order of the items. */
export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length < 2) return [[...items]];
  return items.flatMap((item, i) => permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]));
}
