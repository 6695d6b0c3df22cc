import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseRedisUrl, type RedisTarget, RedisUrlError, shownRedisUrl, withoutPasswords } from "../../../src/cluster/redis/redis-url.ts";

const PLAIN: RedisTarget = {
  kind: "single",
  addresses: [{ host: "h", port: 6379 }],
  isTls: false,
  masterName: "",
  database: 0,
  username: undefined,
  password: undefined,
  sentinelUsername: undefined,
  sentinelPassword: undefined,
};
const TWO = (port: number): RedisTarget["addresses"] => [
  { host: "h1", port: 1 },
  { host: "h2", port },
];

describe("parseRedisUrl", () => {
  const understood: [string, Partial<RedisTarget>, string?][] = [
    ["redis://h", {}, "redis://h:6379"],
    ["redis://h:7/", { addresses: [{ host: "h", port: 7 }] }, "redis://h:7"],
    ["redis://h/3", { database: 3 }, "redis://h:6379/3"],
    ["rediss://h", { isTls: true }, "rediss://h:6379"],
    ["redis://[::1]:7", { addresses: [{ host: "::1", port: 7 }] }, "redis://[::1]:7"],
    ["redis://:secret@h", { password: "secret" }, "redis://h:6379"],
    ["redis://user:a:b%40%2F@h", { username: "user", password: "a:b@/" }, "redis://h:6379"],
    ["redis://user:a@b@h", { username: "user", password: "a@b" }, "redis://h:6379"],
    ["redis+sentinel://h1:1,h2/farm", { kind: "sentinel", addresses: TWO(26379), masterName: "farm" }],
    [
      "rediss+sentinel://:p@h1:1,h2:2/my%20farm/4?sentinel_username=u&sentinel_password=s%26",
      {
        kind: "sentinel",
        addresses: TWO(2),
        isTls: true,
        masterName: "my farm",
        database: 4,
        password: "p",
        sentinelUsername: "u",
        sentinelPassword: "s&",
      },
      "rediss+sentinel://h1:1,h2:2/my%20farm/4",
    ],
    ["redis+cluster://h1:1,h2", { kind: "cluster", addresses: TWO(6379) }, "redis+cluster://h1:1,h2:6379"],
    ["rediss+cluster://u:p@h1:1,h2/0", { kind: "cluster", addresses: TWO(6379), isTls: true, username: "u", password: "p" }],
  ];
  for (const [text, wanted, shown] of understood) {
    it(`understands ${text}`, () => {
      const target = parseRedisUrl(text);
      assert.deepEqual(target, { ...PLAIN, ...wanted });
      if (shown !== undefined) assert.equal(shownRedisUrl(target), shown);
    });
  }

  const refused: [string, RegExp][] = [
    ["", /another form/],
    ["http://h", /another form/],
    ["redis://", /another form/],
    ["redis:h", /another form/],
    ["redis+tls://h", /another form/],
    ["redis://:SECRET@", /another form/],
    ["redis://:SECRET@h#x", /another form/],
    ["redis://SECRET@h", /a user without a password/],
    ["redis://user:@h", /its password is empty/],
    ["redis://:SECRET%zz@h", /its password has a wrong %-escape/],
    ["redis://:SECRET@h:0", /one of its ports/],
    ["redis://:SECRET@h:65536", /one of its ports/],
    ["redis://:SECRET@h h", /one of its addresses/],
    ["redis://:SECRET@h,", /one of its addresses/],
    ["redis://::1", /one of its addresses/],
    ["redis://:SECRET@h1,h2", /only Sentinels/],
    ["redis://:SECRET@h/x", /its database/],
    ["redis://h/1/2", /its database/],
    ["redis+sentinel://h", /the name that the Sentinels know/],
    ["redis+sentinel://h/", /the name that the Sentinels know/],
    ["redis+sentinel://h/farm/x", /its database/],
    ["redis+sentinel://h/farm?password=SECRET", /question mark/],
    ["redis://h?sentinel_password=SECRET", /question mark/],
    ["redis+cluster://h/1", /only database 0/],
    [`redis+cluster://${Array(65).fill("h").join(",")}`, /more than 64/],
  ];
  for (const [text, reason] of refused) {
    it(`refuses "${text.slice(0, 60)}" and keeps its secrets`, () => {
      assert.throws(
        () => parseRedisUrl(text),
        (error: Error) => error instanceof RedisUrlError && reason.test(error.message) && !error.message.includes("SECRET"),
      );
    });
  }
});

describe("withoutPasswords", () => {
  it("takes passwords out as they are and as they stand in an address", () => {
    const target = parseRedisUrl("redis+sentinel://:p%40ss@h/farm?sentinel_password=other");
    assert.equal(withoutPasswords("AUTH p@ss failed at redis://:p%40ss@h, other", target), "AUTH *** failed at redis://:***@h, ***");
    assert.equal(withoutPasswords("nothing", PLAIN), "nothing");
  });
});
