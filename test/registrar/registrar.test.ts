import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FIRST_ROW_ID } from "../../src/registrar/index.ts";
import { ACCOUNT, RegisterClient, registrarAt, seen, sourceAt, valuesOf } from "../support/register-client.ts";

const CONTACT = "<sip:gw+proxy@192.0.2.10:5080;transport=udp;gw=proxy>";

describe("a server that registers", () => {
  it("becomes a destination with the resources of its account", () => {
    const { registrar, kinds } = registrarAt();
    const reply = new RegisterClient(registrar).register();
    assert.deepEqual(
      [reply.status, valuesOf(reply, "Contact")],
      [200, ["<sip:gw+proxy@192.0.2.10:5080;transport=udp;gw=proxy>;expires=60"]],
    );
    const [row, ...others] = registrar.rows();
    assert.deepEqual(others, []);
    assert.deepEqual(
      { ...row, id: 0 },
      {
        id: 0,
        key: "fs sip:192.0.2.10:5080",
        group: 7,
        uri: "sip:192.0.2.10:5080",
        resources: "pstn=30;conf=fs://:ClueCon@192.0.2.10:8021",
        attrs: "name=fs",
        probeMode: 2,
        description: "registered as fs",
        state: "active",
        cause: undefined,
      },
    );
    assert.ok((row?.id ?? 0) >= FIRST_ROW_ID);
    assert.deepEqual(kinds(), ["came"]);
  });
  it("stays while it renews, leaves when it does not, and is gone when nothing counts on it", () => {
    const { registrar, clock, kinds, changes } = registrarAt();
    const client = new RegisterClient(registrar);
    client.register();
    for (let i = 0; i < 3; i++) {
      clock.advance(50_000);
      client.register();
    }
    assert.deepEqual(kinds(), ["came", "stayed", "stayed", "stayed"]);
    clock.advance(59_999);
    assert.deepEqual(registrar.rows().map(seen), ["sip:192.0.2.10:5080 active"]);
    clock.advance(1);
    assert.deepEqual(registrar.rows().map(seen), ["sip:192.0.2.10:5080 leaving"]);
    assert.equal(changes.at(-1)?.row.cause, "expired");
    const key = registrar.rows()[0]!.key;
    assert.equal(registrar.removed(key), true);
    assert.equal(registrar.removed(key), false);
    assert.deepEqual(registrar.rows(), []);
    assert.deepEqual(kinds().slice(4), ["left", "gone"]);
    assert.deepEqual([registrar.counters.active, registrar.counters.leaving, clock.pending], [0, 0, 0]);
  });
  it("is active again, with its id, when it registers while its row leaves; and then is not removed", () => {
    const { registrar, kinds } = registrarAt();
    const client = new RegisterClient(registrar);
    client.register();
    const { id, key } = registrar.rows()[0]!;
    client.unregister();
    assert.equal(registrar.rows()[0]?.cause, "unregistered");
    client.register();
    assert.equal(registrar.removed(key), false);
    assert.deepEqual([registrar.rows()[0]?.id, registrar.rows()[0]?.state], [id, "active"]);
    assert.deepEqual(kinds(), ["came", "left", "returned"]);
    assert.deepEqual([registrar.counters.active, registrar.counters.leaving], [1, 0]);
  });
  it("expires each in its own time", () => {
    const { registrar, clock } = registrarAt();
    for (const [i, seconds] of [90, 30, 60].entries()) {
      new RegisterClient(registrar, { from: `192.0.2.${i}:5080` }).register([`Expires: ${seconds}`]);
    }
    const states = (): string =>
      registrar
        .rows()
        .map(({ state }) => state[0])
        .join("");
    const found: string[] = [];
    for (let i = 0; i < 4; i++) {
      found.push(states());
      clock.advance(30_000);
    }
    assert.deepEqual(found, ["aaa", "ala", "all", "lll"]);
  });
  it("that restarts under another Call-ID with a lower CSeq is taken", () => {
    const { registrar } = registrarAt();
    const before = new RegisterClient(registrar);
    before.cseq = 100;
    before.register();
    assert.equal(new RegisterClient(registrar).register().status, 200);
    assert.equal(registrar.rows().length, 1);
  });
  it("whose NAT gives it a new port moves: the old row leaves", () => {
    const { registrar, changes } = registrarAt();
    const client = new RegisterClient(registrar, { from: "192.0.2.10:40001", contacts: ["<sip:gw@10.0.0.5:5080>"] });
    client.register();
    client.source = sourceAt("192.0.2.10:40002");
    assert.equal(client.register().status, 200);
    assert.deepEqual(registrar.rows().map(seen), ["sip:192.0.2.10:40001 leaving", "sip:192.0.2.10:40002 active"]);
    assert.deepEqual(
      changes.map(({ kind, row }) => [kind, row.cause]),
      [
        ["came", undefined],
        ["left", "moved"],
        ["came", undefined],
      ],
    );
    assert.equal(registrar.counters.natted, 2);
  });
  it("unregisters from behind a NAT that gave it a new port", () => {
    const { registrar } = registrarAt();
    const client = new RegisterClient(registrar, { from: "192.0.2.10:40001", contacts: ["<sip:gw@10.0.0.5:5080>"] });
    client.register();
    client.source = sourceAt("192.0.2.10:40002");
    client.unregister();
    assert.deepEqual(registrar.rows().map(seen), ["sip:192.0.2.10:40001 leaving"]);
  });
});

describe("many servers with one account", () => {
  it("are one destination each, also with the same private address behind different NATs", () => {
    const { registrar } = registrarAt();
    const contacts = ["<sip:gw@10.0.0.5:5080>"];
    for (const from of ["192.0.2.1:5080", "192.0.2.2:5080"]) new RegisterClient(registrar, { from, contacts }).register();
    assert.deepEqual(registrar.rows().map(seen), ["sip:192.0.2.1:5080 active", "sip:192.0.2.2:5080 active"]);
    assert.equal(new Set(registrar.rows().map(({ id }) => id)).size, 2);
  });
  it("are bounded: one too many is told to come back, and those that leave make room", () => {
    const { registrar } = registrarAt();
    const clients = [1, 2, 3, 4].map((i) => new RegisterClient(registrar, { from: `192.0.2.${i}:5080` }));
    const replies = clients.map((client) => client.register());
    assert.deepEqual(
      replies.map(({ status }) => status),
      [200, 200, 200, 503],
    );
    assert.deepEqual(valuesOf(replies[3]!, "Retry-After"), ["60"]);
    assert.equal(clients[0]?.register().status, 200, "a renewal is not one more");
    clients[0]?.unregister();
    assert.equal(clients[3]?.register().status, 200);
    assert.equal(clients[0]?.register().status, 503, "one that leaves has no claim to its place");
  });
  it("do not end each other with Contact: *", () => {
    const { registrar } = registrarAt();
    const [one, other] = ["192.0.2.1:5080", "192.0.2.2:5080"].map((from) => new RegisterClient(registrar, { from }));
    one?.register();
    other?.register();
    assert.equal(other?.register(["Expires: 0"], ["*"]).status, 200);
    assert.deepEqual(registrar.rows().map(seen), ["sip:192.0.2.1:5080 active", "sip:192.0.2.2:5080 leaving"]);
  });
  it("may each have a name of their own, with an account for any name", () => {
    const { registrar } = registrarAt({ accounts: [ACCOUNT, { ...ACCOUNT, user: "*", group: 9, password: "farm word" }] });
    const farm = (user: string, from: string) => new RegisterClient(registrar, { user, from, password: "farm word" }).register().status;
    assert.deepEqual([farm("node-1", "192.0.2.1:5080"), farm("node-2", "192.0.2.2:5080")], [200, 200]);
    assert.equal(farm("fs", "192.0.2.3:5080"), 401, "a name with an account of its own has only its own password");
    assert.equal(farm("*", "192.0.2.4:5080"), 401);
    assert.equal(farm("a;b=fs:", "192.0.2.5:5080"), 401, "a name that would change the template");
    assert.deepEqual(
      registrar.rows().map(({ group, attrs }) => [group, attrs]),
      [
        [9, "name=node-1"],
        [9, "name=node-2"],
      ],
    );
  });
  it("may take over an address under another name", () => {
    const { registrar, kinds } = registrarAt({ accounts: [{ ...ACCOUNT, user: "*" }] });
    new RegisterClient(registrar, { user: "old" }).register();
    new RegisterClient(registrar, { user: "new" }).register();
    assert.deepEqual(kinds(), ["came", "changed"]);
    assert.deepEqual(
      registrar.rows().map(({ attrs }) => attrs),
      ["name=new"],
    );
  });
  it("of two accounts are two destinations", () => {
    const { registrar } = registrarAt({ accounts: [ACCOUNT, { ...ACCOUNT, user: "second", group: 8 }] });
    for (const user of ["fs", "second"]) new RegisterClient(registrar, { user }).register();
    assert.deepEqual(
      registrar.rows().map(({ group, uri }) => [group, uri]),
      [
        [7, "sip:192.0.2.10:5080"],
        [8, "sip:192.0.2.10:5080"],
      ],
    );
  });
});

describe("a REGISTER, RFC 3261 §10.3", () => {
  interface Case {
    readonly name: string;
    readonly headers?: readonly string[];
    readonly contacts?: readonly string[];
    readonly status: number;
    /** Name and value of a header of the answer. */
    readonly answer?: readonly [string, string];
    /** Rows afterwards; the client was registered before, for 60 seconds. */
    readonly rows?: readonly string[];
  }
  const STAYS = ["sip:192.0.2.10:5080 active"];
  const LEAVES = ["sip:192.0.2.10:5080 leaving"];
  const cases: Case[] = [
    { name: "without Contact asks what there is", headers: [], contacts: [], status: 200, answer: ["Contact", `${CONTACT};expires=60`] },
    { name: "takes the Expires header", headers: ["Expires: 45"], status: 200, answer: ["Contact", `${CONTACT};expires=45`] },
    {
      name: "prefers the parameter to the header",
      headers: ["Expires: 45"],
      contacts: [`${CONTACT};expires=50`],
      status: 200,
      answer: ["Contact", `${CONTACT};expires=50`],
    },
    { name: "gets as much as there is when it names no time", headers: [], status: 200, answer: ["Contact", `${CONTACT};expires=120`] },
    { name: "gets no more than there is", headers: ["Expires: 4294967295"], status: 200, answer: ["Contact", `${CONTACT};expires=120`] },
    {
      name: "with a malformed Expires gets 3600 s, or what there is",
      headers: ["Expires: soon"],
      status: 200,
      answer: ["Contact", `${CONTACT};expires=120`],
    },
    {
      name: "with a malformed parameter too",
      headers: ["Expires: 0"],
      contacts: [`${CONTACT};expires=-1`],
      status: 200,
      answer: ["Contact", `${CONTACT};expires=120`],
    },
    { name: "for too short a time is told how long it must be", headers: ["Expires: 29"], status: 423, answer: ["Min-Expires", "30"] },
    { name: "for the shortest time is taken", headers: ["Expires: 30"], status: 200, answer: ["Contact", `${CONTACT};expires=30`] },
    { name: "with Expires 0 takes the binding away", headers: ["Expires: 0"], status: 200, rows: LEAVES },
    { name: "with the parameter 0 too", contacts: [`${CONTACT};expires=0`], status: 200, rows: LEAVES },
    { name: "takes nothing away that is not there", headers: ["Expires: 0"], contacts: ["<sip:x@10.1.1.1:99>"], status: 200, rows: STAYS },
    { name: "takes all away with *", headers: ["Expires: 0"], contacts: ["*"], status: 200, rows: LEAVES },
    { name: "with * wants Expires 0", headers: ["Expires: 60"], contacts: ["*"], status: 400 },
    { name: "with * wants an Expires", headers: [], contacts: ["*"], status: 400 },
    { name: "with * wants no other Contact", headers: ["Expires: 0"], contacts: ["*", CONTACT], status: 400 },
    {
      name: "ignores q, names and other parameters",
      contacts: [`"FreeSWITCH, 1" ${CONTACT};q=0.3;+sip.instance="<urn:uuid:1>";reg-id=1`],
      headers: ["Expires: 60"],
      status: 200,
      answer: ["Contact", `${CONTACT};expires=60`],
    },
    {
      name: "may have its Contact without brackets",
      contacts: ["sip:gw@192.0.2.10:5080;expires=40"],
      status: 200,
      answer: ["Contact", "<sip:gw@192.0.2.10:5080>;expires=40"],
    },
    {
      name: "may bind several ports",
      contacts: ["<sip:a@192.0.2.10:5080>, <sip:b@192.0.2.10:5090>"],
      status: 200,
      rows: [...STAYS, "sip:192.0.2.10:5090 active"],
    },
    { name: "does all of it or nothing", contacts: ["<sip:a@192.0.2.10:5090>", "<sip:b@192.0.2.10:5091>;expires=1"], status: 423 },
    {
      name: "may change its Contact behind NAT: old and new come to one address",
      contacts: ["<sip:a@10.0.0.1:5080>;expires=0", "<sip:a@10.0.0.2:5080>;expires=60"],
      status: 200,
      rows: STAYS,
    },
    { name: "has no more than 8 Contacts", contacts: Array.from({ length: 9 }, (_, i) => `<sip:a@192.0.2.10:${6000 + i}>`), status: 400 },
    {
      name: "has no more Contacts than the account may",
      contacts: Array.from({ length: 4 }, (_, i) => `<sip:a@192.0.2.10:${6000 + i}>`),
      status: 503,
    },
    { name: "has a Contact that is a URI", contacts: ["<sip:a@b@c>"], status: 400 },
    { name: "has a Contact that is an address at all", contacts: ['"open <sip:a@b>'], status: 400 },
    { name: "has a Contact of the scheme sip", contacts: ["<tel:+123>"], status: 416 },
    { name: "has no Contact of the scheme sips: there is no TLS", contacts: ["<sips:a@192.0.2.10:5061>"], status: 416 },
    { name: "has a Contact over a transport that there is", contacts: ["<sip:a@192.0.2.10:5080;transport=tcp>"], status: 400 },
    { name: "has a Contact of some length", contacts: [`<sip:${"a".repeat(600)}@192.0.2.10:5080>`], status: 400 },
    {
      name: "that requires Path is told that there is none (RFC 3327)",
      headers: ["Require: path"],
      status: 420,
      answer: ["Unsupported", "path"],
    },
    {
      name: "that requires several things is told of all",
      headers: ["Require: outbound, path", "Require: gruu"],
      status: 420,
      answer: ["Unsupported", "outbound, path, gruu"],
    },
    { name: "that requires what is no option tag is malformed", headers: ["Require: <>"], status: 400 },
    {
      name: "with Path that it does not require is taken",
      headers: ["Path: <sip:p1.example;lr>", "Supported: path", "Expires: 60"],
      status: 200,
    },
    { name: "binds no address of our own", contacts: ["<sip:a@192.0.2.10:5555>"], status: 403 },
  ];
  for (const { name, headers = ["Expires: 60"], contacts = [CONTACT], status, answer, rows = STAYS } of cases) {
    it(name, () => {
      const { registrar } = registrarAt({}, { isOwn: (host, port) => host === "192.0.2.10" && port === 5555 });
      const client = new RegisterClient(registrar);
      client.register();
      const reply = client.register(headers, contacts);
      assert.equal(reply.status, status, reply.reason);
      if (answer !== undefined) assert.ok(valuesOf(reply, answer[0]).includes(answer[1]), String(reply.headers));
      assert.deepEqual(registrar.rows().map(seen), rows);
      registrar.stop();
    });
  }

  it("that is older than the binding of its Call-ID changes nothing", () => {
    const { registrar } = registrarAt();
    const client = new RegisterClient(registrar);
    client.register();
    for (const headers of [["Expires: 60"], ["Expires: 0"]]) {
      client.cseq = 0;
      assert.equal(client.register(headers).status, 500);
      client.cseq = 0;
      assert.equal(client.register(["Expires: 0"], ["*"]).status, 500);
    }
    assert.deepEqual(registrar.rows().map(seen), ["sip:192.0.2.10:5080 active"]);
    assert.equal(registrar.counters.out_of_order, 4);
  });
  it("gets the Date, when there is one", () => {
    const { registrar } = registrarAt({}, { dateText: () => "Sat, 13 Nov 2010 23:29:00 GMT" });
    assert.deepEqual(valuesOf(new RegisterClient(registrar).register(), "Date"), ["Sat, 13 Nov 2010 23:29:00 GMT"]);
  });
  it("hears of a bounded number of bindings, its own first", () => {
    const { registrar } = registrarAt({ accounts: [{ ...ACCOUNT, maxRegistrations: 100 }] });
    for (let i = 0; i < 40; i++) new RegisterClient(registrar, { from: `192.0.2.${i}:5080` }).register();
    const listed = valuesOf(new RegisterClient(registrar, { from: "192.0.2.39:5080" }).register(), "Contact");
    assert.equal(listed.length, 16);
    assert.match(listed[0] ?? "", /192\.0\.2\.39/);
  });
  it("may be answered by a listener that takes the row away at once, as nothing counts on it", () => {
    const { registrar, clock } = registrarAt(
      {},
      {
        onChange: ({ kind, row }) => {
          if (kind === "left") assert.equal(registrar.removed(row.key), true);
        },
      },
    );
    const [one, other] = ["192.0.2.1:5080", "192.0.2.2:5080"].map((from) => new RegisterClient(registrar, { from }));
    one?.register();
    other?.register();
    one?.unregister();
    assert.deepEqual(registrar.rows().map(seen), ["sip:192.0.2.2:5080 active"]);
    clock.advance(60_000);
    assert.deepEqual(registrar.rows(), []);
    assert.deepEqual([registrar.counters.active, registrar.counters.leaving, registrar.counters.internal_errors], [0, 0, 0]);
  });
  it("is not spoilt by a listener that throws", () => {
    const { registrar, logged } = registrarAt(
      {},
      {
        onChange: () => {
          throw new Error("listener");
        },
      },
    );
    assert.equal(new RegisterClient(registrar).register().status, 200);
    assert.ok(logged.some((line) => line.startsWith("cannot tell of a registration")));
  });
});
