import { run as call } from "./call.ts";
import { run as dispatch } from "./dispatch.ts";
import { run as parse } from "./parse.ts";
import { run as picks } from "./picks.ts";

console.log(`Node.js ${process.version}, ${process.arch}`);
for (const [title, run] of [
  ["messages", parse],
  ["picks", picks],
  ["dispatch", dispatch],
  ["calls", call],
] as const) {
  console.log(`\n${title}`);
  for (const { name, unit, value } of await run()) {
    console.log(`  ${name.padEnd(74)} ${value.toLocaleString("en", { maximumFractionDigits: 2 }).padStart(14)} ${unit}`);
  }
}
