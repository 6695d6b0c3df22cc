import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Command } from "commander";
import { register } from "../../src/cli/ds.ts";
import { createManagementServer } from "../../src/management/index.ts";
import { dispatchPorts } from "../management/dispatch-ports.ts";
import { fakePorts } from "../management/fake-ports.ts";

const LIST = "1 sip:127.0.0.1:9091 8 10 duid=one;latency=12\n1 sip:127.0.0.1:9092 4\n2 sip:127.0.0.1:9093 0\n";

/** What kamcmd 5.6.3 prints of set 1 of this list. */
const KAMCMD = `	SET: {
		ID: 1
		TARGETS: {
			DEST: {
				URI: sip:127.0.0.1:9091
				FLAGS: AP
				PRIORITY: 10
				ATTRS: {
					BODY: duid=one;latency=12
					DUID: one
					MAXLOAD: 0
					WEIGHT: 0
					RWEIGHT: 0
					SOCKET: <null string>
					SOCKNAME: <null string>
					OBPROXY: <null string>
				}
				LATENCY: {
					AVG: 12
					STD: 0
					EST: 12
					MAX: 12
					TIMEOUT: 0
				}
				RUNTIME: {
					DLGLOAD: 0
				}
			}
			DEST: {
				URI: sip:127.0.0.1:9092
				FLAGS: DX
				PRIORITY: 0
				LATENCY: {
					AVG: 0
					STD: 0
					EST: 0
					MAX: 0
					TIMEOUT: 0
				}
				RUNTIME: {
					DLGLOAD: 0
				}
			}
		}
	}
`.replaceAll(/^/gm, "\t");

/** Runs `headroom ds` against a balancer that has the list. */
async function withBalancer(run: (ds: (...words: string[]) => Promise<{ out: string; error: string; code: unknown }>) => Promise<void>) {
  const ports = fakePorts({ dispatch: dispatchPorts(LIST).dispatch });
  const server = await createManagementServer(ports, { host: "127.0.0.1", port: 0, root: "mi", bearerTokens: [] });
  const before = process.exitCode;
  try {
    await run(async (...words) => {
      const out: string[] = [];
      const error: string[] = [];
      const program = new Command("headroom").exitOverride();
      register(program, () => ({ out: (text) => void out.push(text), error: (text) => void error.push(text) }));
      await program.parseAsync(["ds", ...words, "--url", server.url], { from: "user" });
      return { out: out.join("\n"), error: error.join("\n"), code: process.exitCode };
    });
  } finally {
    process.exitCode = before;
    await server.close();
  }
}

describe("headroom ds", () => {
  it("lists the sets as kamcmd does", async () => {
    await withBalancer(async (ds) => {
      const { out, code } = await ds("list");
      assert.equal(code, 0);
      assert.ok(out.startsWith(`{\n\tNRSETS: 2\n\tRECORDS: {\n${KAMCMD.trimEnd()}\n\t\tSET: {\n\t\t\tID: 2\n`), out);
      assert.ok(out.endsWith("\n\t\t}\n\t}\n}"), out);
      assert.doesNotMatch((await ds("list", "short")).out, /ATTRS/);
      assert.match((await ds("list", "full")).out, /^\t+IPADDR: 127\.0\.0\.1$/m);
    });
  });

  it("shows them as a table", async () => {
    await withBalancer(async (ds) => {
      assert.deepEqual((await ds("show")).out.split("\n"), [
        "Set  URI                 Flags  Priority  Calls  Latency ms  Attributes",
        "1    sip:127.0.0.1:9091  AP     10        0      12          duid=one;latency=12",
        "1    sip:127.0.0.1:9092  DX     0         0      0",
        "2    sip:127.0.0.1:9093  AX     0         0      0",
      ]);
    });
  });

  it("changes them, and says what cannot be done", async () => {
    await withBalancer(async (ds) => {
      assert.equal((await ds("set-state", "ip", "1", "sip:127.0.0.1:9092")).out, "Ok. Dispatcher state updated.");
      assert.equal((await ds("set-duid-state", "t", "1", "one")).out, "Ok. Dispatcher state updated.");
      assert.equal((await ds("add", "3", "sip:127.0.0.1:9094", "8", "-7", "duid=x;a=b")).out, "Ok. Dispatcher destination added.");
      assert.match((await ds("show")).out, /1 {4}sip:127.0.0.1:9091 {2}TX .*\n.*IP .*\n.*\n3 {4}sip:127.0.0.1:9094 {2}AP {5}-7/);
      assert.equal((await ds("remove", "3", "sip:127.0.0.1:9094")).out, "Ok. Dispatcher destination removed.");
      assert.deepEqual(await ds("set-state", "a", "9", "all"), {
        out: "",
        error: "Cannot run dispatcher.set_state: State Update Failed (500): Set 9 has no destination with that address",
        code: 1,
      });
      assert.equal((await ds("reload")).out, "Ok. Dispatcher successfully reloaded.");
    });
  });

  it("tells of probing, hashes and overload", async () => {
    await withBalancer(async (ds) => {
      assert.equal((await ds("ping-active", "0")).out, "{\n\tNewPingState: 0\n\tOldPingState: 1\n}");
      assert.equal((await ds("ping-active", "--json")).out, '{\n  "OldPingState": 0\n}');
      assert.equal((await ds("hash", "4", "abc")).out, "{\n\thashid: 7167810\n\tslot: 2\n}");
      assert.match((await ds("oclist", "1")).out, /^\{\n\tgroup: 1\n(?:\t.*\n)+\}\n\{\n\tgroup: 1\n/);
    });
  });
});
