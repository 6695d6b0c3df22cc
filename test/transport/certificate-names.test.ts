import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PeerCertificate } from "node:tls";
import { isNamedBy } from "../../src/transport/certificate-names.ts";

function certificate(subjectaltname: string): PeerCertificate {
  return { subject: { CN: "common.example.com" }, subjectaltname } as PeerCertificate;
}

describe("isNamedBy()", () => {
  const cases = [
    { names: "DNS:sip.example.com", host: "sip.example.com", named: true },
    { names: "DNS:sip.example.com", host: "example.com", named: false },
    { names: "DNS:*.example.com", host: "sip.example.com", named: true },
    { names: "DNS:sip.example.com", host: "common.example.com", named: false },
    { names: "URI:sip:example.com, DNS:host.example.net", host: "example.com", named: true },
    { names: "URI:sips:EXAMPLE.com", host: "example.com", named: true },
    { names: "URI:https:example.com", host: "example.com", named: false },
    { names: "URI:sip:user@example.com", host: "example.com", named: false },
    { names: 'URI:"sip:x, URI:sip:example.com, y"', host: "example.com", named: false },
    { names: "IP Address:192.0.2.1", host: "192.0.2.1", named: true },
    { names: "IP Address:192.0.2.1", host: "192.0.2.2", named: false },
  ];
  for (const { names, host, named } of cases) {
    it(`${named ? "takes" : "refuses"} ${names} for ${host}`, () => assert.equal(isNamedBy(certificate(names), host), named));
  }
});
