import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseConfig, tableNotices } from "../../src/config/index.ts";

function destination(group: number, ...names: string[]) {
  return { group, resources: names.map((name) => ({ name })) };
}

const TABLE = [destination(1, "pstn"), destination(1, "conf"), destination(2, "pstn", "conf")];

function notices(text: string, table = TABLE): string[] {
  return tableNotices(parseConfig(text, "h.yaml", {}), table);
}

describe("what the configuration names and no row has", () => {
  const cases: [text: string, wants: string[]][] = [
    ["", []],
    ["routing: { rules: [{ group: 2, resources: 'pstn;conf' }], outbound: { resources: 'pstn;conf', group: 1 } }", []],
    ["load_balancer: { lb_define_blacklist: 'a=1,2' }", []],
    ["routing: { rules: [{ group: 7 }] }", ["routing.rules with group 7 refuse their calls: the group has no destination"]],
    [
      "routing: { rules: [{ group: 7, match: { ruri_user: '^1' } }, { group: 7 }] }",
      ["routing.rules with group 7 refuse their calls: the group has no destination"],
    ],
    [
      "routing: { rules: [{ resources: 'pstn;fax;vm' }] }",
      ['routing.rules with resources "pstn;fax;vm" refuse their calls: no destination has "fax", "vm"'],
    ],
    [
      "routing: { rules: [{ resources: 'pstn;conf' }] }",
      ['routing.rules with group 1 and resources "pstn;conf" refuse their calls: no destination of the group has all of them'],
    ],
    [
      "routing: { outbound: { resources: 'pstn;fax' } }",
      ['routing.outbound.resources "pstn;fax": no destination has "fax", calls from destinations are refused'],
    ],
    [
      "routing: { outbound: { resources: fax, limit: false } }",
      ['routing.outbound.resources "fax": no destination has "fax", calls from destinations are not counted'],
    ],
    [
      "routing: { outbound: { group: 9 } }",
      ["routing.outbound.group 9 has no effect: the group has no destination that calls could come from"],
    ],
    ["distributor: { lists: { l: [{ name: 1 }] } }\nrouting: { rules: [{ distribute: l }, { distribute: l, resources: pstn }] }", []],
    [
      "distributor: { lists: { l: [{ name: 1 }] } }\nrouting: { rules: [{ distribute: l, resources: 'pstn;trnk' }] }",
      ['routing.rules with distribute "l" and resources "pstn;trnk" do not count all of them: no destination has "trnk"'],
    ],
    [
      "load_balancer: { lb_define_blacklist: ['a=1,9', 'b=8,9'] }",
      [
        'load_balancer.lb_define_blacklist "a=1,9" names group 9, which has no destination',
        'load_balancer.lb_define_blacklist "b=8,9" names groups 8, 9, which have no destination',
      ],
    ],
    [
      "load_balancer: { lb_define_blacklist: 'a=9' }\nrouting: { script: a.ts, rules: [{ group: 7 }], outbound: { resources: fax } }",
      ['load_balancer.lb_define_blacklist "a=9" names group 9, which has no destination'],
    ],
  ];
  for (const [text, wants] of cases) {
    it(`${wants.length === 0 ? "is nothing" : "is told"} for ${JSON.stringify(text)}`, () => {
      assert.deepEqual(notices(text), wants);
    });
  }

  it("is not told one by one while there is no destination at all", () => {
    assert.deepEqual(notices("load_balancer: { lb_define_blacklist: 'a=9' }\nrouting: { rules: [{ group: 7 }] }", []), []);
  });
});
