import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import Database from "better-sqlite3";
import { type LoadedDestinations, openStore, type StoreOptions } from "../../src/store/index.ts";

type Values = Partial<Record<"id" | "group_id" | "dst_uri" | "resources" | "probe_mode" | "attrs" | "description", unknown>>;

/** What loading gives for rows as they may stand in a database that anybody writes. */
async function load(rows: readonly Values[], options: Partial<StoreOptions> = {}): Promise<LoadedDestinations> {
  const folder = mkdtempSync(join(tmpdir(), "headroom-rows-"));
  try {
    const file = join(folder, "x.db");
    const store = await openStore(`sqlite:${file}`, {
      table: "load_balancer",
      resolve: () => Promise.reject(new Error("not asked for")),
      ...options,
    });
    try {
      const database = new Database(file);
      for (const row of rows) {
        const values = { group_id: 1, dst_uri: "sip:192.0.2.1", resources: "a=1", ...row };
        const names = Object.keys(values);
        database
          .prepare(`INSERT INTO load_balancer (${names.join(",")}) VALUES (${names.map(() => "?").join(",")})`)
          .run(Object.values(values));
      }
      database.close();
      return await store.loadDestinations();
    } finally {
      await store.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("rows that can be used", () => {
  it("come in the order of their ids, whatever the order they were written in", async () => {
    for (const ids of [
      [3, 1, 2],
      [2, 3, 1],
      [1, 2, 3],
    ]) {
      assert.deepEqual(
        (await load(ids.map((id) => ({ id })))).rows.map(({ id }) => id),
        [1, 2, 3],
      );
    }
  });

  const targets: [uri: string, want: { ip: string; port: number }][] = [
    ["sip:192.0.2.1", { ip: "192.0.2.1", port: 5060 }],
    ["sip:user@192.0.2.1:5080", { ip: "192.0.2.1", port: 5080 }],
    ["SIP:192.0.2.1;transport=UDP", { ip: "192.0.2.1", port: 5060 }],
    ["sip:[2001:DB8::1]:6000", { ip: "2001:db8::1", port: 6000 }],
  ];
  for (const [uri, { ip, port }] of targets) {
    it(`${uri} goes to ${ip} port ${port}, and the URI stays as it is`, async () => {
      const { rows } = await load([{ dst_uri: uri }]);
      assert.deepEqual(
        rows.map((row) => [row.uri, row.addresses]),
        [[uri, [{ ip, port, transport: "udp" }]]],
      );
    });
  }

  it("keep text as it is: empty attributes, quotes, other scripts", async () => {
    const { rows } = await load([{ attrs: "", description: "Zürich; '\"" }]);
    assert.deepEqual(
      rows.map(({ attrs, description }) => ({ attrs, description })),
      [{ attrs: "", description: "Zürich; '\"" }],
    );
  });

  it("may be longer than the columns say, which SQLite does not enforce", async () => {
    const { rows } = await load([{ attrs: "x".repeat(300), dst_uri: `sip:${"u".repeat(200)}@192.0.2.1` }]);
    assert.equal(rows.length, 1);
  });

  it("may be the same destination in two groups, and twice in one", async () => {
    assert.equal((await load([{}, {}, { group_id: 2 }])).rows.length, 3);
  });
});

describe("a row that cannot be used is skipped, with its id and the reason, and the rest load", () => {
  const cases: [name: string, row: Values, want: RegExp][] = [
    ["a URI of another scheme", { dst_uri: "http://x" }, /^Row 2 is skipped: dst_uri "http:\/\/x": want a URI such as/],
    ["an empty URI", { dst_uri: "" }, /dst_uri "": want a URI/],
    ["a URI with a line break", { dst_uri: "sip:192.0.2.1\r\nVia: x" }, /dst_uri "sip:192\.0\.2\.1\\r\\nVia: x": want/],
    ["a port that is none", { dst_uri: "sip:192.0.2.1:99999" }, /want a URI/],
    ["brackets around what is no address", { dst_uri: "sip:[1::2::3]" }, /"1::2::3" is not an IPv6 address/],
    [
      "a transport that is not served",
      { dst_uri: "sip:192.0.2.1;transport=ws" },
      /it asks for ws, this version sends over UDP, TCP, TLS only/,
    ],
    ["a sips URI over UDP", { dst_uri: "sips:192.0.2.1;transport=udp" }, /it asks for udp and security/],
    ["a URI of endless length", { dst_uri: `sip:${"u".repeat(5000)}@192.0.2.1` }, /dst_uri has 5014 characters: want at most 4096/],
    ["a URI that is bytes", { dst_uri: Buffer.from("sip:192.0.2.1") }, /dst_uri of 13 bytes: want a text/],
    ["no resources", { resources: "" }, /resources "": the list is empty/],
    ["a resource without a value", { resources: "a" }, /resources "a": "a" has no capacity/],
    ["a negative capacity", { resources: "a=-1" }, /capacity "-1" of "a" must be a whole number/],
    ["a resource that stands twice", { resources: "a=1;a=2" }, /"a" stands twice/],
    [
      "a FreeSWITCH resource",
      { resources: "vm=2;conf = fs://:ClueCon@192.0.2.9:8021" },
      /resources: "conf=fs:\/\/…" takes its capacity from FreeSWITCH: want load_balancer\.fetch_freeswitch_stats to be true/,
    ],
    ["a probe mode of its own", { probe_mode: 3 }, /probe_mode 3: want 0 \(never\), 1 \(when disabled\) or 2 \(always\)/],
    ["a probe mode in words", { probe_mode: "on" }, /probe_mode "on": want 0/],
    ["a negative group", { group_id: -1 }, /group_id -1: want a whole number from 0 to 2147483647/],
    ["a group that is no number", { group_id: "x" }, /group_id "x": want a whole number/],
    ["a negative id", { id: -5 }, /^Row -5 is skipped: id -5: want a whole number/],
    ["several faults at once", { dst_uri: "x", probe_mode: 9 }, /dst_uri "x": want .*; probe_mode 9: want/],
  ];
  for (const [name, row, want] of cases) {
    it(name, async () => {
      const { rows, skipped } = await load([{ id: 1 }, { id: 2, ...row }, { id: 3 }]);
      assert.deepEqual(
        rows.map(({ id }) => id),
        [1, 3],
      );
      assert.equal(skipped.length, 1);
      assert.equal(skipped[0]?.id, row.id ?? 2);
      assert.match(skipped[0]?.reason ?? "", want);
      assert.doesNotMatch(skipped[0]?.reason ?? "", /ClueCon|\.$/);
    });
  }
});

describe("the host of a row", () => {
  const named = (...hosts: string[]) => hosts.map((host) => ({ dst_uri: `sip:${host}:5080` }));

  it("is resolved, each name once, and gives all its addresses", async () => {
    const asked: string[] = [];
    const { rows, skipped } = await load(named("a.example", "A.example", "192.0.2.7"), {
      resolve: async (host) => {
        asked.push(host);
        return ["192.0.2.1", "2001:db8::1", "192.0.2.1"];
      },
    });
    assert.deepEqual(asked, ["a.example"]);
    assert.deepEqual(skipped, []);
    assert.deepEqual(
      rows.map(({ addresses }) => addresses.map(({ ip, port }) => `${ip} ${port}`)),
      [["192.0.2.1 5080", "2001:db8::1 5080"], ["192.0.2.1 5080", "2001:db8::1 5080"], ["192.0.2.7 5080"]],
    );
  });

  it("gives at most 32 addresses, as in OpenSIPS", async () => {
    const { rows } = await load(named("a.example"), { resolve: async () => Array.from({ length: 100 }, (_, i) => `192.0.2.${i}`) });
    assert.equal(rows[0]?.addresses.length, 32);
  });

  it("that cannot be resolved makes the row unusable, and no other", async () => {
    const { rows, skipped } = await load(named("none.example", "a.example", "empty.example"), {
      resolve: async (host) => {
        if (host === "none.example") throw Object.assign(new Error("getaddrinfo ENOTFOUND"), { code: "ENOTFOUND" });
        return host === "a.example" ? ["192.0.2.1"] : [];
      },
    });
    assert.deepEqual(
      rows.map(({ id }) => id),
      [2],
    );
    assert.deepEqual(skipped, [
      { id: 1, reason: 'Row 1 is skipped: dst_uri "sip:none.example:5080": host "none.example" cannot be resolved: there is no such host' },
      { id: 3, reason: 'Row 3 is skipped: dst_uri "sip:empty.example:5080": host "empty.example" cannot be resolved: it has no address' },
    ]);
  });

  it("keeps the addresses of the load before when it cannot be resolved now, for as long as a row has it", async () => {
    let answer: Record<string, string[]> = {};
    const resolve = async (host: string): Promise<readonly string[]> => {
      if (answer[host] === undefined) throw Object.assign(new Error("getaddrinfo EAI_AGAIN"), { code: "EAI_AGAIN" });
      return answer[host];
    };
    const store = await openStore("sqlite::memory:", { table: "load_balancer", resolve });
    const reload = async () => {
      const { rows, skipped, kept } = await store.loadDestinations();
      const addresses = rows.map(({ id, addresses }) => `${id} ${addresses.map(({ ip, port }) => `${ip}:${port}`)}`);
      return { addresses, skipped: skipped.map(({ id }) => id), kept };
    };
    const sentence = (id: number, ips: string) =>
      `Row ${id} keeps the addresses from before, ${ips}: dst_uri "sip:a.example:5080": host "a.example" cannot be resolved: the name servers do not answer`;
    try {
      const written = (...hosts: string[]) => named(...hosts).map((row) => ({ ...row, resources: "a=1" }));
      const [first] = await store.import(written("a.example", "192.0.2.9"));
      assert.deepEqual(await reload(), { addresses: ["2 192.0.2.9:5080"], skipped: [1], kept: [] });
      answer = { "a.example": ["192.0.2.1", "192.0.2.2"] };
      const both = ["1 192.0.2.1:5080,192.0.2.2:5080", "2 192.0.2.9:5080"];
      assert.deepEqual(await reload(), { addresses: both, skipped: [], kept: [] });
      answer = {};
      for (let i = 0; i < 2; i++)
        assert.deepEqual(await reload(), { addresses: both, skipped: [], kept: [sentence(1, "192.0.2.1, 192.0.2.2")] });
      await store.remove(first!);
      await reload();
      await store.import(written("a.example"));
      assert.equal((await reload()).skipped.length, 1); // it was forgotten with its row
    } finally {
      await store.close();
    }
  });

  it("is given up after a while when nobody answers, each and all together", async () => {
    const never = new Promise<string[]>(() => {});
    const hosts = Array.from({ length: 20 }, (_, i) => `h${i}.example`);
    const { rows, skipped } = await load(named(...hosts, "192.0.2.1"), { resolve: () => never, limits: { hostMs: 10, totalMs: 25 } });
    assert.equal(rows.length, 1);
    assert.equal(skipped.length, 20);
    assert.match(skipped[0]?.reason ?? "", /no answer within 0\.01 s$/);
    assert.match(skipped[19]?.reason ?? "", /name resolution took more than 0\.025 s in all$/);
  });

  it("is asked for a few at a time", async () => {
    let underWay = 0;
    let most = 0;
    await load(named(...Array.from({ length: 50 }, (_, i) => `h${i}.example`)), {
      resolve: async () => {
        most = Math.max(most, ++underWay);
        await new Promise((done) => setImmediate(done));
        underWay--;
        return ["192.0.2.1"];
      },
    });
    assert.equal(most, 4);
  });

  it("is asked of the system when no other resolver is given, IPv4 first", async () => {
    const store = await openStore("sqlite::memory:", { table: "load_balancer" });
    try {
      await store.add({ dst_uri: "sip:localhost", resources: "a=1" });
      assert.equal((await store.loadDestinations()).rows[0]?.addresses[0]?.ip, "127.0.0.1");
    } finally {
      await store.close();
    }
  });
});
