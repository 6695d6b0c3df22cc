import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Balancer } from "../../src/balancer/index.ts";
import { parseConfig } from "../../src/config/index.ts";
import { TableLoader } from "../../src/server/load-table.ts";
import { openStore } from "../../src/store/index.ts";

describe("loading the table", () => {
  it("warns of rows that are skipped, kept or not as they say, and of what the configuration names and no row has", async () => {
    let isUp = true;
    const store = await openStore("sqlite::memory:", {
      table: "load_balancer",
      resolve: async (host) => {
        if (host === "never.example" || !isUp) throw Object.assign(new Error("getaddrinfo EAI_AGAIN"), { code: "EAI_AGAIN" });
        return ["192.0.2.9"];
      },
    });
    const warnings: string[] = [];
    const warn = (_fields: object, message: string): void => void warnings.push(message);
    const log = { debug() {}, info() {}, warn, error: assert.fail };
    const balancer = new Balancer({ below: () => 0 });
    const config = parseConfig("load_balancer: { lb_define_blacklist: 'a=9' }\nrouting: { rules: [{ resources: a }] }", "h.yaml", {});
    const loader = new TableLoader({ store, balancer, listeners: [], log });
    const load = async (): Promise<string[]> => {
      await loader.load(config);
      return warnings.splice(0);
    };
    try {
      assert.match((await load()).join("\n"), /^no destination to send calls to: add one/);
      await store.import([
        { group_id: 1, dst_uri: "sip:a.example", resources: "a=1", attrs: "wieght=2" },
        { group_id: 1, dst_uri: "sip:never.example", resources: "a=1" },
      ]);
      const unresolved = 'host "never.example" cannot be resolved: the name servers do not answer';
      const option = 'Cannot use an option in the attributes of destination 1: "wieght" is no option; want "weight" if that is meant';
      const always = ['load_balancer.lb_define_blacklist "a=9" names group 9, which has no destination'];
      const skipped = `Row 2 is skipped: dst_uri "sip:never.example": ${unresolved}`;
      assert.deepEqual(await load(), [option, skipped, ...always]);
      isUp = false;
      const kept =
        'Row 1 keeps the addresses from before, 192.0.2.9: dst_uri "sip:a.example": host "a.example" cannot be resolved: the name servers do not answer';
      assert.deepEqual(await load(), [option, skipped, kept, ...always]);
      assert.equal(balancer.isDestination("192.0.2.9", 5060)?.id, 1);
    } finally {
      await store.close();
    }
  });
});
