import type { LuaScript } from "../ports.ts";

/** Nodes that the cluster keeps in mind, living and dead. */
export const MAX_NODES = 1000;
/** Tags that Redis keeps for the cluster. */
export const MAX_CLUSTER_TAGS = 1000;
/** How long a node that is gone is kept in mind, ms: dialogs name its addresses. */
export const NODE_KEEP_MS = 86_400_000;

/**
 * What a node wants of a tag:
 * - `watch`: to know who has it;
 * - `hold`: to keep it, or to get it back when Redis has forgotten;
 * - `release`: to give it up;
 * - `first`: to take it if its owner gave it up, no more: it has just started;
 * - `claim`: to take it if nobody has it.
 */
export type TagAct = "watch" | "hold" | "release" | "first" | "claim";

export interface TagAsk {
  readonly name: string;
  readonly act: TagAct;
  /** Highest epoch of the tag that this node knows of; with `hold` that in which it has it. */
  readonly epoch: number;
  /** With `hold`: end of the lease, Redis time. */
  readonly untilMs: number;
  /** With `claim` and `first`: how long others are let go ahead, ms. */
  readonly graceMs: number;
  /** Whoever has it shall give it to this node. */
  readonly isWanted: boolean;
}

export interface BeatRequest {
  readonly nodeId: number;
  readonly incarnation: string;
  /** Grows with each beat of an incarnation. */
  readonly seq: number;
  readonly leaseMs: number;
  /** What the others are told of the node. */
  readonly identity: string;
  /** Epoch of the node as it was told; 0: not yet. */
  readonly epoch: number;
  readonly isLeaving: boolean;
  /** Redis time up to which claims are good. */
  readonly claimBeforeMs: number;
  /** Which version of the identities the node has. */
  readonly directory: string;
  readonly tags: readonly TagAsk[];
}

export interface NodeRow {
  readonly nodeId: number;
  /** Redis time; 0: it left. */
  readonly expiryMs: number;
  readonly seenMs: number;
  readonly epoch: number;
  readonly incarnation: string;
  /** Empty: as before. */
  readonly identity: string;
}

export interface TagRow {
  readonly name: string;
  /** 0: nobody has it. */
  readonly nodeId: number;
  readonly incarnation: string;
  readonly epoch: number;
  /** What is left of the lease of whoever has it, ms; not above 0: it is over. */
  readonly leaseMs: number;
  /** Until it may be claimed, ms; not above 0: now. */
  readonly waitMs: number;
  /** Its owner gave it up. */
  readonly isReleased: boolean;
  /** Node that it is to be given to; 0: none. */
  readonly wanted: number;
}

export type BeatAnswer =
  | { readonly outcome: "stale" | "full"; readonly redisMs: number }
  | {
      readonly outcome: "held";
      readonly redisMs: number;
      readonly expiryMs: number;
      readonly incarnation: string;
      readonly identity: string;
    }
  | {
      readonly outcome: "ok";
      readonly redisMs: number;
      readonly epoch: number;
      readonly generation: string;
      readonly statusSeq: number;
      readonly directory: string;
      /** Records that nobody of this version wrote. */
      readonly foreign: number;
      readonly nodes: readonly NodeRow[];
      readonly tags: readonly TagRow[];
    };

/** The arguments of {@link BEAT}. */
export function beatArgs(request: BeatRequest): (string | number)[] {
  const { nodeId, incarnation, seq, leaseMs, identity, epoch, isLeaving, claimBeforeMs, directory, tags } = request;
  const limits = [MAX_NODES, NODE_KEEP_MS, MAX_CLUSTER_TAGS];
  const head = [
    nodeId,
    incarnation,
    seq,
    leaseMs,
    identity,
    epoch,
    isLeaving ? 1 : 0,
    `${incarnation}${seq}`,
    claimBeforeMs,
    directory,
    ...limits,
  ];
  return [
    ...head,
    ...tags.flatMap(({ name, act, epoch, untilMs, graceMs, isWanted }) => [name, act, epoch, untilMs, graceMs, isWanted ? 1 : 0]),
  ];
}

/** Reads what {@link BEAT} answered. Undefined: it is something else. */
export function readBeat(reply: unknown): BeatAnswer | undefined {
  if (!Array.isArray(reply)) return undefined;
  const [outcome, redisMs] = reply as unknown[];
  if (typeof redisMs !== "number") return undefined;
  if (outcome === "stale" || outcome === "full") return { outcome, redisMs };
  if (outcome === "held") {
    const [, , expiryMs, incarnation, identity] = reply as unknown[];
    return { outcome, redisMs, expiryMs: Number(expiryMs), incarnation: String(incarnation), identity: String(identity) };
  }
  const [, , epoch, generation, statusSeq, directory, foreign, nodes, tags] = reply as unknown[];
  if (outcome !== "ok" || !Array.isArray(nodes) || !Array.isArray(tags)) return undefined;
  const seq = Number(statusSeq);
  return {
    outcome,
    redisMs,
    epoch: Number(epoch),
    generation: String(generation),
    statusSeq: Number.isSafeInteger(seq) ? seq : 0,
    directory: String(directory),
    foreign: Number(foreign),
    nodes: (nodes as unknown[][]).map(([nodeId, expiryMs, seenMs, epoch, incarnation, identity]) => ({
      nodeId: Number(nodeId),
      expiryMs: Number(expiryMs),
      seenMs: Number(seenMs),
      epoch: Number(epoch),
      incarnation: String(incarnation),
      identity: String(identity),
    })),
    tags: (tags as unknown[][]).map(([name, nodeId, incarnation, epoch, leaseMs, waitMs, released, wanted]) => ({
      name: String(name),
      nodeId: Number(nodeId),
      incarnation: String(incarnation),
      epoch: Number(epoch),
      leaseMs: Number(leaseMs),
      waitMs: Number(waitMs),
      isReleased: released === 1,
      wanted: Number(wanted),
    })),
  };
}

/**
 * One beat of a node. KEYS: nodes, tags, status sequence, generation. ARGV and answer: {@link beatArgs}, {@link readBeat}.
 *
 * A record of a node is `expiry seen lease seq epoch incarnation identity`: plain text, as a beat reads those of all nodes. A record of a tag is JSON; its
 * `epoch` grows with each claim and never falls while anybody remembers it.
 */
export const BEAT: LuaScript = {
  name: "beat",
  lua: `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local self, incarnation, seq, lease, identity = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local epoch, leaving, claimBefore, known = tonumber(ARGV[6]), ARGV[7] == '1', tonumber(ARGV[9]), ARGV[10]
local maxNodes, keep, maxTags = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local LAST = 9e14
local foreign = 0

local function readNode(text)
  if not text then return nil end
  local expiry, seen, length, count, age, who, says = string.match(text, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%w+) (.+)$')
  if not expiry then return nil end
  local node = { expiry = tonumber(expiry), seen = tonumber(seen), lease = tonumber(length), seq = tonumber(count), epoch = tonumber(age) }
  if node.expiry > LAST or node.seen > LAST or node.lease < 1 or node.lease > 600000 or node.seq > LAST or node.epoch > LAST then return nil end
  if #who > 64 then return nil end
  node.incarnation = who
  node.identity = says
  -- Redis's clock was put back: no lease ever lasts longer than it was taken for.
  node.clamped = node.expiry > now + node.lease or node.seen > now
  node.expiry = math.min(node.expiry, now + node.lease)
  node.seen = math.min(node.seen, now)
  return node
end

local function writeNode(id, node)
  redis.call('HSET', KEYS[1], id, string.format('%.0f %.0f %.0f %.0f %.0f %s %s',
    node.expiry, node.seen, node.lease, node.seq, node.epoch, node.incarnation, node.identity))
end

local changed = false
local mine = readNode(redis.call('HGET', KEYS[1], self))
if not mine then
  epoch = math.max(epoch, 1)
  changed = true
elseif mine.incarnation ~= incarnation then
  if mine.expiry > now then
    if mine.clamped then writeNode(self, mine) end
    return { 'held', now, mine.expiry, mine.incarnation, mine.identity }
  end
  epoch = math.max(epoch, mine.epoch) + 1
  changed = true
else
  -- A beat of a connection that was given up may come after those of the next one: it must undo nothing, least of all a release.
  if seq <= mine.seq then return { 'stale', now } end
  epoch = math.max(epoch, mine.epoch)
  changed = mine.identity ~= identity
end

redis.call('SET', KEYS[4], ARGV[8], 'NX')
local generation = redis.call('GET', KEYS[4])

local nodes = {}
local version = 0
local oldest = nil
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local id = fields[i]
  if id == '#' then
    version = string.find(fields[i + 1], '^%d+$') and math.min(tonumber(fields[i + 1]), LAST) or 0
  elseif id ~= self then
    local node = #id <= 10 and string.find(id, '^[1-9]%d*$') and readNode(fields[i + 1]) or nil
    if not node then
      foreign = foreign + 1
    elseif node.expiry <= now and node.seen < now - keep then
      redis.call('HDEL', KEYS[1], id)
      changed = true
    else
      if node.clamped then writeNode(id, node) end
      node.id = id
      nodes[#nodes + 1] = node
      if node.expiry <= now and (not oldest or node.seen < oldest.seen) then oldest = node end
    end
  end
end
if not mine and #nodes >= maxNodes then
  if not oldest then return { 'full', now } end
  redis.call('HDEL', KEYS[1], oldest.id)
  oldest.gone = true
end
local own = { id = self, expiry = leaving and 0 or now + lease, seen = now, lease = lease, seq = seq, epoch = epoch,
  incarnation = incarnation, identity = identity }
writeNode(self, own)
nodes[#nodes + 1] = own
if changed then
  version = version + 1
  redis.call('HSET', KEYS[1], '#', string.format('%.0f', version))
end
-- Identities are long and hardly ever change: they are sent to those only who have not got them.
local directory = generation .. ':' .. string.format('%.0f', version)
local nodeRows = {}
for _, node in ipairs(nodes) do
  if not node.gone then
    nodeRows[#nodeRows + 1] = { node.id, node.expiry, node.seen, node.epoch, node.incarnation, directory == known and '' or node.identity }
  end
end

local NUMBERS = { 'node', 'epoch', 'expiry', 'lease', 'wanted', 'wantedUntil', 'since', 'released' }
local function readTag(text)
  if #text > 1024 then return nil end
  local ok, tag = pcall(cjson.decode, text)
  if not ok or type(tag) ~= 'table' then return nil end
  for _, field in ipairs(NUMBERS) do
    local value = tag[field]
    if type(value) ~= 'number' or value < 0 or value > LAST or value ~= math.floor(value) then return nil end
  end
  if type(tag.incarnation) ~= 'string' or #tag.incarnation > 64 or string.find(tag.incarnation, '%W') then return nil end
  if tag.lease < 1 or tag.lease > 600000 then return nil end
  tag.expiry = math.min(tag.expiry, now + tag.lease)
  tag.wantedUntil = math.min(tag.wantedUntil, now + tag.lease)
  tag.since = math.min(tag.since, now)
  return tag
end

local function writeTag(name, tag)
  redis.call('HSET', KEYS[2], name, string.format(
    '{"node":%.0f,"incarnation":"%s","epoch":%.0f,"expiry":%.0f,"lease":%.0f,"wanted":%.0f,"wantedUntil":%.0f,"since":%.0f,"released":%.0f}',
    tag.node, tag.incarnation, tag.epoch, tag.expiry, tag.lease, tag.wanted, tag.wantedUntil, tag.since, tag.released))
end

-- A tag that its owner gave up is free at once. One of which nothing is known may have an owner who has not come to say so: it is free after a lease.
local function freeAt(tag)
  if tag.node ~= 0 then return tag.expiry end
  if tag.released == 1 then return tag.since end
  return tag.since + tag.lease
end

local function take(tag)
  tag.node, tag.incarnation, tag.expiry, tag.lease, tag.released = tonumber(self), incarnation, now + lease, lease, 0
end

local function unknownSince(tag, atLeast)
  tag.node, tag.incarnation, tag.expiry, tag.released, tag.since = 0, '', 0, 0, now
  tag.epoch = atLeast
end

local tags, texts, count = {}, {}, 0
local entries = redis.call('HGETALL', KEYS[2])
for i = 1, #entries, 2 do
  texts[entries[i]] = entries[i + 1]
  count = count + 1
  if count <= maxTags then
    local tag = readTag(entries[i + 1])
    if tag then tags[entries[i]] = tag else foreign = foreign + 1 end
  end
end

for i = 14, #ARGV, 6 do
  local name, act, knownEpoch, untilMs = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local grace, wanted = tonumber(ARGV[i + 4]), ARGV[i + 5] == '1'
  local tag = tags[name]
  if not tag and not texts[name] and count >= maxTags then
    tag = nil
  else
    if not tag then
      count = texts[name] and count or count + 1
      tag = { lease = lease, wanted = 0, wantedUntil = 0 }
      unknownSince(tag, knownEpoch)
      tags[name] = tag
    elseif tag.node == 0 and tag.epoch < knownEpoch then
      -- This Redis has lost a move, as a replica can or an old file: somebody may have the tag.
      unknownSince(tag, knownEpoch)
    end
    local isMine = tag.node == tonumber(self) and tag.incarnation == incarnation
    local reserved = tag.wantedUntil > now and tag.wanted ~= 0 and tag.wanted ~= tonumber(self)
    if act == 'hold' then
      local forgotten = tag.epoch < knownEpoch or (tag.epoch == knownEpoch and tag.node == 0 and tag.released == 0)
      -- Within its lease nobody else can have claimed it, whatever this Redis remembers.
      if isMine or (forgotten and now < untilMs) then
        take(tag)
        tag.epoch = math.max(tag.epoch, knownEpoch)
        isMine = true
      end
    elseif act == 'release' then
      if isMine then
        tag.node, tag.incarnation, tag.expiry, tag.released, tag.since = 0, '', 0, 1, now
        if tag.wantedUntil > now then tag.wantedUntil = now + tag.lease end
        isMine = false
      end
    elseif act == 'claim' or act == 'first' then
      if isMine and tag.expiry > now then
        take(tag)
      elseif now <= claimBefore and now >= freeAt(tag) + grace and (wanted or not reserved)
        and (act == 'claim' or (tag.node == 0 and tag.released == 1)) then
        take(tag)
        tag.epoch, tag.since, tag.wanted, tag.wantedUntil = math.max(tag.epoch, knownEpoch) + 1, now, 0, 0
        isMine = true
      end
    end
    if isMine and tag.wanted == tonumber(self) then
      tag.wanted, tag.wantedUntil = 0, 0
    elseif wanted and not isMine then
      tag.wanted, tag.wantedUntil = tonumber(self), now + tag.lease
    end
    writeTag(name, tag)
  end
end

local tagRows = {}
for name, tag in pairs(tags) do
  local wanted = tag.wantedUntil > now and tag.wanted or 0
  local reservedUntil = wanted ~= 0 and wanted ~= tonumber(self) and tag.wantedUntil or 0
  tagRows[#tagRows + 1] = { name, tag.node, tag.incarnation, tag.epoch, tag.node == 0 and 0 or tag.expiry - now,
    math.max(freeAt(tag), reservedUntil) - now, tag.node == 0 and tag.released == 1 and 1 or 0, wanted }
end
return { 'ok', now, epoch, generation, redis.call('GET', KEYS[3]) or '0', directory, foreign, nodeRows, tagRows }`,
};
