-- delete_all: forget the first tasks of a state, and give their unique locks back.
--
-- KEYS  1 list, or sorted set, of that state  2 lease  3 groups
-- ARGV  1 task key prefix  2 tasks forgotten at most  3 group name, or "" if it is none  4 "list" or "set"
--       then task IDs, each with the key of the lock that its message names: Go leaves the field out in groups
-- Returns how many IDs were taken, and how many of them were tasks.
-- Peer  asynq (Go) internal/rdb/inspect.go deleteAllCmd, deleteAllPendingCmd; wire format 7.11.
-- include _step
-- include _unlock
local source, lease, groups = unpack(KEYS)
local prefix, step, group, is_list = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == 'list'
local named = {}
for i = 5, #ARGV, 2 do
  named[ARGV[i]] = ARGV[i + 1]
end
local ids = first_of(source, is_list, step)
local kinds = look_at(prefix, ids, lease)
redis.call('SCARD', groups)
drop(source, is_list, #ids, groups, group)
local deleted = 0
for i, id in ipairs(ids) do
  if kinds[i] == 'task' then
    unlock(redis.call('HGET', prefix .. id, 'unique_key') or named[id], id)
    deleted = deleted + 1
  end
  if kinds[i] == 'task' or kinds[i] == 'lost' then
    redis.call('DEL', prefix .. id)
  end
end
return {#ids, deleted}
