import type { LuaScript } from "../ports.ts";

/** What a script about the leases of one owner answers. */
export interface LeaseAnswer {
  /**
   * `done`; `full`: nothing was taken; `found-lost`: nobody could say which leases there are, this call was the first to find out, and nothing was taken;
   * `settling`: the same, and another call found out before.
   */
  readonly outcome: "done" | "full" | "found-lost" | "settling";
  /** Milliseconds since 1970 by Redis, at which the leases of this owner can be, or could be, relied on. */
  readonly reliableFromMs: number;
  /** Leases that there are now, in the order of the keys. */
  readonly counts: readonly number[];
}

/** Leases of one key that a call wants. */
export interface LeaseRequest {
  readonly key: string;
  readonly capacity: number;
  readonly members: readonly string[];
}

/** Time to live of a lease that was just reserved, at most: a node that dies at once gives it back soon. */
export const RESERVE_TTL_MS = 20_000;
/** How long the leases of an owner are not relied on after Redis lost them, or has those of a while ago: every node adds its own meanwhile. */
export const SETTLING_MS = 1000;
/** How long it is remembered that the leases of an owner can be relied on, while nobody asks for them. */
export const READY_TTL_MS = 86_400_000;
/** Names of keys that one ready key lists, in characters: those of some 3,000 resources. What was in further ones is left to expire. */
export const MAX_LISTED_CHARS = 300_000;

const OUTCOMES = ["full", "done", "found-lost", "settling"] as const;

/** The time, and `count(key)`: leases that have not expired. Redis lends a script the one clock of the cluster. */
const COUNT = `
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function count(key)
  redis.call("ZREMRANGEBYSCORE", key, "-inf", now)
  return redis.call("ZCARD", key)
end
`;

/**
 * KEYS[1] stands while the leases can be relied on, and says since when and of which process of Redis: a restart or a fail-over may have lost
 * leases and kept the key, or bring back leases of calls that have ended. So each key of leases is emptied when it is first used after a settling has
 * begun: what the nodes that are there do not add again is gone. KEYS[1] lists those that were, so that it happens once. ARGV[1] is the process, "" when
 * it is not known; ARGV[2] how long to settle. Two settlings never end at the same time, by which nodes know them.
 */
const READY = `
local function ready()
  local settling = tonumber(ARGV[2])
  local kept = redis.call("GET", KEYS[1])
  local process, from, emptied
  if kept then process, from, emptied = string.match(kept, "^(%w*) (%d+)(\\n.*)$") end
  from = tonumber(from)
  if from and from > now + 2 * settling then from = nil end
  local outcome = 1
  if not from or (ARGV[1] ~= "" and process ~= ARGV[1]) then
    from = math.max(now + settling, from and from + 1 or 0)
    process, emptied, outcome = ARGV[1], "\\n", 2
  elseif from > now then
    outcome = 3
  end
  local isChanged = outcome == 2
  for i = 2, #KEYS do
    if not string.find(emptied, "\\n" .. KEYS[i] .. "\\n", 1, true) and #emptied < ${MAX_LISTED_CHARS} then
      redis.call("DEL", KEYS[i])
      emptied = emptied .. KEYS[i] .. "\\n"
      isChanged = true
    end
  end
  if isChanged then
    redis.call("SET", KEYS[1], process .. " " .. string.format("%.0f", from) .. emptied, "PX", ${READY_TTL_MS})
  else
    redis.call("PEXPIRE", KEYS[1], ${READY_TTL_MS})
  end
  return outcome, from
end
`;

/** `add(key, member, ttl)`; the key goes with its last lease. */
const ADD = `
local function add(key, member, ttl)
  redis.call("ZADD", key, now + ttl, member)
  if redis.call("PTTL", key) < ttl then redis.call("PEXPIRE", key, ttl) end
end
`;

/**
 * Takes leases of several keys of one owner, all or none. KEYS: ready, one for each resource. ARGV: process, settling ms, ttl ms, then for each key
 * its capacity, how many members, the members. Members that have a lease keep it. Answers outcome, reliable from, counts.
 */
export const LEASE_RESERVE: LuaScript = {
  name: "lease_reserve",
  lua: `${COUNT}${READY}${ADD}
local outcome, from = ready()
local answer = { outcome, from }
if outcome ~= 1 then
  for i = 2, #KEYS do answer[i + 1] = count(KEYS[i]) end
  return answer
end
local ttl = tonumber(ARGV[3])
local at = 4
local wanted = {}
for i = 2, #KEYS do
  local held = count(KEYS[i])
  local capacity, members = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local missing = 0
  for m = at + 2, at + 1 + members do
    wanted[#wanted + 1] = { KEYS[i], ARGV[m] }
    if not redis.call("ZSCORE", KEYS[i], ARGV[m]) then missing = missing + 1 end
  end
  if missing > 0 and held + missing > capacity then answer[1] = 0 end
  answer[i + 1] = held
  at = at + 2 + members
end
if answer[1] == 0 then return answer end
for _, lease in ipairs(wanted) do add(lease[1], lease[2], ttl) end
for i = 2, #KEYS do answer[i + 1] = redis.call("ZCARD", KEYS[i]) end
return answer
`,
};

/**
 * Adds leases to one key, or renews them, whatever the capacity and whether it settles. KEYS: ready, the key. ARGV: process, settling ms, ttl ms,
 * members. Answers outcome, reliable from, count.
 */
export const LEASE_RENEW: LuaScript = {
  name: "lease_renew",
  lua: `${COUNT}${READY}${ADD}
local outcome, from = ready()
for m = 4, #ARGV do add(KEYS[2], ARGV[m], tonumber(ARGV[3])) end
return { outcome, from, count(KEYS[2]) }
`,
};

/** Gives leases of one key back. KEYS: ready, the key. ARGV: process, settling ms, members. Answers outcome, reliable from, count. */
export const LEASE_RELEASE: LuaScript = {
  name: "lease_release",
  lua: `${COUNT}${READY}
local outcome, from = ready()
for m = 3, #ARGV do redis.call("ZREM", KEYS[2], ARGV[m]) end
return { outcome, from, count(KEYS[2]) }
`,
};

/** Counts leases. KEYS: ready, one for each resource. ARGV: process, settling ms. Answers outcome, reliable from, counts. */
export const LEASE_COUNT: LuaScript = {
  name: "lease_count",
  lua: `${COUNT}${READY}
local outcome, from = ready()
local answer = { outcome, from }
for i = 2, #KEYS do answer[i + 1] = count(KEYS[i]) end
return answer
`,
};

/** Reads what one of the scripts answered about `keys` keys; undefined when it is nothing that they answer. */
export function readLeaseAnswer(answer: unknown, keys: number): LeaseAnswer | undefined {
  if (!Array.isArray(answer) || answer.length !== keys + 2) return undefined;
  const numbers = answer as unknown[];
  if (!numbers.every((value): value is number => Number.isSafeInteger(value) && (value as number) >= 0)) return undefined;
  const [code = -1, reliableFromMs = 0, ...counts] = numbers;
  const outcome = OUTCOMES[code];
  return outcome && { outcome, reliableFromMs, counts };
}

/** Arguments of {@link LEASE_RESERVE} after its first three. */
export function reserveArguments(requests: readonly LeaseRequest[]): (string | number)[] {
  return requests.flatMap(({ capacity, members }) => [capacity, members.length, ...members]);
}
