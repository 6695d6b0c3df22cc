import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { printFlags, readRows } from "../../src/dispatch/index.ts";
import { Bench } from "../dispatch/support.ts";
import { startDispatcherPeer } from "./kamailio-dispatcher.ts";

describe("Kamailio 5.6 is the judge of the table", () => {
  it("has the same sets in the same order from the table, version 4", async () => {
    const rows = [
      { setid: 1, destination: "sip:10.0.0.1", flags: 0, priority: 5, attrs: "duid=a;weight=3;", description: "one" },
      { setid: 1, destination: "sip:10.0.0.2", flags: 8, priority: 5, attrs: "", description: "" },
      { setid: 2, destination: "10.0.0.3", flags: 4, priority: 0, attrs: "", description: "" },
      { setid: 1, destination: "sip:10.0.0.4", flags: 2, priority: 9, attrs: 'a="x y";b=c', description: "" },
      { setid: 1, destination: "sip:10.0.0.5", flags: 0, priority: 5, attrs: "x=y", description: "" },
    ];
    const lines = rows.map(({ setid, destination, flags, priority, attrs, description }, i) =>
      [i + 1, setid, destination.replaceAll(":", "\\:"), flags, priority, attrs, description].join(":"),
    );
    const columns = "id(int,auto) setid(int) destination(string) flags(int) priority(int) attrs(string,null) description(string,null)";
    const files = {
      version: "table_name(string) table_version(int)\nversion:1\ndispatcher:4\n",
      dispatcher: `${columns}\n${lines.join("\n")}\n`,
    };
    const peer = await startDispatcherPeer("127.0.0.1", "", { db_url: "text://{folder}" }, 'loadmodule "db_text.so"', files);
    try {
      const { records, problems } = readRows(rows);
      const bench = new Bench("");
      assert.deepEqual([...problems, ...bench.dispatcher.replace(records).problems], []);
      const theirs = await peer.list();
      assert.equal(theirs.size, 2);
      for (const [id, destinations] of theirs) {
        assert.deepEqual(
          bench.dispatcher
            .set(id)
            ?.destinations.map(({ uri, flags, priority, attributes }) => [uri, printFlags(flags), priority, attributes.body]),
          destinations.map(({ uri, flags, priority, body }) => [uri, flags, priority, body]),
        );
      }
    } finally {
      await peer.stop();
    }
  });
});
