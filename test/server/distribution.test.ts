import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { parseConfig, readDistributorSetup } from "../../src/config/index.ts";
import { dump } from "../../src/distributor/index.ts";
import { ConfiguredDistribution } from "../../src/server/distribution.ts";
import { FakeLog, makeBalancer } from "../routing/fake-call.ts";

describe("the distributor that a configuration asks for", () => {
  const folder = mkdtempSync(join(tmpdir(), "headroom-distribution-"));
  after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "distributor.conf.xml");
  const writeLists = (lists: string): void =>
    writeFileSync(file, `<configuration name="distributor.conf"><lists>${lists}</lists></configuration>`);

  function open() {
    const balancer = makeBalancer("pstn=1", "pstn=1");
    const log = new FakeLog();
    const distribution = new ConfiguredDistribution(balancer, log);
    const use = (yaml: string): void => {
      const config = parseConfig(yaml, "h.yaml", {});
      distribution.use(config, readDistributorSetup(config));
    };
    const shown = (name: string): string | undefined => {
      const list = distribution.distributor.list(name);
      return list && dump(list);
    };
    const said = (): string[] => log.lines.splice(0).map(({ level, message }) => `${level} ${message}`);
    return { balancer, distribution, use, shown, said };
  }

  it("is empty and silent by default, and has nothing to reload", () => {
    const { distribution, use, said } = open();
    use("");
    assert.deepEqual([said(), distribution.reload(), distribution.counters["lists"]], [[], false, 0]);
  });

  it("keeps rotation and modified weights when the lists are as they were, begins anew when they are not, forgets them when none are named", () => {
    const { distribution, use, shown, said } = open();
    const one = "distributor: { lists: { l: [{ name: 1, weight: 2 }, { name: 2 }] }";
    use(`${one} }`);
    assert.deepEqual(said(), ["info distributor lists loaded"]);
    const { distributor } = distribution;
    assert.equal(distributor.next("l"), "1");
    use(`${one}, nodes: { unused: 1 } }\nlog: { level: warn }`);
    assert.deepEqual([distributor.next("l"), said()], ["2", []]);
    const list = distributor.list("l")!;
    distributor.modify(list, new Map([[list.nodes[0]!, 7]]));
    use(`${one} }`);
    assert.match(shown("l") ?? "", /name=1 weight=7/);
    use("distributor: { lists: { l: [{ name: 1, weight: 3 }] } }");
    assert.equal(shown("l"), "list: name=l\nnode: name=1 weight=3\n");
    use("");
    assert.equal(shown("l"), undefined);
  });

  it("reads its file again on demand, and stays as it was when that cannot be used", () => {
    const { distribution, use, shown, said } = open();
    writeLists('<list name="l"><node name="1" weight="1"/><node name="2" weight="0"/></list>');
    use(`distributor: { list_file: "${file}" }\nrouting: { rules: [{ distribute: l }] }`);
    assert.deepEqual(
      said().map((line) => line.slice(0, 40)),
      ['warn Cannot use weight "0" of node "2" i', "info distributor lists loaded"],
    );
    const before = shown("l");
    for (const [lists, want] of [
      ['<list name="l">', /well-formed/],
      ['<list name="m"/>', /found "l", want one of "m"/],
      ["", /found no list that can be used/],
    ] as const) {
      writeLists(lists);
      assert.equal(distribution.reload(), false);
      const [line = "", ...more] = said();
      assert.match(line, /^error distributor lists stay as they were: /);
      assert.match(line, want);
      assert.deepEqual([shown("l"), more], [before, []]);
    }
    writeLists('<list name="l"><node name="1" weight="4"/></list>');
    assert.deepEqual([distribution.reload(), shown("l")], [true, "list: name=l\nnode: name=1 weight=4\n"]);
    assert.deepEqual([distribution.counters["reloads"], distribution.counters["reload_failures"]], [2, 3]);
  });

  it("says of each node that leads nowhere so, once, until it has led somewhere", () => {
    const { balancer, distribution, use, said } = open();
    const yaml = "distributor: { lists: { l: [{ name: 2 }, { name: gw }, { name: far }] }, nodes: { far: 'sip:gw.example' } }";
    const lost = (node: string): string =>
      `warn Cannot use node "${node}" of list "l": want the id of a destination in the table, a SIP URI that is reached over UDP, or a name that distributor.nodes explains`;
    use(yaml);
    assert.deepEqual(said(), ["info distributor lists loaded", lost("gw")]);
    balancer.replaceTable([]);
    distribution.tableChanged();
    assert.deepEqual(said(), [lost("2")]);
    use(yaml);
    distribution.tableChanged();
    assert.deepEqual(said(), []);
  });

  it("does not fill the log with them", () => {
    const { use, said } = open();
    const nodes = Array.from({ length: 150 }, (_, i) => `{ name: n${i} }`).join(", ");
    use(`distributor: { lists: { l: [${nodes}] } }`);
    const lines = said();
    assert.deepEqual([lines.length, lines.at(-1)], [102, "warn Cannot use 50 further nodes of distributor lists: they lead nowhere"]);
  });
});
