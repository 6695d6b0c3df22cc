import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, it } from "node:test";
import { DATABASE_KINDS, startDatabase } from "../support/database-server.ts";
import { startHeadroom } from "../support/headroom.ts";
import { waitFor } from "../support/net.ts";

const INSERT = "INSERT INTO load_balancer (id, group_id, dst_uri, resources) VALUES";

describe("the table of OpenSIPS on a server", { timeout: 120_000, concurrency: true }, () => {
  for (const kind of DATABASE_KINDS)
    it(`is loaded, kept while ${kind} is down, and loaded again`, async () => {
      await using server = await startDatabase(kind);
      await server.execute(readFileSync(resolve(import.meta.dirname, `../../examples/databases/${kind}.sql`), "utf8"));
      await server.addUser("headroom", "reads only", "SELECT", ["load_balancer", "version", "dispatcher"]);
      await server.execute(`${INSERT} (1, 1, 'sip:127.0.0.9:5060', 'pstn=30')`);
      await server.execute("INSERT INTO dispatcher (setid, destination) VALUES (1, 'sip:127.0.0.8:5060')");
      const url = server.url("headroom", "reads only");
      const headroom = await startHeadroom(`
        load_balancer: { db_url: "${url}", local_db_url: "sqlite:own.db" }
      `);
      try {
        const uris = async () => (await headroom.list()).map(({ uri }) => uri);
        assert.deepEqual(await uris(), ["sip:127.0.0.9:5060"]);
        await server.execute(`${INSERT} (2, 1, 'sip:127.0.0.10:5060', 'pstn=20')`);
        await headroom.mi("lb_reload");
        const both = ["sip:127.0.0.9:5060", "sip:127.0.0.10:5060"];
        assert.deepEqual(await uris(), both);

        await server.stop();
        await assert.rejects(headroom.mi("lb_reload"), (error: Error) => {
          assert.match(error.message, /500 Failed to reload/);
          return true;
        });
        await headroom.untilLogged(/the table in use stays/);
        assert.match(
          headroom.log(),
          new RegExp(`Cannot use database \\\\*"${kind}://headroom@127\\.0\\.0\\.1:\\d+/opensips\\\\*": nobody listens there`),
        );
        assert.doesNotMatch(headroom.log(), /reads(?: |%20)only/);
        assert.deepEqual(await uris(), both);
        await headroom.mi("lb_status", [1, 0]); // is written down here, whatever the server does
        await headroom.untilLogged(/manually disable destination 1/);

        await headroom.restart("SIGTERM"); // nobody is there to tell it of its destinations
        assert.match(headroom.log(), /nobody listens there: going on with the destinations of the latest load/);
        const isStale = async () => await headroom.mi("get_statistics", [["load_balancer:stale_table"]]);
        assert.deepEqual(await isStale(), { "load_balancer:stale_table": 1 });
        const states = async () => (await headroom.list()).map(({ uri, enabled }) => [uri, enabled]);
        assert.deepEqual(await states(), [
          ["sip:127.0.0.9:5060", "no"],
          ["sip:127.0.0.10:5060", "yes"],
        ]);
        await assert.rejects(headroom.mi("lb_reload"), /500 Failed to reload/);
        await server.start();
        await server.execute("DELETE FROM load_balancer WHERE id = 2");
        await waitFor("the table of the server", 20_000, async () => (await uris()).length === 1);
        await headroom.untilLogged(/The database can be reached again: its destinations are in use/);
        assert.deepEqual(await states(), [["sip:127.0.0.9:5060", "no"]]);
        assert.deepEqual(await isStale(), { "load_balancer:stale_table": 0 });
        for (const name of ["own.db", "own.db.calls"]) assert.ok(existsSync(join(headroom.folder, name)), `${name} is missing`);
        assert.ok(!existsSync(join(headroom.folder, "headroom.db")));
      } finally {
        await headroom.stop();
      }
    });
});
