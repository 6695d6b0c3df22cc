import { setTimeout as sleep } from "node:timers/promises";
import { type Bench, withProxies } from "../bench.ts";
import { memoryBytes } from "../processes.ts";
import { shown } from "../statistics.ts";

const HELD = [10_000, 50_000];
const RATE = 1_000;
/** Timers B, F, H, J and M last 32 s (RFC 3261 §17, RFC 6026); after that only the calls are left. */
const REST_MS = 45_000;

/** Memory with calls that are held. */
export async function memory(bench: Bench): Promise<void> {
  const rows = await withProxies(bench, [bench.headroom, bench.kamailio], async (proxies) => {
    const batches = [];
    await sleep(REST_MS);
    const found = proxies.map(({ pid }) => [memoryBytes(pid)]);
    let held = 0;
    for (const count of HELD) {
      for (const proxy of proxies) batches.push(await bench.generator.hold(proxy, { rate: RATE, calls: count - held }));
      held = count;
      await sleep(REST_MS);
      proxies.forEach(({ pid, name }, i) => {
        found[i]!.push(memoryBytes(pid));
        bench.say(`memory ${name}, ${held} calls: ${shown(found[i]!.at(-1)! / 1e6)} MB`);
      });
    }
    for (const batch of batches) await bench.generator.hangUp(batch, RATE);
    const [few = 0, many = 0] = HELD;
    return proxies.map(({ name }, i) => {
      const [none = 0, withFew = 0, withMany = 0] = found[i]!;
      bench.records.push({ part: "memory", proxy: name, none, withFew, withMany });
      return [name, ...[none, withFew, withMany].map((bytes) => shown(bytes / 1e6)), shown((withMany - withFew) / (many - few))];
    });
  });
  bench.show({
    title: "Memory (PSS) with held calls",
    head: ["Proxy", "none, MB", ...HELD.map((count) => `${shown(count)}, MB`), "bytes a call"],
    rows,
  });
}
