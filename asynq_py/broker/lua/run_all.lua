-- run_all: make the first tasks of a sorted set pending.
--
-- KEYS  1 sorted set  2 pending  3 lease  4 groups
-- ARGV  1 task key prefix  2 tasks moved at most  3 group name, or "" if the set is none  4 now, unix nanoseconds
-- Returns how many IDs were taken, and how many of them were tasks and are pending now. What is lost is dropped.
-- Peer  asynq (Go) internal/rdb/inspect.go runAllCmd, runAllAggregatingCmd; wire format 7.8.
-- include _step
local source, pending, lease, groups = unpack(KEYS)
local prefix, step, group, now = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local ids = first_of(source, false, step)
local kinds = look_at(prefix, ids, lease)
redis.call('LLEN', pending)
redis.call('SCARD', groups)
drop(source, false, #ids, groups, group)
local moved = 0
for i, id in ipairs(ids) do
  if kinds[i] == 'task' then
    redis.call('LPUSH', pending, id)
    redis.call('HSET', prefix .. id, 'state', 'pending', 'pending_since', now)
    moved = moved + 1
  elseif kinds[i] == 'lost' then
    redis.call('DEL', prefix .. id)
  end
end
return {#ids, moved}
