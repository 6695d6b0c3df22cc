import assert from "node:assert/strict";
import { it } from "node:test";
import type { CallLoad, Destination } from "../../../src/balancer/index.ts";
import { admit } from "../../../src/proxy/admission.ts";
import { below, seededRandom } from "../../support/random.ts";
import { LeaseBed } from "./lease-bed.ts";
import type { LeaseNode } from "./lease-node.ts";

const SEEDS = 150;
const STEPS = 250;
const NODES = 3;
const LEASE_MS = 120_000;

const ROW = { resources: [{ name: "pstn", capacity: 3 }] };
const WIDE = {
  resources: [
    { name: "pstn", capacity: 2 },
    { name: "vm", capacity: 2 },
  ],
};
const TABLES = [[ROW, WIDE, ROW], [WIDE, ROW], [{ ...ROW, attrs: "shared=box" }, { ...WIDE, attrs: "shared=box" }, ROW], [ROW], [WIDE]];

interface Call {
  readonly load: CallLoad;
  node: LeaseNode;
  /** BYEs that are not answered. */
  byes: number;
  asking: boolean;
}

/** Nodes whose calls do whatever calls can do, while tables change and connections break; after that Redis has what they hold, and nothing else. */
async function live(seed: number): Promise<void> {
  const random = seededRandom(seed);
  const pick = <T>(items: readonly T[]): T => items[below(random)(items.length)]!;
  const bed = await LeaseBed.begin(NODES, { rows: TABLES[0]! });
  const calls = new Set<Call>();
  const answering = new Set<Call>();
  const old: { readonly call: Call; readonly destination: Destination; readonly cells: readonly number[] }[] = [];

  function ask(call: Call): void {
    if (!call.node.book.isNeeded(call.load)) return;
    call.asking = true;
    void admit(call.node.book, call.node.balancer, call.load, () => call.load.closed).then(({ outcome }) => {
      call.asking = false;
      if (outcome !== "reserved" && !call.load.closed) end(call);
    });
  }

  function end(call: Call): void {
    call.node.end(call.load);
    calls.delete(call);
    if (call.byes > 0) answering.add(call);
  }

  const acts: (() => unknown)[] = [
    () => {
      const node = pick(bed.nodes);
      const call: Call = { load: node.newCall(), node, byes: 0, asking: false };
      calls.add(call);
      if (node.balancer.start(call.load, 1, pick(["pstn", "vm", "pstn;vm"]), pick(["", "", "n"])) === 1) ask(call);
    },
    () => {
      const call = pick([...calls]);
      if (call?.load.session === undefined || call.asking) return;
      const { destination } = call.load;
      if (destination !== undefined) old.push({ call, destination, cells: call.node.balancer.pickedCells(call.load) });
      if (call.node.balancer.next(call.load) === 1) ask(call);
    },
    () => {
      const call = pick([...calls]);
      call?.node.balancer.countCall(call.load, `192.0.2.${1 + below(random)(3)}`, 5060, 1, pick(["pstn", "vm"]), random() < 0.3);
    },
    () => {
      const call = pick([...calls]);
      const destination = call && pick(call.node.balancer.destinations());
      if (call !== undefined && !call.asking) call.node.balancer.place(call.load, destination, ["pstn"]);
    },
    () => {
      const late = old.pop();
      if (late !== undefined && calls.has(late.call) && !late.call.load.closed)
        late.call.node.balancer.moveTo(late.call.load, late.destination, late.cells);
    },
    () => {
      const call = pick([...calls]);
      if (call !== undefined) end(call);
    },
    () => {
      const call = pick([...calls]);
      if (call === undefined) return;
      call.byes++;
      call.node.book.hold(call.load);
      if (random() < 0.8) end(call);
    },
    () => {
      const call = pick([...answering, ...[...calls].filter(({ byes }) => byes > 0)]);
      if (call === undefined) return;
      call.node.book.settle(call.load);
      if (--call.byes === 0) answering.delete(call);
    },
    () => {
      const call = pick([...calls].filter(({ asking, byes }) => !asking && byes === 0));
      if (call === undefined) return;
      const to = pick(bed.nodes.filter((node) => node !== call.node));
      const load = to.newCall();
      load.name = call.load.name;
      to.balancer.adopt(load, call.node.balancer.held(call.load));
      call.node.book.surrender(call.load);
      call.node.end(call.load);
      calls.delete(call);
      calls.add({ load, node: to, byes: 0, asking: false });
    },
    () => pick(bed.nodes).replaceTable(pick(TABLES)),
    () => pick(bed.nodes).balancer.resize(1, "pstn", below(random)(4)),
    () => pick(bed.links).stall(),
    () => pick(bed.links).cut(),
    () => pick(bed.links).heal(),
    () => (random() < 0.1 ? bed.redis.flush() : undefined),
    () => bed.pass(10 + below(random)(300), 50),
    () => bed.redis.settle(),
    () => bed.redis.settle(),
  ];
  for (let step = 0; step < STEPS; step++) await pick(acts)();

  for (const link of bed.links) link.heal();
  await bed.pass(2_000);
  for (const call of [...answering, ...calls]) for (; call.byes > 0; call.byes--) call.node.book.settle(call.load);
  for (const node of bed.nodes) node.replaceTable(TABLES[0]!);
  await bed.pass(LEASE_MS * 2, 5_000);

  const wanted: Record<string, string[]> = {};
  for (const { load, node } of calls) {
    const units: Record<string, number> = {};
    for (const { key, resource } of node.balancer.held(load)) {
      const slot = `${key.split(" ").slice(1).join(" ")} ${resource}`;
      if (node.slots.byName(slot) === undefined) continue; // its row has no such resource
      const unit = units[slot] ?? 0;
      units[slot] = unit + 1;
      wanted[slot] ??= [];
      wanted[slot].push(unit === 0 ? load.name : `${load.name}+${unit}`);
    }
  }
  const found: Record<string, string[]> = {};
  for (const { name, owner, resource } of bed.nodes[0]!.slots.all) {
    const members = bed.members(resource, owner);
    if (members.length > 0) found[name] = members;
  }
  for (const members of Object.values(wanted)) members.sort();
  assert.deepEqual(found, wanted);
  for (const call of [...calls]) end(call);
  await bed.pass(2_000);
  assert.deepEqual(
    bed.nodes.map(({ book, faults }) => [book.calls, book.owed, faults]),
    bed.nodes.map(() => [0, 0, []]),
  );
  assert.deepEqual(
    bed.redis.store.keys().filter((key) => key.includes(":leases:")),
    [],
  );
}

for (let seed = 1; seed <= SEEDS; seed++) {
  it(`whatever calls, tables and connections do, Redis has what the calls hold in the end: seed ${seed}`, () => live(seed));
}
