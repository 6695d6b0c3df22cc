import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { freeTcpPort } from "../../src/demo/free-ports.ts";
import { type Headroom, startHeadroom } from "../support/headroom.ts";
import { freeUdpPort } from "../support/net.ts";
import { runCaller, startCallee } from "../support/sipp.ts";
import { TlsWrap } from "../support/tls-wrap.ts";

const FIXTURES = join(import.meta.dirname, "..", "fixtures", "tls");
const PROXY = "127.0.46.2";
const CALLER = "127.0.46.3";
const CALLEE = "127.0.46.4";
const CALLER_WRAP = "127.0.46.5";
const CALLEE_WRAP = "127.0.46.6";
const CALLS = 500;
const RATE = 100;

const pem = (name: string): Buffer => readFileSync(join(FIXTURES, name));

describe(`${CALLS} calls of sipp, none of which fails`, () => {
  let headroom: Headroom;
  let port: number;
  before(async () => {
    port = await freeUdpPort(PROXY);
    const tls = `{ certificate: "${FIXTURES}/proxy.pem", private_key: "${FIXTURES}/proxy.key", ca: "${FIXTURES}/ca.pem" }`;
    const rules = "[{ group: 1, resources: pstn, disable_on: [] }]";
    headroom = await startHeadroom(
      `{ sip: { listen: ["udp:${PROXY}:${port}", "tls:${PROXY}:${port}"], tls: ${tls} }, tm: { fr_timeout: 5 }, routing: { rules: ${rules} } }`,
      [],
      PROXY,
    );
  });
  after(() => headroom?.stop());

  for (const hangsUp of ["caller", "callee"] as const) {
    it(`over UDP, ended by the ${hangsUp}`, async () => {
      const [calling, answering] = hangsUp === "caller" ? ["caller", "callee-patient"] : ["caller-hung-up-on", "callee-hanging-up-patient"];
      const callee = await startCallee({ scenario: answering as string, address: CALLEE });
      try {
        await headroom.replaceRows([{ uri: callee.uri, resources: "pstn=1000" }]);
        const done = await runCaller({
          scenario: calling as string,
          address: CALLER,
          target: `${PROXY}:${port}`,
          calls: CALLS,
          rate: RATE,
        });
        assert.deepEqual([done.successful, done.failed], [CALLS, 0], done.errors + headroom.log());
        await headroom.untilIdle();
        assert.equal(callee.statistics().failed, 0, callee.statistics().errors);
      } finally {
        await callee.kill();
      }
    });
  }

  it("over TLS on both sides, over one connection each", async () => {
    const calleePort = await freeTcpPort(CALLEE);
    const secure = { cert: pem("proxy.pem"), key: pem("proxy.key") };
    const toCallee = await TlsWrap.toProgram(CALLEE_WRAP, { address: CALLEE, port: calleePort }, secure);
    const callee = await startCallee({
      ...{ scenario: "callee", address: CALLEE, port: calleePort, contact: `${toCallee.address}:${toCallee.port}` },
      ...{ transport: "tcp", isWrapped: true },
    });
    const toProxy = await TlsWrap.toServer(CALLER_WRAP, { address: PROXY, port }, pem("ca.pem"));
    try {
      await headroom.replaceRows([{ uri: `sip:${toCallee.address}:${toCallee.port};transport=tls`, resources: "pstn=1000" }]);
      const target = `${toProxy.address}:${toProxy.port}`;
      const done = await runCaller({
        ...{ scenario: "caller", address: CALLER, target, calls: CALLS, rate: RATE, transport: "tcp", isWrapped: true },
      });
      await headroom.untilIdle();
      const { failed, errors } = callee.statistics();
      assert.deepEqual([done.successful, done.failed, failed], [CALLS, 0, 0], done.errors + errors + headroom.log());
      assert.deepEqual([toProxy.connections, toCallee.connections], [1, 1]);
    } finally {
      await callee.kill();
      await Promise.all([toProxy.close(), toCallee.close()]);
    }
  });
});
