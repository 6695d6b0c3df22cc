import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { sql } from "kysely";
import { type DestinationStore, DispatcherTableReader, databaseServer, openStore } from "../../src/store/index.ts";
import { onServer } from "../../src/store/server-connection.ts";
import { DATABASE_KINDS, type DatabaseServer, startDatabase } from "../support/database-server.ts";

const TABLE = "load_balancer";
const log = { info() {}, error() {} };
const gateway = {
  group_id: 1,
  dst_uri: "sip:192.0.2.1:5060",
  resources: "pstn=30;conf=5",
  probe_mode: 2,
  attrs: "gw=1",
  description: "first",
};
const second = { group_id: 1, dst_uri: "sip:192.0.2.2:5060", resources: "pstn=10" };

for (const kind of DATABASE_KINDS)
  describe(`a database on ${kind === "mysql" ? "MariaDB" : "PostgreSQL"}`, { timeout: 120_000 }, () => {
    let server: DatabaseServer;
    let folder: string;
    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "headroom-server-databases-"));
      server = await startDatabase(kind);
      await server.execute(readFileSync(resolve(import.meta.dirname, `../../examples/databases/${kind}.sql`), "utf8"));
      await server.addUser("reader", "only/reads", "SELECT", ["load_balancer", "dispatcher", "version"]);
      await server.addUser("stranger", "may nothing", "SELECT", ["version"]);
    });
    after(async () => {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    });
    beforeEach(() => server.execute("DELETE FROM load_balancer; DELETE FROM dispatcher"));

    const opened = async <T>(use: (store: DestinationStore) => Promise<T>, url = server.url()): Promise<T> => {
      const store = await openStore(url, { table: TABLE, localUrl: `sqlite:${join(folder, "own.db")}` });
      try {
        return await use(store);
      } finally {
        await store.close();
      }
    };

    it("gives rows as those of an SQLite file: numbers as numbers, texts without what fills up their columns", () =>
      opened(async (store) => {
        const [id] = await store.import([gateway, second]);
        const { rows, skipped } = await store.loadDestinations();
        assert.deepEqual(skipped, []);
        const [first, other] = rows;
        assert.deepEqual(
          { ...first, addresses: first?.addresses.map(({ ip, port }) => `${ip}:${port}`) },
          {
            id,
            group: 1,
            uri: "sip:192.0.2.1:5060",
            resources: [
              { name: "pstn", capacity: 30 },
              { name: "conf", capacity: 5 },
            ],
            probeMode: 2,
            attrs: "gw=1",
            description: "first",
            addresses: ["192.0.2.1:5060"],
          },
        );
        assert.equal(other?.attrs, undefined);
      }));
    it("gives ids in order, also after rows that brought theirs", () =>
      opened(async (store) => {
        assert.deepEqual(await store.import([{ ...gateway, id: 700 }]), [700]);
        assert.ok((await store.add(second)) > 700);
        await assert.rejects(store.add({ ...second, id: 700 }), { code: "BAD_ROW" });
        assert.equal((await store.remove(700))?.dst_uri, gateway.dst_uri);
        assert.equal(await store.remove(700), undefined);
      }));
    it("takes all rows or none", () =>
      opened(async (store) => {
        await assert.rejects(store.import([second, { ...gateway, id: 5 }, { ...gateway, id: 5 }]), { code: "BAD_ROW" });
        assert.deepEqual(await store.list(), []);
      }));
    it("takes thousands of rows that bring their ids, and gives others between them", () =>
      opened(async (store) => {
        const rows = Array.from({ length: 2_500 }, (_, i) => ({ ...second, id: 5_000 + i, description: `row ${i}` }));
        const ids = await store.import([second, ...rows, gateway]);
        assert.deepEqual(
          ids.slice(1, -1),
          rows.map(({ id }) => id),
        );
        const stored = await store.list();
        assert.deepEqual([stored.length, new Set(ids).size], [2_502, 2_502]);
        assert.equal(stored.find(({ id }) => id === 5_001)?.description, "row 1");
        await assert.rejects(store.import([gateway, { ...second, id: 6_001 }]), {
          code: "BAD_ROW",
          message: /^Cannot add destination 2 of 2: id 6001 is taken by "sip:192\.0\.2\.2:5060"/,
        });
        await store.change({ added: [], changed: [], removed: stored });
        const nameless = Array.from({ length: 1_200 }, (_, i) => ({ ...second, description: `row ${i}` }));
        const given = await store.import(nameless);
        const found = new Map((await store.list()).map(({ id, description }) => [id, description]));
        assert.deepEqual(
          given.map((id) => found.get(id)),
          nameless.map(({ description }) => description),
        );
        await store.change({ added: [], changed: [], removed: await store.list() });
        assert.deepEqual(await store.list(), []);
      }));
    if (kind === "mysql")
      it("takes and gives values as they are, however the server is set", async () => {
        await server.execute("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH'");
        await server.execute("ALTER TABLE load_balancer MODIFY description CHAR(128) CHARACTER SET latin1");
        try {
          await opened(async (store) => {
            const attrs = "a\\'; DELETE FROM load_balancer; -- \\";
            const [id] = await store.import([{ ...gateway, attrs, description: "Zürich" }]);
            const [row] = await store.list();
            assert.deepEqual(row, { ...gateway, id, attrs, description: "Zürich" });
            await assert.rejects(store.import([{ ...gateway, description: "東京" }]), { name: "StoreError" });
          });
        } finally {
          await server.execute("SET GLOBAL sql_mode = DEFAULT; ALTER TABLE load_balancer MODIFY description CHAR(128)");
        }
      });
    it("takes all changes or none, and none of a row that somebody else has changed", () =>
      opened(async (store) => {
        await store.import([gateway, second]);
        const [one, two] = await store.list();
        assert.ok(one && two);
        const changed = [{ before: one, after: { ...one, resources: "pstn=7", attrs: null, description: "" } }];
        const ids = await store.change({ added: [{ ...second, id: two.id, group_id: 2 }], changed, removed: [two] });
        assert.deepEqual(ids, [two.id]);
        const after = await store.list();
        assert.deepEqual(
          after.map(({ resources, attrs, group_id }) => [resources, attrs, group_id]),
          [
            ["pstn=7", null, 1],
            ["pstn=10", null, 2],
          ],
        );
        await assert.rejects(store.change({ added: [second], changed, removed: [] }), { code: "CHANGED" });
        assert.deepEqual(await store.list(), after);
      }));
    it("is reached by its Unix socket", async () => {
      await server.allowSocket();
      const url = `${server.url()}?socket=${encodeURIComponent(server.socket)}`;
      await opened((store) => store.import([gateway]), url);
      await opened(async (store) => assert.equal((await store.list())[0]?.dst_uri, gateway.dst_uri), url);
      await assert.rejects(openStore(`${server.url()}?socket=/nowhere/at/all`, { table: TABLE }), { message: /there is no such socket/ });
    });
    it("is enough when it may only be read: what operators decide goes to the file beside", async () => {
      await opened((store) => store.import([gateway]));
      const readOnly = server.url("reader", "only/reads");
      await opened(async (store) => {
        const { rows } = await store.loadDestinations();
        assert.equal(rows.length, 1);
        const states = store.states(log, { settleMs: 20_000 });
        const id = rows[0]?.id ?? 0;
        states.save({
          ...{ id, group: 1, uri: gateway.dst_uri, enabled: false, autoReenable: false, draining: false },
          ...{ drainDeadlineMs: 0, drainBye: false, changedAtMs: 1, cause: "mi" },
        });
        assert.equal(await states.settled(), true);
        await states.close();
        await assert.rejects(store.add(second), {
          code: "DENIED",
          message:
            /^Cannot write database ".*": this user may only read it, want one who may INSERT, UPDATE and DELETE in table "load_balancer" \(/,
        });
        const [row] = await store.list();
        assert.ok(row);
        await assert.rejects(store.change({ added: [], changed: [{ before: row, after: { ...row, group_id: 4 } }], removed: [] }), {
          code: "DENIED",
        });
      }, readOnly);
      assert.ok(existsSync(join(folder, "own.db")));
      await opened(async (store) => {
        const states = store.states(log);
        assert.equal((await states.load()).states[0]?.enabled, false);
        await states.close();
      }, readOnly);
    });
    it("says why it cannot be used, without the password", async () => {
      const cases: [url: string, reason: RegExp][] = [
        [server.url("reader", "wrong one"), /refuses this user or the password/],
        [server.url("stranger", "may nothing"), /this user may not do that/],
        [server.url().replace(/opensips$/, "none"), /there is no such database/],
        [`${server.url()}?sslmode=require`, /offers no TLS/],
        [server.url().replace(/:\d+\//, ":1/"), /nobody listens there/],
      ];
      for (const [url, reason] of cases) {
        const error: Error = await openStore(url, { table: TABLE }).then(
          () => assert.fail(`${reason} was opened`),
          (cause) => cause,
        );
        assert.match(error.message, reason);
        assert.match(error.message, new RegExp(`^Cannot use database "${kind}://[a-z]+@127\\.0\\.0\\.1:\\d+/[a-z]+": `));
        assert.doesNotMatch(error.message, /password"|wrong|nothing"|first%20/);
      }
    });
    it("refuses a table of another version, none, and one that is no table of destinations", async () => {
      await server.execute("INSERT INTO version VALUES ('old_table', 2); INSERT INTO version VALUES ('no_table', 3)");
      await assert.rejects(openStore(server.url(), { table: "old_table" }), { code: "WRONG_VERSION", message: /names version 2 of it/ });
      await assert.rejects(openStore(server.url(), { table: "unknown" }), { code: "WRONG_VERSION", message: /names no version of it/ });
      await assert.rejects(openStore(server.url(), { table: "no_table" }), { code: "BAD_TABLE" });
      await server.execute("DELETE FROM version WHERE table_name IN ('old_table', 'no_table')");
    });
    it("can be away at a start that has had its rows, and says so; a reload keeps what is in use", async () => {
      await opened((store) => store.import([gateway, second]));
      const errors: unknown[] = [];
      const options = {
        table: TABLE,
        localUrl: `sqlite:${join(folder, "copies.db")}`,
        startFromCopy: true,
        log: { info() {}, error: (error: object) => errors.push(error) },
      };
      const before = await openStore(server.url(), options);
      const loaded = await before.loadDestinations("copy");
      await before.close(); // what it had to write down is written
      assert.equal(statSync(join(folder, "copies.db")).mode & 0o077, 0, "others may read its passwords");
      assert.deepEqual([loaded.rows.length, loaded.copy, errors], [2, undefined, []]);
      await server.stop();
      let store: DestinationStore;
      try {
        await assert.rejects(openStore(server.url(), { ...options, startFromCopy: false }), { code: "CANNOT_OPEN" });
        await assert.rejects(openStore(server.url(), { ...options, table: "another" }), { code: "CANNOT_OPEN" });
        store = await openStore(server.url(), options);
        const { rows, copy } = await store.loadDestinations("copy");
        assert.deepEqual(rows, loaded.rows);
        assert.match(copy?.reason ?? "", /nobody listens there$/);
        assert.ok(Math.abs((copy?.savedAtMs ?? 0) - Date.now()) < 60_000);
        await assert.rejects(store.loadDestinations(), { code: "CANNOT_OPEN" });
      } finally {
        await server.start();
      }
      assert.equal((await store.loadDestinations()).copy, undefined);
      await store.close();
    });
    it("is read again when it is back: nothing has to be connected", () =>
      opened(async (store) => {
        await store.import([gateway]);
        await server.stop();
        await assert.rejects(store.loadDestinations(), { code: "CANNOT_OPEN", message: /nobody listens there/ });
        await server.start();
        assert.equal((await store.loadDestinations()).rows.length, 1);
      }));
    it("is not waited for without an end when it hangs", async () => {
      const place = databaseServer(server.url());
      assert.ok(place);
      const work = onServer(
        place,
        async (db) => {
          await db.selectFrom(TABLE).select("id").execute();
          server.pause(); // PostgreSQL's process for this connection goes on
          return sql`SELECT ${sql.raw(kind === "mysql" ? "SLEEP(20)" : "pg_sleep(20)")}`.execute(db);
        },
        500,
      );
      try {
        await assert.rejects(work, { code: "CANNOT_OPEN", message: /no answer within 0\.5 s/ });
        await assert.rejects(
          onServer(place, (db) => db.selectFrom(TABLE).select("id").execute(), 500),
          { code: "CANNOT_OPEN", message: /no answer within 0\.5 s/ },
        );
      } finally {
        server.resume();
      }
      await opened((store) => store.list());
    });
    it("is reached by TLS, from somebody whom the authority vouches for, under the name that was asked for", async () => {
      const [certificate, key, authority] = ["proxy.pem", "proxy.key", "ca.pem"].map((name) =>
        resolve(import.meta.dirname, "../fixtures/tls", name),
      );
      server.secure(certificate ?? "", key ?? "");
      await server.stop();
      await server.start();
      const other = server.url().replace("@127.0.0.1", "@localhost");
      const trust = `sslrootcert=${authority}`;
      for (const url of [
        `${server.url()}?sslmode=require`,
        `${server.url()}?sslmode=${kind === "mysql" ? "verify-ca" : "verify-full"}&${trust}`,
        `${other}?sslmode=verify-ca&${trust}`,
      ])
        await opened((store) => store.list(), url);
      for (const url of [`${server.url()}?sslmode=verify-ca`, `${other}?sslmode=verify-full&${trust}`])
        await assert.rejects(openStore(url, { table: TABLE }), { name: "StoreError" }, url);

      const [named, secret] = [join(folder, "localhost.pem"), join(folder, "localhost.key")];
      const files = ["-keyout", secret, "-out", named];
      const words = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost"];
      execFileSync("openssl", ["req", ...words, "-addext", "subjectAltName=DNS:localhost", ...files], { stdio: "pipe" });
      server.secure(named, secret);
      await server.stop();
      await server.start();
      await opened((store) => store.list(), `${other}?sslmode=verify-full&sslrootcert=${named}`);
      await assert.rejects(openStore(`${other}?sslmode=verify-full&${trust}`, { table: TABLE }), {
        code: "CANNOT_OPEN",
        message: /": its certificate is refused: self-signed certificate$/,
      });
    });
    it("gives Kamailio's table of the dispatcher", async () => {
      await server.execute("INSERT INTO dispatcher (setid, destination, priority) VALUES (4, 'sip:192.0.2.9', 2)");
      const reader = new DispatcherTableReader(log);
      const rows = await reader.read({ dbUrl: server.url("reader", "only/reads"), table: "dispatcher", columns: [] }, false);
      assert.deepEqual(
        rows.map(({ id, ...row }) => ({ ...row, id: typeof id })),
        [{ id: "number", setid: 4, destination: "sip:192.0.2.9", flags: 0, priority: 2, attrs: "", description: "" }],
      );
      await assert.rejects(reader.read({ dbUrl: server.url(), table: "gateways", columns: [] }, true), { code: "WRONG_VERSION" });
    });
  });
