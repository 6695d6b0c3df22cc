import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { databaseServer } from "../../src/store/index.ts";

describe("the address of a database on a server", () => {
  const mysql = { kind: "mysql", host: "db.example", port: 3306, socket: undefined, user: "u", password: "p", database: "opensips" };
  const plain = { tls: "disable", caFile: undefined };
  const cases: [url: string, want: object][] = [
    ["mysql://u:p@db.example/opensips", { ...mysql, ...plain, name: "mysql://u@db.example:3306/opensips" }],
    [
      "postgresql://u:p@[2001:db8::1]:6000/d",
      { ...mysql, ...plain, kind: "postgres", host: "2001:db8::1", port: 6000, database: "d", name: "postgres://u@[2001:db8::1]:6000/d" },
    ],
    ["mysql://u:a%2Fb%40c@db.example/opensips", { ...mysql, ...plain, password: "a/b@c", name: "mysql://u@db.example:3306/opensips" }],
    ["mysql://u:100%@db.example/opensips", { ...mysql, ...plain, password: "100%", name: "mysql://u@db.example:3306/opensips" }],
    ["mysql://u@db.example/opensips", { ...mysql, ...plain, password: "", name: "mysql://u@db.example:3306/opensips" }],
    [
      "mysql://u:p@db.example/opensips?sslmode=verify-full&sslrootcert=/etc/ca.pem",
      { ...mysql, tls: "verify-full", caFile: "/etc/ca.pem", name: "mysql://u@db.example:3306/opensips" },
    ],
    [
      "mysql://u:p@localhost/opensips?socket=/run/mysqld/mysqld.sock",
      { ...mysql, ...plain, host: "localhost", socket: "/run/mysqld/mysqld.sock", name: "mysql://u@/run/mysqld/mysqld.sock/opensips" },
    ],
  ];
  for (const [url, want] of cases) it(`says where and who: ${url}`, () => assert.deepEqual(databaseServer(url), want));
  it("is none when it names a file or another program", () => {
    for (const url of ["sqlite:headroom.db", "redis://127.0.0.1", "mysql:u", ""]) assert.equal(databaseServer(url), undefined);
  });
  const refused: [url: string, why: RegExp][] = [
    ["mysql://db.example/opensips", /names no user/],
    ["mysql://u:hush@db.example", /names no database/],
    ["mysql://u:hush@db.example/a/b", /names no database/],
    ["mysql://u:hu#sh@db.example/d", /cannot be read|"#"/],
    ["postgres://u:hush@db.example:port/d", /cannot be read/],
    ["postgres://u:hush@db.example/d?sslmode=prefer", /sslmode is none of disable, require, verify-ca, verify-full/],
    ["mysql://u:hush@192.0.2.1/d?sslmode=verify-full", /verify-full wants the name of its host/],
    ["postgres://u:hush@db.example/d?passwort=hush", /unknown parameter \(known: sslmode/],
  ];
  for (const [url, why] of refused)
    it(`is refused without its password when it ${why.source}`, () => {
      assert.throws(
        () => databaseServer(url),
        (error: Error) => why.test(error.message) && !/hush|hu#/.test(error.message) && error.message.includes("want "),
      );
    });
});
