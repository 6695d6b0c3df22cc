import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { isFsUrl, parseFsUrl } from "../../src/freeswitch/fs-url.ts";

describe("the URL of a FreeSWITCH", () => {
  const good: { url: string; key: string; label: string; login: string }[] = [
    { url: "fs://:ClueCon@10.0.0.1", key: "10.0.0.1:8021:", label: "fs://10.0.0.1:8021", login: "auth ClueCon\n\n" },
    { url: " fs://:ClueCon@10.0.0.1:8022/ ", key: "10.0.0.1:8022:", label: "fs://10.0.0.1:8022", login: "auth ClueCon\n\n" },
    {
      url: "FS://:ClueCon@PBX2.example.ORG",
      key: "pbx2.example.org:8021:",
      label: "fs://pbx2.example.org:8021",
      login: "auth ClueCon\n\n",
    },
    { url: "fs://lb:pa:ss@fs1", key: "fs1:8021:lb", label: "fs://lb@fs1:8021", login: "userauth lb:pa:ss\n\n" },
    {
      url: "fs://100%40dom:s%3Becret%25@fs1:1",
      key: "fs1:1:100@dom",
      label: "fs://100%40dom@fs1:1",
      login: "userauth 100@dom:s;ecret%\n\n",
    },
    { url: "fs://:p@ss@w@h", key: "h:8021:", label: "fs://h:8021", login: "auth p@ss@w\n\n" },
    { url: "fs://:x@[2001:DB8:0::1]:8021", key: "2001:db8::1:8021:", label: "fs://[2001:db8::1]:8021", login: "auth x\n\n" },
    { url: "fs://:x@[::1]", key: "::1:8021:", label: "fs://[::1]:8021", login: "auth x\n\n" },
  ];
  for (const { url, key, label, login } of good) {
    it(`is read: ${url}`, () => {
      const parsed = parseFsUrl(url);
      assert.deepEqual([parsed.key, parsed.label, parsed.loginCommand()], [key, label, login]);
    });
  }

  const bad: { url: string; want: RegExp }[] = [
    { url: "sip:h", want: /does not start with "fs:\/\/"/ },
    { url: "fs://", want: /has no "@"/ },
    { url: "fs://SECRET", want: /has no "@"/ },
    { url: "fs://SECRET@h", want: /no ":" before the password/ },
    { url: "fs://:@h", want: /password is empty/ },
    { url: "fs://SECRET:@h", want: /password is empty/ },
    { url: "fs://:SECRET%@h", want: /write "%25"/ },
    { url: "fs://:SECRET%zz@h", want: /write "%25"/ },
    { url: "fs://:SECRET%0Aexit@h", want: /control character/ },
    { url: "fs://us%0Aer:SECRET@h", want: /control character/ },
    { url: "fs://us%3Aer:SECRET@h", want: /":"/ },
    { url: "fs://:SECRET@", want: /names no host/ },
    { url: "fs://:SECRET@:8021", want: /names no host/ },
    { url: "fs://:SECRET@h:0", want: /1 to 65535/ },
    { url: "fs://:SECRET@h:65536", want: /1 to 65535/ },
    { url: "fs://:SECRET@h:x", want: /1 to 65535/ },
    { url: "fs://:SECRET@h:", want: /1 to 65535/ },
    { url: "fs://:SECRET@2001:db8::1", want: /neither|brackets|1 to 65535/ },
    { url: "fs://:SECRET@[2001:db8::g]", want: /not an IPv6 address/ },
    { url: "fs://:SECRET@[::1", want: /neither|brackets|1 to 65535/ },
    { url: "fs://:SECRET@ho st", want: /neither a name nor an address/ },
    { url: "fs://:SECRET@-h", want: /neither a name nor an address/ },
    { url: "fs://:SECRET@h/path", want: /neither a name nor an address/ },
    { url: `fs://:SECRET@${"h".repeat(2000)}`, want: /characters; want at most/ },
  ];
  for (const { url, want } of bad) {
    it(`is refused, without its password: ${url.slice(0, 40)}`, () => {
      assert.throws(
        () => parseFsUrl(url),
        (error) =>
          error instanceof RangeError && want.test(error.message) && !error.message.includes("SECRET") && !error.message.endsWith("."),
      );
    });
  }

  it("never shows its password", () => {
    const url = parseFsUrl("fs://lb:SECRET@h");
    const shown = [
      String(url),
      JSON.stringify({ url }),
      inspect(url, { depth: 9, showHidden: true }),
      JSON.stringify({ ...url }),
      url.key,
      url.label,
    ];
    for (const text of shown) assert.doesNotMatch(text, /SECRET/);
    assert.equal(url.withoutPassword("-ERR SECRET is wrong"), "-ERR *** is wrong");
  });

  it("is told from a number of calls", () => {
    assert.equal(isFsUrl("fs://"), true);
    assert.equal(isFsUrl("32"), false);
  });
});
