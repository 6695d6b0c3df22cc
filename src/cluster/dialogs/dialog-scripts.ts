import type { LuaScript } from "../ports.ts";

/**
 * Scripts of the dialog replica. Each touches one key, that of one dialog. They look at the beginning of a record only, as text: who has the dialog and
 * how often it was taken over ({@link RecordHead}); what follows is nothing to them.
 */

/** Characters of a record in which its head fits, with the longest incarnation. */
export const HEAD_CHARS = 128;

/**
 * Writes the record of a dialog, if this node has the dialog or nobody does. ARGV: how a record of this node begins, record, its life in milliseconds.
 * Answers 1, or how the record of another node begins.
 */
export const DIALOG_PUT: LuaScript = {
  name: "dialog_put",
  lua: `
local head = redis.call('GETRANGE', KEYS[1], 0, ${HEAD_CHARS - 1})
if head == '' or string.sub(head, 1, #ARGV[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
end
return head`,
};

/**
 * Makes a dialog that of this node, if its record begins as expected. ARGV: that beginning, the new one; the whole record and its life in milliseconds,
 * or two empty texts: then the rest of the old one stays, and lives on as long. Answers the record as it is now, or nothing.
 */
export const DIALOG_TAKE: LuaScript = {
  name: "dialog_take",
  lua: `
local old = redis.call('GET', KEYS[1])
if not old or string.sub(old, 1, #ARGV[1]) ~= ARGV[1] then return false end
if ARGV[3] ~= '' then
  redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
  return ARGV[3]
end
local new = ARGV[2] .. string.sub(old, #ARGV[1] + 1)
redis.call('SET', KEYS[1], new, 'KEEPTTL')
return new`,
};

/**
 * A dialog is here no more. ARGV: how the record begins if it may go without a trace, tombstone, its life in milliseconds, mode. Otherwise a tombstone
 * tells other nodes that the call has ended; in mode "sure" not where there is no record, as then nobody has the call; in mode "forgotten" never, as
 * then another node that has the call keeps it; in mode "left" only where the record begins so. Answers 1 when its tombstone is there, which the others have to
 * hear of, else 0.
 */
export const DIALOG_END: LuaScript = {
  name: "dialog_end",
  lua: `
local head = redis.call('GETRANGE', KEYS[1], 0, ${HEAD_CHARS - 1})
local mine = string.sub(head, 1, #ARGV[1]) == ARGV[1]
if ARGV[4] == 'left' then
  if not mine then return 0 end
elseif mine then
  redis.call('DEL', KEYS[1])
  return 0
end
if ARGV[4] == 'forgotten' or (ARGV[4] == 'sure' and head == '') then return 0 end
if string.sub(head, -4) == '",0]' then return head == ARGV[2] and 1 or 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`,
};

/** How the record of a dialog begins; empty when there is none. */
export const DIALOG_HEAD: LuaScript = {
  name: "dialog_head",
  lua: `return redis.call('GETRANGE', KEYS[1], 0, ${HEAD_CHARS - 1})`,
};
