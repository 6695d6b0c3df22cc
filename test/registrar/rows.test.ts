import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { END_OF_ROW_IDS, FIRST_ROW_ID, fillTemplate } from "../../src/registrar/index.ts";
import { type RowEvent, type RowState, rowStep } from "../../src/registrar/row.ts";
import { RowIds } from "../../src/registrar/row-ids.ts";
import { chooseTarget, targetUri } from "../../src/registrar/target.ts";
import { digestHash } from "../../src/server/digest-hash.ts";
import { parseSipUri } from "../../src/sip/index.ts";
import { sourceAt } from "../support/register-client.ts";

describe("a row that lives by registrations", () => {
  const cases: readonly (readonly [RowState, RowEvent, RowState])[] = [
    ["none", "registered", "active"],
    ["none", "ended", "none"],
    ["none", "removed", "none"],
    ["active", "registered", "active"],
    ["active", "ended", "leaving"],
    ["active", "removed", "active"],
    ["leaving", "registered", "active"],
    ["leaving", "ended", "leaving"],
    ["leaving", "removed", "none"],
  ];
  for (const [from, event, to] of cases) it(`${from}, ${event}: ${to}`, () => assert.equal(rowStep(from, event), to));
});

describe("the address of a destination", () => {
  const cases = [
    {
      name: "is the Contact's when the request came from there",
      contact: "sip:gw@192.0.2.10:5080",
      from: "192.0.2.10:5080",
      want: "sip:192.0.2.10:5080",
    },
    { name: "has the Contact's port", contact: "sip:gw@192.0.2.10:5090", from: "192.0.2.10:5080", want: "sip:192.0.2.10:5090" },
    { name: "has port 5060 when the Contact names none", contact: "sip:192.0.2.10", from: "192.0.2.10:1024", want: "sip:192.0.2.10:5060" },
    {
      name: "is the source's behind NAT",
      contact: "sip:gw@10.0.0.5:5080",
      from: "192.0.2.10:41234",
      want: "sip:192.0.2.10:41234",
      natted: true,
    },
    {
      name: "is the source's when the Contact has a name",
      contact: "sip:fs1.example:5080",
      from: "192.0.2.10:41234",
      want: "sip:192.0.2.10:41234",
      natted: true,
    },
    {
      name: "is a Contact that is trusted",
      contact: "sip:10.0.0.5:5080",
      from: "192.0.2.10:41234",
      trust: true,
      want: "sip:10.0.0.5:5080",
    },
    { name: "is a name that is trusted", contact: "sip:FS1.example", from: "192.0.2.10:41234", trust: true, want: "sip:fs1.example:5060" },
    {
      name: "is the source's when the Contact is no address",
      contact: "sip:0.0.0.0:5080",
      from: "192.0.2.10:5080",
      trust: true,
      want: "sip:192.0.2.10:5080",
      natted: true,
    },
    {
      name: "is an IPv6 address in any spelling",
      contact: "sip:[2001:DB8::1]:5080",
      from: "[2001:db8:0::1]:5080",
      want: "sip:[2001:db8:0:0:0:0:0:1]:5080",
    },
    {
      name: "is an IPv4 address that came over a dual socket",
      contact: "sip:192.0.2.10:5080",
      from: "[::ffff:192.0.2.10]:5080",
      want: "sip:192.0.2.10:5080",
    },
    {
      name: "keeps another transport than UDP",
      contact: "sip:192.0.2.10:5080;transport=TCP",
      from: "192.0.2.10:40000",
      want: "sip:192.0.2.10:5080;transport=tcp",
    },
  ];
  for (const { name, contact, from, trust = false, natted = false, want } of cases) {
    it(name, () => {
      const found = chooseTarget(parseSipUri(contact), sourceAt(from), trust);
      assert.deepEqual([targetUri(found.target), found.natted], [want, natted]);
    });
  }
});

describe("the id of a row", () => {
  const ids = () => new RowIds(digestHash);
  it("follows from the key, above those of a table and within 32 bits", () => {
    const [one, other] = [ids(), ids()];
    for (let i = 0; i < 100; i++) {
      const id = one.allocate(`key ${i}`);
      assert.equal(other.allocate(`key ${i}`), id);
      assert.ok(id >= FIRST_ROW_ID && id < END_OF_ROW_IDS);
    }
  });
  it("is the next one when it is taken, here or elsewhere", () => {
    const id = ids().allocate("a");
    const taken = ids();
    assert.equal(taken.claim(id), true);
    assert.equal(taken.claim(id), false);
    assert.equal(taken.allocate("a"), id + 1);
    assert.equal(new RowIds(digestHash, (other) => other === id).allocate("a"), id + 1);
  });
  it("begins anew behind the last", () => {
    const last = { ...digestHash, digest: () => (END_OF_ROW_IDS - FIRST_ROW_ID - 1).toString(16) };
    const rows = new RowIds(last);
    assert.deepEqual([rows.allocate("a"), rows.allocate("b")], [END_OF_ROW_IDS - 1, FIRST_ROW_ID]);
  });
  it("is free again once it was released", () => {
    const rows = ids();
    const id = rows.allocate("a");
    rows.release(id);
    assert.equal(rows.allocate("a"), id);
  });
  it("cannot be claimed outside of the range", () => {
    for (const id of [1, -1, FIRST_ROW_ID - 1, END_OF_ROW_IDS, FIRST_ROW_ID + 0.5, Number.NaN]) assert.equal(ids().claim(id), false);
  });
});

it("a template has host, port and user filled in, and nothing else", () => {
  const values = { host: "2001:db8::1", port: 5080, user: "fs-1" };
  assert.equal(
    fillTemplate("a=fs://:p{x}@{host}:8021;{port}{user}{host}", values),
    "a=fs://:p{x}@[2001:db8::1]:8021;5080fs-1[2001:db8::1]",
  );
});
