import type { ScriptTwin } from "../memory-redis.ts";
import type { MemoryStore } from "../memory-store.ts";

const LAST = 9e14;
const LONGEST_LEASE_MS = 600_000;

interface NodeRecord {
  expiry: number;
  seen: number;
  lease: number;
  seq: number;
  epoch: number;
  incarnation: string;
  identity: string;
  isClamped: boolean;
}

interface TagRecord {
  node: number;
  incarnation: string;
  epoch: number;
  expiry: number;
  lease: number;
  wanted: number;
  wantedUntil: number;
  since: number;
  released: number;
}

function entries(store: MemoryStore, key: string): [string, string][] {
  const flat = store.call("hgetall", key) as string[];
  return Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] as string, flat[2 * at + 1] as string]);
}

function readNode(text: string | null, now: number): NodeRecord | undefined {
  const parts = /^(\d+) (\d+) (\d+) (\d+) (\d+) ([0-9A-Za-z]+) (.+)$/s.exec(text ?? "");
  if (parts === null) return undefined;
  const [expiry, seen, lease, seq, epoch] = parts.slice(1, 6).map(Number) as [number, number, number, number, number];
  const [incarnation, identity] = [parts[6] as string, parts[7] as string];
  if ([expiry, seen, seq, epoch].some((value) => value > LAST) || lease < 1 || lease > LONGEST_LEASE_MS) return undefined;
  if (incarnation.length > 64) return undefined;
  const isClamped = expiry > now + lease || seen > now;
  return { expiry: Math.min(expiry, now + lease), seen: Math.min(seen, now), lease, seq, epoch, incarnation, identity, isClamped };
}

function readTag(text: string, now: number): TagRecord | undefined {
  if (text.length > 1024) return undefined;
  let tag: Record<string, unknown> | null;
  try {
    tag = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof tag !== "object" || tag === null) return undefined;
  for (const field of ["node", "epoch", "expiry", "lease", "wanted", "wantedUntil", "since", "released"]) {
    const value = tag[field];
    if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > LAST) return undefined;
  }
  if (typeof tag["incarnation"] !== "string" || !/^[0-9A-Za-z]{0,64}$/.test(tag["incarnation"])) return undefined;
  const read = tag as unknown as TagRecord;
  if (read.lease < 1 || read.lease > LONGEST_LEASE_MS) return undefined;
  read.expiry = Math.min(read.expiry, now + read.lease);
  read.wantedUntil = Math.min(read.wantedUntil, now + read.lease);
  read.since = Math.min(read.since, now);
  return read;
}

function writeTag(store: MemoryStore, key: string, name: string, tag: TagRecord): void {
  const { node, incarnation, epoch, expiry, lease, wanted, wantedUntil, since, released } = tag;
  store.call("hset", key, name, JSON.stringify({ node, incarnation, epoch, expiry, lease, wanted, wantedUntil, since, released }));
}

function freeAt(tag: TagRecord): number {
  if (tag.node !== 0) return tag.expiry;
  return tag.released === 1 ? tag.since : tag.since + tag.lease;
}

/** Twin of the script of src/cluster/members/beat-script.ts. */
export const BEAT_TWIN: ScriptTwin = (store, [nodesKey = "", tagsKey = "", statusSeqKey = "", generationKey = ""], args) => {
  const now = store.nowMs;
  const [self = "", incarnation = "", seqText, leaseText, identity = "", epochText, leaving, candidate = "", claimText, known] = args;
  const [seq, lease, claimBefore] = [Number(seqText), Number(leaseText), Number(claimText)];
  const [maxNodes, keep, maxTags] = args.slice(10, 13).map(Number) as [number, number, number];
  const selfId = Number(self);
  let epoch = Number(epochText);
  let foreign = 0;

  const writeNode = (id: string, { expiry, seen, lease, seq, epoch, incarnation, identity }: Omit<NodeRecord, "isClamped">): unknown =>
    store.call("hset", nodesKey, id, `${expiry} ${seen} ${lease} ${seq} ${epoch} ${incarnation} ${identity}`);

  const mine = readNode(store.call("hget", nodesKey, self) as string | null, now);
  let isChanged = mine?.identity !== identity;
  if (mine === undefined) epoch = Math.max(epoch, 1);
  else if (mine.incarnation !== incarnation) {
    if (mine.expiry > now) {
      if (mine.isClamped) writeNode(self, mine);
      return ["held", now, mine.expiry, mine.incarnation, mine.identity];
    }
    epoch = Math.max(epoch, mine.epoch) + 1;
    isChanged = true;
  } else {
    if (seq <= mine.seq) return ["stale", now];
    epoch = Math.max(epoch, mine.epoch);
  }

  store.call("set", generationKey, candidate, "nx");
  const generation = store.call("get", generationKey) as string;

  const nodes: (Omit<NodeRecord, "isClamped"> & { id: string })[] = [];
  let version = 0;
  for (const [id, text] of entries(store, nodesKey)) {
    if (id === "#") version = /^\d+$/.test(text) ? Math.min(Number(text), LAST) : 0;
    else if (id !== self) {
      const node = /^[1-9]\d{0,9}$/.test(id) ? readNode(text, now) : undefined;
      if (node === undefined) foreign++;
      else if (node.expiry <= now && node.seen < now - keep) {
        store.call("hdel", nodesKey, id);
        isChanged = true;
      } else {
        if (node.isClamped) writeNode(id, node);
        nodes.push({ id, ...node });
      }
    }
  }
  if (mine === undefined && nodes.length >= maxNodes) {
    const [oldest] = nodes.filter(({ expiry }) => expiry <= now).sort((a, b) => a.seen - b.seen);
    if (oldest === undefined) return ["full", now];
    store.call("hdel", nodesKey, oldest.id);
    nodes.splice(nodes.indexOf(oldest), 1);
  }
  const own = { expiry: leaving === "1" ? 0 : now + lease, seen: now, lease, seq, epoch, incarnation, identity };
  writeNode(self, own);
  nodes.push({ id: self, ...own });
  if (isChanged) store.call("hset", nodesKey, "#", ++version);
  const directory = `${generation}:${version}`;

  const tags = new Map<string, TagRecord>();
  const texts = new Map(entries(store, tagsKey));
  let count = texts.size;
  let read = 0;
  for (const [name, text] of texts) {
    if (++read > maxTags) continue;
    const tag = readTag(text, now);
    if (tag === undefined) foreign++;
    else tags.set(name, tag);
  }

  for (let at = 13; at < args.length; at += 6) {
    const [name = "", act, ...numbers] = args.slice(at, at + 6) as [string, string, ...string[]];
    const [knownEpoch = 0, untilMs = 0, grace = 0, wantedBit] = numbers.map(Number);
    const isWanted = wantedBit === 1;
    let tag = tags.get(name);
    if (tag === undefined && !texts.has(name) && count >= maxTags) continue;
    const unknown = { node: 0, incarnation: "", epoch: knownEpoch, expiry: 0, released: 0, since: now };
    if (tag === undefined) {
      if (!texts.has(name)) count++;
      tag = { lease, wanted: 0, wantedUntil: 0, ...unknown };
      tags.set(name, tag);
    } else if (tag.node === 0 && tag.epoch < knownEpoch) Object.assign(tag, unknown);
    const taken = { node: selfId, incarnation, expiry: now + lease, lease, released: 0 };
    const isReserved = tag.wantedUntil > now && tag.wanted !== 0 && tag.wanted !== selfId;
    let isMine = tag.node === selfId && tag.incarnation === incarnation;
    if (act === "hold") {
      const isForgotten = tag.epoch < knownEpoch || (tag.epoch === knownEpoch && tag.node === 0 && tag.released === 0);
      if (isMine || (isForgotten && now < untilMs)) {
        Object.assign(tag, taken, { epoch: Math.max(tag.epoch, knownEpoch) });
        isMine = true;
      }
    } else if (act === "release" && isMine) {
      Object.assign(tag, { node: 0, incarnation: "", expiry: 0, released: 1, since: now });
      if (tag.wantedUntil > now) tag.wantedUntil = now + tag.lease;
      isMine = false;
    } else if (act === "claim" || act === "first") {
      const isReachable = act === "claim" || (tag.node === 0 && tag.released === 1);
      if (isMine && tag.expiry > now) Object.assign(tag, taken);
      else if (now <= claimBefore && now >= freeAt(tag) + grace && (isWanted || !isReserved) && isReachable) {
        Object.assign(tag, taken, { epoch: Math.max(tag.epoch, knownEpoch) + 1, since: now, wanted: 0, wantedUntil: 0 });
        isMine = true;
      }
    }
    if (isMine && tag.wanted === selfId) Object.assign(tag, { wanted: 0, wantedUntil: 0 });
    else if (isWanted && !isMine) Object.assign(tag, { wanted: selfId, wantedUntil: now + tag.lease });
    writeTag(store, tagsKey, name, tag);
  }

  const nodeRows = nodes.map(({ id, expiry, seen, epoch, incarnation, identity }) => {
    return [id, expiry, seen, epoch, incarnation, directory === known ? "" : identity];
  });
  const tagRows = [...tags].map(([name, tag]) => {
    const wanted = tag.wantedUntil > now ? tag.wanted : 0;
    const waitMs = Math.max(freeAt(tag), wanted !== 0 && wanted !== selfId ? tag.wantedUntil : 0) - now;
    const isReleased = tag.node === 0 && tag.released === 1;
    return [name, tag.node, tag.incarnation, tag.epoch, tag.node === 0 ? 0 : tag.expiry - now, waitMs, isReleased ? 1 : 0, wanted];
  });
  return ["ok", now, epoch, generation, store.call("get", statusSeqKey) ?? "0", directory, foreign, nodeRows, tagRows];
};
