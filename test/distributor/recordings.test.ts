import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseDistributorXml } from "../../src/config/distributor-xml.ts";
import { Distributor, runDistributor, runDistributorCtl } from "../../src/distributor/index.ts";
import { exchangesOf, fixture } from "./recordings.ts";

/** In the order in which they were made: each goes on where the one before ended. */
const RECORDINGS = [
  "01-weights-1-9-20calls",
  "02-weights-1-1-20calls",
  "03-weights-2-3-20calls",
  "04-weights-1-2-3-24calls",
  "05-solo-5calls",
  "06-weight-0-node",
  "07-ctl",
  "08-unknown-and-empty",
  "09-except-foo2",
  "10-except-foo1",
  "11-except-all",
  "12-except-three-b",
  "13-except-three-c",
  "14-except-three-a-c",
  "15-even-except-a-then-normal",
  "16-modify",
  "17-sequence-continues-without-reload-a",
  "17-sequence-continues-without-reload-b",
];

const XML = fixture("distributor.conf.xml");

/** Runs a command as FreeSWITCH's API does; undefined for one of another module. */
function run(distributor: Distributor, command: string, reload: () => boolean): string | undefined {
  const [, name = "", text = ""] = /^(\S+) ?(.*)$/.exec(command) ?? [];
  if (name === "distributor") return runDistributor(distributor, text);
  return name === "distributor_ctl" ? runDistributorCtl(distributor, text, reload) : undefined;
}

describe("the distributor beside a recorded FreeSWITCH 1.11.1", () => {
  const { lists } = parseDistributorXml(XML, "distributor.conf.xml");
  const distributor = new Distributor({}, lists);
  for (const recording of RECORDINGS) {
    it(`answers as in ${recording}, byte for byte`, () => {
      let compared = 0;
      for (const [i, { command, answer }] of exchangesOf(recording).entries()) {
        const mine = run(distributor, command, () => distributor.reload(lists));
        if (mine === undefined) continue;
        assert.equal(mine, answer, `${recording}, command ${i + 1}: ${command}`);
        compared++;
      }
      assert.ok(compared >= 3);
    });
  }

  it("reads the file again when it is reloaded, as in 20-reload-needs-reloadxml", () => {
    let file = XML;
    let published = XML; // what FreeSWITCH's reloadxml, which has no counterpart here, has taken from the file
    let publications = 0;
    const reload = () => distributor.reload(parseDistributorXml(published, "distributor.conf.xml").lists);
    const exchanges = exchangesOf("20-reload-needs-reloadxml");
    for (const [i, { command, answer }] of exchanges.entries()) {
      if (i === 1) file = XML.replace('"even"><node name="a" weight="1"', '"even"><node name="a" weight="4"');
      if (command === "reloadxml") {
        published = publications++ === 0 ? file : XML;
        continue;
      }
      assert.equal(run(distributor, command, reload), answer, `command ${i + 1}: ${command}`);
    }
    assert.equal(publications, 2);
  });
});
