import assert from "node:assert/strict";
import { beforeEach, describe, it, mock } from "node:test";
import { Balancer, CallLoad } from "../../src/balancer/index.ts";
import { parseConfig } from "../../src/config/load.ts";
import { TableLoader } from "../../src/server/load-table.ts";
import { Registrations } from "../../src/server/registrations.ts";
import { openStore, type RegistrationChanges, type SavedRegistration } from "../../src/store/index.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type ClientOptions, RegisterClient } from "../support/register-client.ts";

const CONFIG = `
dialog: { default_timeout: 600 }
registrar:
  realm: farm
  accounts: [{ user: fs, password: secret word, group: 1, resources: pstn=10, probe_mode: 0 }]`;
/** More than the applying of registrations, less than a look at those that leave. */
const SOON_MS = 100;
const CHECK_MS = 500;

let clock: FakeClock;
let balancer: Balancer;
let saved: Map<number, string>;
let failing: boolean;
let logged: string[];
let statuses: string[];
let registrations: Registrations;
let loader: TableLoader;

beforeEach(async () => {
  saved = new Map();
  [failing, logged, statuses] = [false, [], []];
  await start();
});

/** Starts the program's part, on what was written down. */
async function start(config = CONFIG): Promise<void> {
  clock = new FakeClock(1_000);
  balancer = new Balancer({
    below: () => 0,
    onStatus: ({ enabled, cause }) => void statuses.push(`${enabled ? "enabled" : "disabled"} by ${cause}`),
  });
  const note = (fields: object, message: string): void => void logged.push(`${message} ${JSON.stringify(fields)}`);
  const log = { debug: note, info: note, warn: note, error: note };
  const store = await openStore("sqlite::memory:", { table: "load_balancer" });
  loader = new TableLoader({ store, balancer, listeners: [], registered: () => registrations.rows(), log });
  let tokens = 0;
  registrations = new Registrations({
    config: parseConfig(config, "headroom.yaml", {}),
    balancer,
    loader,
    saved: {
      read: async (): Promise<SavedRegistration[]> => [...saved].map(([id, binding]) => ({ id, binding })),
      async write(changes: RegistrationChanges) {
        if (failing) throw new Error("the disk is full");
        for (const { id, binding } of changes.saved) saved.set(id, binding);
        for (const id of changes.removed) saved.delete(id);
      },
    },
    nowMs: clock.now,
    after: (ms, run) => clock.after(ms, run),
    chance: { token: () => `token${++tokens}` },
    isOwn: () => false,
    log,
  });
  await registrations.load();
  await loader.load(parseConfig(config, "headroom.yaml", {}));
}

const client = (options?: ClientOptions): RegisterClient => new RegisterClient(registrations.registrar, options);

/** Lets time pass, and what waits for nothing but its turn. */
async function pass(ms: number): Promise<void> {
  await new Promise(setImmediate);
  clock.advance(ms);
  await new Promise(setImmediate);
}

/** A call on the destination that is chosen; undefined when there is none. */
function callOn(): CallLoad | undefined {
  const call = new CallLoad();
  return balancer.start(call, 1, "pstn") === 1 ? call : undefined;
}

const states = (): string[] =>
  balancer.destinations().map((one) => `${one.uri} ${balancer.isLeaving(one) ? "leaving" : balancer.isEnabled(one) ? "up" : "down"}`);

describe("a registration", () => {
  it("makes a destination soon, and those that come together one table", async () => {
    const before = balancer.counters.reloads;
    for (let i = 1; i <= 50; i++) assert.equal(client({ from: `192.0.2.${i}:5060` }).register().status, 200);
    await pass(SOON_MS);
    assert.equal(balancer.destinations().length, 50);
    assert.equal(balancer.counters.reloads, before + 1);
  });

  it("that is renewed makes no new table and keeps the destination", async () => {
    const server = client();
    server.register();
    await pass(SOON_MS);
    const [destination] = balancer.destinations();
    const before = balancer.counters.reloads;
    for (let i = 0; i < 5; i++) {
      server.register();
      await pass(30_000);
    }
    assert.equal(balancer.destinations()[0], destination);
    assert.equal(balancer.counters.reloads, before);
  });

  it("that ends keeps new calls away at once; the destination goes with its last call", async () => {
    const server = client();
    server.register();
    await pass(SOON_MS);
    const call = callOn();
    server.unregister();
    assert.deepEqual(states(), ["sip:192.0.2.10:5080 leaving"]);
    assert.equal(callOn(), undefined);
    await pass(10 * CHECK_MS);
    assert.deepEqual(states(), ["sip:192.0.2.10:5080 leaving"]);
    balancer.release(call!);
    await pass(CHECK_MS + SOON_MS);
    assert.deepEqual([states(), registrations.bindings()], [[], []]);
    await registrations.close();
    assert.equal(clock.pending, 0, "no timer is left");
  });

  it("that ended is looked after without a look at all the others", async () => {
    for (let i = 1; i <= 20; i++) client({ from: `192.0.2.${i}:5060` }).register();
    const server = client();
    server.register();
    await pass(SOON_MS);
    const calls = Array.from({ length: 21 }, callOn);
    server.unregister();
    const all = mock.method(registrations.registrar, "rows");
    await pass(10 * CHECK_MS);
    assert.deepEqual([all.mock.callCount(), states().length], [0, 21]);
    for (const call of calls) balancer.release(call!);
  });

  it("that ended is not waited for longer than a call may last", async () => {
    const server = client();
    server.register();
    await pass(SOON_MS);
    const call = callOn()!;
    server.unregister();
    await pass(599_000);
    assert.deepEqual(states(), ["sip:192.0.2.10:5080 leaving"]);
    await pass(2_000);
    assert.deepEqual(states(), []);
    balancer.release(call);
    assert.deepEqual(balancer.recount([]), []);
  });

  it("that comes back while the destination leaves brings calls again, and counts those that stayed", async () => {
    const server = client();
    server.register();
    await pass(SOON_MS);
    const [destination] = balancer.destinations();
    callOn();
    server.unregister();
    await pass(CHECK_MS);
    server.register();
    assert.deepEqual(states(), ["sip:192.0.2.10:5080 up"]);
    assert.equal(balancer.load(destination!.resources[0]!.cell), 1);
    await pass(10 * CHECK_MS);
    assert.deepEqual(states(), ["sip:192.0.2.10:5080 up"]);
  });

  it("that comes back enables what was found down meanwhile, but not what an operator disabled", async () => {
    for (const [cause, want] of [
      ["script", "up"],
      ["probe", "up"],
      ["mi", "down"],
    ] as const) {
      const server = client({ from: `192.0.2.${cause.length}:5060` });
      server.register();
      await pass(SOON_MS);
      const { id } = balancer.destinations()[0]!;
      const call = callOn()!;
      server.unregister();
      balancer.setStatus(id, false, cause);
      server.register();
      assert.match(states()[0] ?? "", new RegExp(`${want}$`), cause);
      balancer.release(call);
      server.unregister();
      await pass(CHECK_MS + SOON_MS);
    }
    assert.deepEqual(
      statuses.filter((text) => text.endsWith("by registration")),
      ["enabled by registration", "enabled by registration"],
    );
  });

  it("is no drain of an operator: undoing a drain does not bring calls to a server that leaves", async () => {
    const server = client();
    server.register();
    await pass(SOON_MS);
    const { id } = balancer.destinations()[0]!;
    callOn();
    balancer.setDraining(id, true);
    server.unregister();
    balancer.setDraining(id, false);
    assert.equal(callOn(), undefined);
    server.register();
    balancer.setDraining(id, true);
    assert.equal(callOn(), undefined);
  });
});

describe("after a restart", () => {
  it("those that were registered are destinations at once, with the same ids, and have time to register again", async () => {
    for (let i = 1; i <= 3; i++) client({ from: `192.0.2.${i}:5060` }).register();
    await pass(1_500);
    const before = balancer.destinations().map(({ id, uri }) => `${id} ${uri}`);
    for (const [id, text] of saved) saved.set(id, JSON.stringify({ ...JSON.parse(text), expires_at_ms: Date.now() - 600_000 }));
    await start();
    assert.deepEqual(
      balancer.destinations().map(({ id, uri }) => `${id} ${uri}`),
      before,
    );
    await pass(110_000);
    assert.equal(balancer.destinations().length, 3);
    await pass(20_000);
    assert.deepEqual(states(), [], "nobody has renewed");
  });

  it("those that were gone long ago, left, or are of no account any more are not, nor what is no registration", async () => {
    for (let i = 1; i <= 4; i++) client({ from: `192.0.2.${i}:5060` }).register();
    await pass(1_500);
    const [old, left, foreign, broken] = [...saved.keys()] as [number, number, number, number];
    const change = (id: number, over: object): void => void saved.set(id, JSON.stringify({ ...JSON.parse(saved.get(id)!), ...over }));
    change(old, { expires_at_ms: Date.now() - 3 * 3_600_000 });
    change(left, { cause: "unregistered" });
    change(foreign, { account: "nobody", user: "nobody" });
    saved.set(broken, "{");
    await start();
    assert.equal(callOn(), undefined);
    await pass(1_500);
    await pass(1_500);
    assert.deepEqual([states(), saved.size], [[], 0], "they are taken out of the database");
    assert.match(logged.join("\n"), /are taken up \{"restored":2,"refused":2\}/);
  });
});

describe("writing registrations down", () => {
  it("is tried again until it works, and says so once", async () => {
    failing = true;
    client().register();
    for (let i = 0; i < 6; i++) await pass(30_000);
    failing = false;
    client({ from: "192.0.2.11:5080" }).register();
    await pass(31_000);
    assert.equal(saved.size, 1, "the first has run out by now");
    assert.equal(logged.filter((line) => line.startsWith("Cannot write registrations down")).length, 1);
    assert.equal(logged.filter((line) => line.startsWith("Registrations can be written down again")).length, 1);
    assert.ok(registrations.counters["registration_write_failures"]! >= 3);
  });

  it("happens at the stop for what still waits, and holds nothing secret", async () => {
    client().register();
    await registrations.close();
    assert.equal(saved.size, 1);
    assert.doesNotMatch([...saved.values(), ...logged].join(), /secret word/);
  });
});
