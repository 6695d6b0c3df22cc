import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Method, MethodRegistry } from "../../src/management/define-method.ts";
import { type Dialect, KAMAILIO, OPENSIPS } from "../../src/management/dialect.ts";
import { Dispatcher } from "../../src/management/dispatch.ts";
import type { ManagementPorts } from "../../src/management/index.ts";
import { allMethods } from "../../src/management/methods/index.ts";
import type { Role } from "../../src/management/tokens.ts";
import { fullPorts } from "./full-ports.ts";
import { CALLS } from "./method-calls.ts";

/**
 * What may be called for a viewer, as it changes nothing. A method that calls anything else must say so by `writes`, or by `isForOperators`; what is new in
 * the ports belongs here only when it changes nothing.
 */
const READS: ReadonlySet<string> = new Set(
  [
    "nowMs statistics processes probes registrations breakers explain whatIf elsewhere changed",
    "log.info log.warn log.error",
    "balancer.destinations balancer.destination balancer.load balancer.maxLoad balancer.isEnabled balancer.isAutoReenable balancer.breaker",
    "balancer.restMs balancer.callsPerSecond balancer.isOverRate balancer.capacity balancer.capacityFactor balancer.foreignLoad",
    "balancer.remoteLoad balancer.cellsOf balancer.profileSize balancer.resourceNames",
    "dialogs.list dialogs.byDid dialogs.byCallId",
    "distributor.lists.list distributor.lists.dump distributor.lists.names",
    "dispatch.nowMs dispatch.dispatcher.set dispatch.dispatcher.hash",
    "drains.of drains.overrule bans.list",
    "freeswitch.stateOf freeswitch.figures",
    "cluster.nodes cluster.tags cluster.capabilities",
  ].flatMap((line) => line.split(" ")),
);

/** The same ports, with a note of each function that is called and of each member that is set. */
function watched(ports: ManagementPorts): { ports: ManagementPorts; changes: () => string[] } {
  const used = new Set<string>();
  function watch<T extends object>(target: T, path: string): T {
    return new Proxy(target, {
      get(_target, key) {
        const value: unknown = Reflect.get(target, key, target);
        const name = `${path}${String(key)}`;
        if (typeof value === "function") {
          return (...args: unknown[]) => {
            used.add(name);
            return Reflect.apply(value, target, args) as unknown;
          };
        }
        const isPart = typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Set);
        return isPart ? watch(value, `${name}.`) : value;
      },
      set(_target, key, value) {
        used.add(`${path}${String(key)} =`);
        return Reflect.set(target, key, value, target);
      },
    });
  }
  return { ports: watch(ports, ""), changes: () => [...used].filter((name) => !READS.has(name)) };
}

/** Runs one method on ports of its own. */
async function run(
  method: string,
  params: unknown,
  role: Role,
  dialect: Dialect,
): Promise<{ changes: string[]; audited: boolean; answer: string }> {
  let audited = false;
  const { ports, changes } = watched({ ...fullPorts(), changed: () => (audited = true) });
  const dispatcher = new Dispatcher(new MethodRegistry(allMethods), ports, 5_000);
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const answer = await dispatcher.answer(body, { name: "somebody", role, client: "192.0.2.1" }, dialect);
  return { changes: changes(), audited, answer: answer.body };
}

/** What somebody might try: the calls that are known to work, and every recipe by position, by name in another order, and with one parameter too many. */
function triesOf({ name, recipes }: Method): unknown[] {
  const values = [1, "0", "reload", "all", ["x=1"]];
  const guesses = recipes.flatMap((recipe) =>
    values.flatMap((value) => [
      recipe.map(() => value),
      [...recipe.map(() => value), value],
      Object.fromEntries(recipe.toReversed().map((key) => [key, value])),
      Object.fromEntries(recipe.map((_key, i) => [`p${i}`, value])),
    ]),
  );
  return [...CALLS[name]!, ...guesses];
}

describe("whatever a viewer sends", () => {
  for (const method of allMethods) {
    it(`${method.name} changes nothing, by any of its names and in either dialect`, async () => {
      for (const params of triesOf(method)) {
        for (const dialect of [OPENSIPS, KAMAILIO]) {
          const { changes, answer } = await run(method.aliases[0] ?? method.name, params, "viewer", dialect);
          assert.deepEqual(changes, [], `${JSON.stringify(params)}: ${answer}`);
        }
      }
    });
  }
});

describe("what an operator changes", () => {
  for (const method of allMethods) {
    it(`is written down when it is by ${method.name}`, async () => {
      for (const params of CALLS[method.name]!) {
        const { changes, audited } = await run(method.name, params, "operator", OPENSIPS);
        if (changes.length > 0 && method.isForOperators !== true) assert.ok(audited, `${JSON.stringify(params)}: ${changes.join()}`);
      }
    });
  }
});
