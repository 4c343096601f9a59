-- archive_all: put the first tasks of a state aside, and forget the oldest of the archive.
--
-- KEYS  1 list, or sorted set, of that state  2 archived  3 lease  4 groups
-- ARGV  1 task key prefix  2 tasks moved at most  3 group name, or "" if it is none  4 "list" or "set"
--       5 now, unix seconds  6 archived before this time: forgotten  7 tasks the archive keeps
--       8 tasks forgotten at most in one call
-- Returns how many IDs were taken, and how many of them were tasks and are archived now. What is lost is dropped.
-- Peer  asynq (Go) internal/rdb/inspect.go archiveAllCmd, archiveAllPendingCmd; wire format 7.10.
-- include _step
-- include _unlock
-- include _trim
local source, archived, lease, groups = unpack(KEYS)
local prefix, step, group, is_list, now = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == 'list', ARGV[5]
local ids = first_of(source, is_list, step)
local kinds = look_at(prefix, ids, lease)
redis.call('ZCARD', archived)
redis.call('SCARD', groups)
drop(source, is_list, #ids, groups, group)
local moved = 0
for i, id in ipairs(ids) do
  if kinds[i] == 'task' then
    redis.call('ZADD', archived, now, id)
    redis.call('HSET', prefix .. id, 'state', 'archived')
    redis.call('HDEL', prefix .. id, 'pending_since')
    moved = moved + 1
  elseif kinds[i] == 'lost' then
    redis.call('DEL', prefix .. id)
  end
end
trim(archived, prefix, ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]))
return {#ids, moved}
