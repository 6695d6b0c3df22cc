import type { LuaScript } from "../ports.ts";
import { MAX_AHEAD_MS, VERSION_CHARS } from "./hlc.ts";

/** Most registers that are kept: three for each of the most destinations there may be would be more, but few destinations have any. */
export const MAX_STATUS_RECORDS = 100_000;

/**
 * Writes a register unless a newer version stands there, and tells all nodes of it.
 *
 * KEYS: status, statusSeq, tags. ARGV: field, version, record, channel, most registers, name of the fencing tag or "", its epoch.
 *
 * Answers a list whose first is the outcome:
 * - "stored", number of the change;
 * - "same", what stands there: the very version;
 * - "older", what stands there: it is newer;
 * - "ahead", "": the version is more than 60 s ahead of Redis's time;
 * - "fenced", what stands there or "": somebody else has had the tag since;
 * - "full", "": there are too many registers.
 *
 * What stands there and is no record, or is itself too far ahead, gives way.
 */
export const STATUS_PUT: LuaScript = {
  name: "status_put",
  lua: `
local field, version, record, channel = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local time = redis.call('TIME')
local latest = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) + ${MAX_AHEAD_MS}
if tonumber(string.sub(version, 1, 13)) > latest then return {'ahead', ''} end
local held = redis.call('HGET', KEYS[1], field)
if ARGV[6] ~= '' then
  local text = redis.call('HGET', KEYS[3], ARGV[6])
  local readable, tag = pcall(cjson.decode, text or '{}')
  local epoch = readable and type(tag) == 'table' and tonumber(tag.epoch)
  if epoch and epoch > tonumber(ARGV[7]) then return {'fenced', held or ''} end
end
if held then
  local found = string.sub(held, 1, ${VERSION_CHARS})
  local isRecord = string.match(held, '^%d%d%d%d%d%d%d%d%d%d%d%d%d%-%d%d%d%d%d%d%-%d%d%d%d%d%d%d%d%d%d ') ~= nil
  if isRecord and tonumber(string.sub(found, 1, 13)) <= latest then
    if found == version then return {'same', held} end
    if found > version then return {'older', held} end
  end
elseif redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then
  return {'full', ''}
end
redis.call('HSET', KEYS[1], field, version .. ' ' .. record)
local seq = redis.call('INCR', KEYS[2])
redis.call('PUBLISH', channel, seq .. ' ' .. record)
return {'stored', seq}
`,
};

/**
 * Removes a register, if its version is this one. It counts as a change, so that all nodes compare: one that still needs it writes it again.
 *
 * KEYS: status, statusSeq. ARGV: field, version. Answers the number of the change, 0 when something else stands there.
 */
export const STATUS_DROP: LuaScript = {
  name: "status_drop",
  lua: `
local held = redis.call('HGET', KEYS[1], ARGV[1])
if not held or string.sub(held, 1, ${VERSION_CHARS}) ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
return redis.call('INCR', KEYS[2])
`,
};

/** What {@link STATUS_PUT} answers. */
export type PutOutcome = "stored" | "same" | "older" | "ahead" | "fenced" | "full";
