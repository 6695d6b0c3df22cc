import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Scanners } from "../../src/overload/scanners.ts";
import { parsed } from "./fixtures.ts";

const MARKS = ["friendly-scanner", "sipvicious", "smap", "Contact: sip:100@1.1.1.1", "a.c", "sipcli"];

describe("the marks of scanners", () => {
  const scanners = new Scanners(MARKS);
  const cases: { name: string; parts: Parameters<typeof parsed>[0]; want: boolean }[] = [
    { name: "are found in User-Agent", parts: { headers: ["User-Agent: friendly-scanner"] }, want: true },
    { name: "are found in any case and anywhere in it", parts: { headers: ["user-agent: My FRIENDLY-Scanner/1.0"] }, want: true },
    { name: "are found in the name beside From", parts: { from: '"sipvicious"<sip:100@192.0.2.9>;tag=a' }, want: true },
    { name: "are found in the name beside To", parts: { to: '"SIPVicious" <sip:100@192.0.2.9>' }, want: true },
    { name: "are found in a header of their own", parts: { headers: ["m: <sip:100@1.1.1.1:5060>"] }, want: true },
    { name: "are no user of that name", parts: { from: "<sip:smap@example.com>;tag=a", to: "sip:smap@example.com" }, want: false },
    { name: "are no other header with that text", parts: { headers: ["Subject: friendly-scanner"] }, want: false },
    { name: "are words of their own", parts: { headers: ["User-Agent: sipcli/v1.8"] }, want: true },
    { name: "are no parts of the name of another program", parts: { headers: ["User-Agent: MySIPClient 2"] }, want: false },
    { name: "are no parts of the name of a person", parts: { from: '"Ann Osmapson" <sip:ann@example.com>;tag=a' }, want: false },
    { name: "are texts and no patterns", parts: { headers: ["User-Agent: abc"] }, want: false },
    { name: "are not looked for behind 256 characters", parts: { headers: [`User-Agent: ${"x".repeat(256)}sipvicious`] }, want: false },
    { name: "are not in a usual request", parts: { headers: ["User-Agent: FreeSWITCH-mod_sofia/1.10.11"] }, want: false },
  ];
  for (const { name, parts, want } of cases) it(name, () => assert.equal(scanners.has(parsed(parts)), want));

  it("are none where none are named", () => {
    assert.equal(new Scanners([]).has(parsed({ headers: ["User-Agent: friendly-scanner"] })), false);
  });
});
